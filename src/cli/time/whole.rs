//! Whole iterations on a GPU, as training runs them: recorded once and replayed, with nothing waited for between layers.

use std::time::Instant;

use log::info;

use super::passes::{Subject, median};
use crate::{
    cuda::{Card, Counters},
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
