//! Whole iterations on a GPU, as training runs them: recorded once and replayed, with nothing waited for between layers; and the kernels
//! of an iteration that is not.

use std::time::Instant;

use log::info;

use super::passes::{Passes, Subject, median};
use crate::{
    cuda::{Card, Counters, KernelTime},
    error::Result,
};

/// Iterations before those that are timed: the first runs as it is, the second is recorded.
const WARMING: usize = 3;

/// Runs and times so many iterations, and prints what they took and asked of the card.
///
/// # Errors
/// When a layer fails.
pub fn print(subject: &mut Subject, card: &'static Card, count: usize) -> Result<()> {
    for _ in 0..WARMING {
        iterate(subject)?;
    }
    card.synchronize();
    let before = card.counters();
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        iterate(subject)?;
        card.synchronize();
        times.push(start.elapsed());
    }
    card.check()?;
    let per_iteration = |of: fn(&Counters) -> u64| (of(&card.counters()) - of(&before)) as f64 / count as f64;
    let (up, down) = (per_iteration(|counters| counters.bytes_up), per_iteration(|counters| counters.bytes_down));
    info!("Whole iterations: median {:.3} ms", median(&times));
    info!(
        "Of each: {:.1} launches, {up:.0} bytes to the GPU, {down:.0} bytes from it, {:.1} allocations",
        per_iteration(|counters| counters.launches),
        per_iteration(|counters| counters.allocations),
    );
    info!("Memory of the GPU in use: {:.1} MB", card.counters().memory as f64 / 1e6);
    Ok(())
}

/// Runs so many iterations kernel by kernel and prints the time of each kernel.
///
/// # Errors
/// When a layer fails.
pub fn print_kernels(subject: &mut Subject, card: &'static Card, count: usize) -> Result<()> {
    let mut passes = Passes::new(subject.net().layer_names().count());
    let mut result = Ok(());
    let times = card.profile(|| result = (0..count).try_for_each(|_| passes.measure(subject).map(drop)));
    result?;
    card.check()?;
    let all: f64 = times.values().map(|time| time.milliseconds).sum();
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_by(|one, other| other.1.milliseconds.total_cmp(&one.1.milliseconds));
    info!("Kernels of an iteration, one after another:");
    info!("{:<28}{:>10}{:>12}{:>9}", "kernel", "launches", "time us", "% of all");
    let count = count as f64;
    for (kernel, KernelTime { launches, milliseconds }) in times {
        let (launches, time) = (launches as f64 / count, milliseconds * 1e3 / count);
        info!("{kernel:<28}{launches:>10.1}{time:>12.2}{:>9.1}", 100.0 * milliseconds / all);
    }
    info!("Kernels in all: {:.3} ms", all / count);
    Ok(())
}

fn iterate(subject: &mut Subject) -> Result<()> {
    match subject {
        Subject::Net(net) => {
            net.replace_gradients();
            net.forward_backward()?;
        }
        Subject::Solver(solver) => {
            let start = solver.iteration();
            solver.iterate(start)?;
        }
    }
    Ok(())
}
