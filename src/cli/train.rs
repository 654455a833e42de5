//! `rcaffe train`: trains a net.

use std::path::PathBuf;

use super::flags::{SignalEffect, State};
use crate::error::{Error, Result};

/// Trains the net that a solver file names.
#[derive(clap::Args, Debug)]
#[command(override_usage = "rcaffe train --solver <FILE> [OPTIONS]", after_help = EXAMPLES)]
pub struct Args {
    /// Solver to run (prototxt)
    #[arg(long, value_name = "FILE", required_unless_present = "quick_start")]
    pub solver: Option<PathBuf>,
    /// Run the built-in solver: a small net on a built-in data set, about a minute
    #[arg(long, conflicts_with = "solver")]
    pub quick_start: bool,
    /// Go on from this snapshot (.solverstate)
    #[arg(long, value_name = "FILE", conflicts_with = "weights")]
    pub snapshot: Option<PathBuf>,
    /// Begin with these weights, to finetune them (.caffemodel files separated by commas)
    #[arg(long, value_name = "FILES")]
    pub weights: Option<String>,
    /// Seed of the random numbers; replaces the solver's random_seed
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// File for a copy of the log [default: the solver's snapshot_prefix with .log]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// GPUs to run on, numbers separated by commas or `all` [default: the CPU]; needs a build with CUDA
    #[arg(long, value_name = "LIST")]
    pub gpu: Option<String>,
    /// Level and stages.
    #[command(flatten)]
    pub state: State,
    /// What SIGINT (Ctrl-C) does: stop (after a snapshot), snapshot or none
    #[arg(long, value_name = "EFFECT", default_value = "stop", hide_possible_values = true)]
    pub sigint_effect: SignalEffect,
    /// What SIGHUP does: stop (after a snapshot), snapshot or none
    #[arg(long, value_name = "EFFECT", default_value = "snapshot", hide_possible_values = true)]
    pub sighup_effect: SignalEffect,
}

/// The solver that `--quick-start` runs; its net is in it.
pub const QUICK_START: &str = include_str!("../../solvers/quick_start.prototxt");

const EXAMPLES: &str = "\
Examples:
  rcaffe train --solver solvers/cifar10_triangular2.prototxt
  rcaffe train --solver solver.prototxt --snapshot net_iter_5000.solverstate
  rcaffe train --solver solver.prototxt --weights pretrained.caffemodel";

/// Runs the command.
///
/// # Errors
/// When a file or an option cannot be used, or training leaves the finite numbers.
pub fn run(args: &Args) -> Result<()> {
    let _ = (args, QUICK_START);
    Err(Error::config("train", "not there yet"))
}
