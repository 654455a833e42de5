//! `rcaffe time`: how long a net takes, layer by layer.
//!
//! `passes` runs and times, and prints Caffe's lines; `machine` measures what the machine can do; `table` sets the two side by
//! side; `memory` lists the blobs.

mod memory;
mod passes;
mod table;
mod whole;

use std::path::PathBuf;

use log::info;
use passes::{Passes, Subject};

use super::{
    device,
    flags::{PhaseName, State},
    model,
};
use crate::{
    error::{Error, Result},
    proto::SolverParameter,
    prototxt::read_solver,
    report::lines::tool,
    solver::Solver,
};

/// Measures a net: the mean time of each layer, forward and backward, in milliseconds, as Caffe prints it; then the memory of
/// each blob, and a table of each layer's speed beside that of the machine.
///
/// The table has the median times; the speed of matrix products and convolutions in GFLOP/s and in percent of the machine's peak,
/// which is that of a large f32 matrix product measured on the spot; and the speed at which each value that the layer must read
/// or write once goes in and out, in GB/s. Below stand the net's operations at the peak, and the median and minimum
/// of whole iterations.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Net to measure (prototxt)
    #[arg(long, value_name = "FILE", required_unless_present = "solver")]
    pub model: Option<PathBuf>,
    /// Solver to measure in place of a net (prototxt): its training net forward and backward, and the update
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "phase", "level", "stage"])]
    pub solver: Option<PathBuf>,
    /// Passes to measure
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true)]
    pub iterations: i32,
    /// Phase of the net: TRAIN or TEST
    #[arg(long, value_name = "PHASE", default_value = "TRAIN", ignore_case = true, hide_possible_values = true)]
    pub phase: PhaseName,
    /// Where to run.
    #[command(flatten)]
    pub device: device::Choice,
    /// Level and stages.
    #[command(flatten)]
    pub state: State,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe time --model models/alexnet.prototxt --iterations 10
  rcaffe time --solver solvers/cifar10_triangular2.prototxt";

/// Runs the command.
///
/// # Errors
/// When the net cannot be built or run.
pub fn run(args: &Args) -> Result<()> {
    if args.iterations < 1 {
        return Err(Error::config("--iterations", "must be at least 1"));
    }
    let mut subject = subject(args)?;
    let net = subject.net();
    info!("{}", tool::performing_forward());
    info!("{}", tool::initial_loss(net.forward()?));
    info!("{}", tool::performing_backward());
    net.backward()?;
    let count = args.iterations as usize;
    info!("{}", tool::benchmark_begins());
    info!("{}", tool::timing(count));
    let mut passes = Passes::new(net.layer_names().count());
    for number in 1..=count {
        passes.measure_and_print(&mut subject, number)?;
    }
    passes.print_means(subject.net());
    info!("{}", tool::benchmark_ends());
    memory::print(subject.net());
    table::print(subject.net(), &passes)?;
    match subject.net().device().card() {
        Some(card) => {
            whole::print_kernels(&mut subject, card, count)?;
            whole::print(&mut subject, card, count)
        }
        None => Ok(()),
    }
}

/// What the flags name.
fn subject(args: &Args) -> Result<Subject> {
    let Some(file) = &args.solver else {
        let device = args.device.choose(None)?;
        // Clap lets no command line through that names neither.
        let model = args.model.as_deref().ok_or_else(|| Error::config("--model", "is not given"))?;
        let mut net = model::build(model, args.phase, Some(&args.state), None)?;
        net.run_on(device);
        return Ok(Subject::Net(Box::new(net)));
    };
    let mut document = read_solver(file)?;
    let device = args.device.choose(Some(&document.message))?;
    without_tests(&mut document.message);
    let mut solver = Solver::new(document, Vec::new())?;
    solver.run_on(device);
    solver.keep_going();
    Ok(Subject::Solver(Box::new(solver)))
}

/// What is timed is training alone.
fn without_tests(parameter: &mut SolverParameter) {
    parameter.test_iter.clear();
    parameter.test_net.clear();
    parameter.test_net_param.clear();
    parameter.test_state.clear();
    parameter.snapshot_best = None;
    parameter.snapshot = None;
    parameter.snapshot_after_train = Some(false);
}
