//! `rcaffe time`: how long a net takes, layer by layer.

use std::path::PathBuf;

use super::flags::{PhaseName, State};
use crate::error::{Error, Result};

/// Measures a net: the mean time of each layer, forward and backward, in milliseconds.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Net to measure (prototxt)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Passes to measure
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true)]
    pub iterations: i32,
    /// Phase of the net: TRAIN or TEST
    #[arg(long, value_name = "PHASE", default_value = "TRAIN", ignore_case = true, hide_possible_values = true)]
    pub phase: PhaseName,
    /// GPU to run on [default: the CPU]; needs a build with CUDA
    #[arg(long, value_name = "N")]
    pub gpu: Option<String>,
    /// Level and stages.
    #[command(flatten)]
    pub state: State,
}

const EXAMPLES: &str = "\
Example:
  rcaffe time --model models/alexnet.prototxt --iterations 10";

/// Runs the command.
///
/// # Errors
/// When the net cannot be built or run.
pub fn run(args: &Args) -> Result<()> {
    let _ = args;
    Err(Error::config("time", "not there yet"))
}
