//! `rcaffe trace`: learning rate and loss of every iteration, for comparisons with Caffe and between versions.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use super::device;
use crate::{
    error::{Error, Result},
    proto::SolverParameter,
    prototxt::{number::general, read_solver},
    solver::Solver,
};

/// Writes the learning rate and loss of every iteration of a solver, without tests and snapshots.
///
/// The file has a row for each iteration, `iter,lr,loss`; nine digits tell any two f32 apart.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Solver to run (prototxt)
    #[arg(long, value_name = "FILE")]
    pub solver: PathBuf,
    /// Iterations to run [default: the solver's max_iter]
    #[arg(long, value_name = "N")]
    pub iters: Option<usize>,
    /// File to write
    #[arg(long, value_name = "CSV")]
    pub out: PathBuf,
    /// Where to run.
    #[command(flatten)]
    pub device: device::Choice,
}

const EXAMPLES: &str = "\
Example:
  rcaffe trace --solver solvers/cifar10_triangular2.prototxt --iters 100 --out trace.csv";

/// Runs the command.
///
/// # Errors
/// When a file or an option cannot be used, or the loss stops being a number.
pub fn run(args: &Args) -> Result<()> {
    let mut document = read_solver(&args.solver)?;
    without_snapshots(&mut document.message);
    let device = args.device.choose(Some(&document.message))?;
    let end = args.iters.or(document.message.max_iter.map(|end| end.max(0) as usize));
    let end = end.ok_or_else(|| Error::config("--iters", "is not given, and the solver has no max_iter"))?;
    let mut solver = Solver::new(document, Vec::new())?;
    solver.run_on(device);
    let unwritable = |cause| Error::io(&args.out, cause);
    let mut out = BufWriter::new(File::create(&args.out).map_err(unwritable)?);
    writeln!(out, "iter,lr,loss").map_err(unwritable)?;
    let start = solver.begin();
    for iteration in start..end {
        let loss = solver.iterate(start)?;
        let rate = solver.learning_rate().rate(iteration);
        writeln!(out, "{iteration},{},{}", general(f64::from(rate), 9), general(f64::from(loss), 9))
            .map_err(unwritable)?;
    }
    out.flush().map_err(unwritable)
}

/// The test nets stay: building them draws from the random engine, and a run without them would be another run.
fn without_snapshots(parameter: &mut SolverParameter) {
    parameter.snapshot = None;
    parameter.snapshot_after_train = Some(false);
}
