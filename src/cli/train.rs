//! `rcaffe train`: trains a net.

use std::path::PathBuf;

use log::{info, warn};

use super::{
    device,
    flags::{SignalEffect, State},
    signals,
};
use crate::{
    error::Result,
    proto::SolverParameter,
    prototxt::{parse_solver, read_solver},
    report::{
        CaffeLog, glog,
        lines::{self, tool},
        progress::Progress,
    },
    solver::{Observer, Solver},
};

/// Trains the net that a solver file names.
#[derive(clap::Args, Debug)]
#[command(override_usage = "rcaffe train --solver <FILE> [OPTIONS]", after_help = EXAMPLES)]
pub struct Args {
    /// Solver to run (prototxt)
    #[arg(long, value_name = "FILE", required_unless_present = "quick_start")]
    pub solver: Option<PathBuf>,
    /// Run the built-in solver: a small net on a built-in data set, less than a minute
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
    /// Train on, as Caffe does, when the loss or a gradient is not finite [default: stop with an error]
    #[arg(long)]
    pub keep_going: bool,
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
    let mut document = match &args.solver {
        Some(path) => read_solver(path)?,
        None => parse_solver(QUICK_START, "quick_start.prototxt")?,
    };
    apply_flags(&mut document.message, args);
    device::choose(args.gpu.as_deref(), Some(&document.message))?;
    let prefix = document.message.snapshot_prefix().to_string();
    let display = document.message.display().max(0) as usize;
    let observers: Vec<Box<dyn Observer>> = vec![Box::new(CaffeLog { display }), Box::new(Progress::new())];
    let mut solver = Solver::new(document, observers)?;
    let log = copy_log(args, &prefix)?;
    solver.on_request(signals::requests(args.sigint_effect, args.sighup_effect)?);
    if args.keep_going {
        solver.keep_going();
    }
    if let Some(snapshot) = &args.snapshot {
        info!("{}", tool::resuming(&snapshot.display().to_string()));
        solver.restore(snapshot)?;
    }
    info!("{}", tool::starting());
    solver.solve()?;
    info!("{}", lines::solver::done());
    if let Some(log) = log {
        info!("Log: {}", log.display());
    }
    Ok(())
}

fn apply_flags(parameter: &mut SolverParameter, args: &Args) {
    let state = parameter.train_state.get_or_insert_default();
    state.level = Some(args.state.level);
    state.stage.extend(args.state.stages());
    if args.seed.is_some() {
        parameter.random_seed = args.seed;
    }
    if args.snapshot.is_some() {
        parameter.weights.clear();
    } else if let Some(weights) = &args.weights {
        parameter.weights = vec![weights.clone()];
    }
}

/// Opens the file that takes a copy of the log. Where nobody asked for one by name, a run goes on without it.
fn copy_log(args: &Args, prefix: &str) -> Result<Option<PathBuf>> {
    let append = args.snapshot.is_some();
    if let Some(path) = &args.log {
        glog::write_to(path, append)?;
        return Ok(Some(path.clone()));
    }
    let path = PathBuf::from(format!("{prefix}.log"));
    match glog::write_to(&path, append) {
        Ok(()) => Ok(Some(path)),
        Err(error) => {
            warn!("no copy of this log is kept: {error}");
            Ok(None)
        }
    }
}
