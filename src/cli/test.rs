//! `rcaffe test`: scores a net.

use std::path::PathBuf;

use super::flags::State;
use crate::error::{Error, Result};

/// Scores trained weights: runs the TEST net over batches and prints the mean of each output.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Net to score (prototxt)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Weights to score (.caffemodel files separated by commas)
    #[arg(long, value_name = "FILES")]
    pub weights: String,
    /// Batches to run
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true)]
    pub iterations: i32,
    /// GPU to run on [default: the CPU]; needs a build with CUDA
    #[arg(long, value_name = "N")]
    pub gpu: Option<String>,
    /// Level and stages.
    #[command(flatten)]
    pub state: State,
}

const EXAMPLES: &str = "\
Example:
  rcaffe test --model models/cifar10_full.prototxt --weights cifar10_full_iter_25000.caffemodel --iterations 100";

/// Runs the command.
///
/// # Errors
/// When a file cannot be used, or the weights do not fit the net.
pub fn run(args: &Args) -> Result<()> {
    let _ = args;
    Err(Error::config("test", "not there yet"))
}
