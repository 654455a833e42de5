//! `rcaffe trace`: learning rate and loss of every iteration, for comparisons with Caffe and between versions.

use std::path::PathBuf;

use crate::error::{Error, Result};

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
}

const EXAMPLES: &str = "\
Example:
  rcaffe trace --solver solvers/cifar10_triangular2.prototxt --iters 100 --out trace.csv";

/// Runs the command.
///
/// # Errors
/// When a file or an option cannot be used.
pub fn run(args: &Args) -> Result<()> {
    let _ = args;
    Err(Error::config("trace", "not there yet"))
}
