//! `rcaffe train`: trains a net.

use std::path::PathBuf;

use log::{info, warn};

use super::{
    device,
    flags::{SignalEffect, State},
    signals,
};
use crate::{
    error::{Error, Result},
    proto::SolverParameter,
    prototxt::{Document, parse_solver, read_solver},
    report::{
        CaffeLog, glog,
        lines::{self, tool},
        metrics::Metrics,
        page::Live,
        progress::Progress,
        runs::Run,
    },
    snapshot::read_state,
    solver::{Carried, Observer, Solver, end_of},
};

/// Trains the net that a solver file names.
#[derive(clap::Args, Debug)]
#[command(override_usage = "rcaffe train --solver <FILE> [OPTIONS]", after_help = EXAMPLES)]
pub struct Args {
    /// Solver to run (prototxt); given several times, they run one after another, each until its own max_iter, with weights
    /// and history carried over
    #[arg(long, value_name = "FILE", required_unless_present = "quick_start")]
    pub solver: Vec<PathBuf>,
    /// Run the built-in solver: a small net on a built-in data set, less than a minute
    #[arg(long, conflicts_with = "solver")]
    pub quick_start: bool,
    /// Go on from this snapshot (.solverstate)
    #[arg(long, value_name = "FILE", conflicts_with = "weights")]
    pub snapshot: Option<PathBuf>,
    /// Begin with these weights, to finetune them (.caffemodel files separated by commas)
    #[arg(long, value_name = "FILES")]
    pub weights: Option<String>,
    /// Seed of the random numbers; replaces the solver's random_seed (a snapshot that holds random numbers goes on with its own)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// File for a copy of the log [default: the solver's snapshot_prefix with .log]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// File for the numbers of every iteration and test, .csv or .jsonl; may be given several times
    #[arg(long, value_name = "FILE")]
    pub metrics: Vec<PathBuf>,
    /// Folder for TensorBoard's event files, with the same numbers
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// Page to keep current while training, with curves and numbers (.html)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Train on, as Caffe does, when the loss or a gradient is not finite [default: stop with an error]
    #[arg(long)]
    pub keep_going: bool,
    /// Where to run.
    #[command(flatten)]
    pub device: device::Choice,
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
  rcaffe train --solver stage1.prototxt --solver stage2.prototxt --solver stage3.prototxt
  rcaffe train --solver solver.prototxt --weights pretrained.caffemodel
  rcaffe train --solver solver.prototxt --metrics runs/net.csv --tensorboard runs/net
  rcaffe train --solver solver.prototxt --report runs/net.html";

/// Runs the command.
///
/// # Errors
/// When a file or an option cannot be used, or training leaves the finite numbers.
pub fn run(args: &Args) -> Result<()> {
    let documents = documents(args)?;
    let count = documents.len();
    let mut log = None;
    let mut carried = None;
    let live = documents.first().and_then(|document| live(args, document));
    for (index, document) in documents.into_iter().enumerate() {
        let last = index + 1 == count;
        if index > 0 {
            info!("Solver {} of {count}: {}", index + 1, document.file);
        }
        let prefix = document.message.snapshot_prefix().to_string();
        let mut solver = solver(args, document, carried.take(), live.clone())?;
        if index == 0 {
            log = copy_log(args, &prefix)?;
            solver.on_request(signals::requests(args.sigint_effect, args.sighup_effect)?);
            if let Some(snapshot) = &args.snapshot {
                if args.seed.is_some() {
                    warn!("--seed has no effect on a snapshot that holds random numbers: the run goes on with those");
                }
                info!("{}", tool::resuming(&snapshot.display().to_string()));
                solver.restore(snapshot)?;
            }
        }
        info!("{}", tool::starting());
        if last {
            solver.solve()?;
            break;
        }
        carried = solver.solve_and_carry()?;
        if carried.is_none() {
            break;
        }
    }
    info!("{}", lines::solver::done());
    if let Some(log) = log {
        info!("Log: {}", log.display());
    }
    Ok(())
}

/// The page that `--report` keeps current. A run that goes on begins with what its log tells.
fn live(args: &Args, document: &Document<SolverParameter>) -> Option<Live> {
    let path = args.report.as_deref()?;
    let log = args.log.clone().unwrap_or_else(|| log_of(document.message.snapshot_prefix()));
    let earlier = args.snapshot.as_ref().and_then(|_| Run::read(&log).ok());
    Some(Live::new(path, document, earlier))
}

/// The solver of a document, with what the one before it carried.
fn solver(
    args: &Args,
    document: Document<SolverParameter>,
    carried: Option<Carried>,
    live: Option<Live>,
) -> Result<Solver> {
    let device = args.device.choose(Some(&document.message))?;
    let display = document.message.display().max(0) as usize;
    let file = document.file.clone();
    let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(CaffeLog { display }), Box::new(Progress::new())];
    observers.extend(metrics(args, &document)?);
    observers.extend(live.map(|live| Box::new(live) as Box<dyn Observer>));
    let mut solver = Solver::new(document, observers)?;
    solver.run_on(device);
    if args.keep_going {
        solver.keep_going();
    }
    if let Some(carried) = carried {
        solver.take_over(carried, &file)?;
    }
    Ok(solver)
}

/// The metrics files that the flags name.
fn metrics(args: &Args, document: &Document<SolverParameter>) -> Result<Option<Box<dyn Observer>>> {
    if args.metrics.is_empty() && args.tensorboard.is_none() {
        return Ok(None);
    }
    let mut metrics = Metrics::new(document)?;
    for path in &args.metrics {
        metrics = metrics.file(path)?;
    }
    if let Some(folder) = &args.tensorboard {
        metrics = metrics.tensorboard(folder)?;
    }
    Ok(Some(Box::new(metrics)))
}

/// The solvers to run. Where there are several, what can be wrong in any of them is found before the first one runs, and those
/// that a snapshot has gone beyond are left out.
fn documents(args: &Args) -> Result<Vec<Document<SolverParameter>>> {
    let mut documents = Vec::with_capacity(args.solver.len().max(1));
    for path in &args.solver {
        documents.push(read_solver(path)?);
    }
    if documents.is_empty() {
        documents.push(parse_solver(QUICK_START, "quick_start.prototxt")?);
    }
    for (index, document) in documents.iter_mut().enumerate() {
        apply_flags(&mut document.message, args);
        if index > 0 {
            document.message.weights.clear();
        }
    }
    if documents.len() == 1 {
        return Ok(documents);
    }
    check_sequence(&documents)?;
    if let Some(snapshot) = &args.snapshot {
        let done = read_state(snapshot)?.iter().max(0) as usize;
        let first = documents.iter().position(|document| end_of(&document.message).is_some_and(|end| end > done));
        documents.drain(..first.unwrap_or(documents.len() - 1));
    }
    Ok(documents)
}

/// Refuses solvers that cannot run one after another.
fn check_sequence(documents: &[Document<SolverParameter>]) -> Result<()> {
    let mut before: Option<(&str, usize)> = None;
    for document in documents {
        Solver::check(document)?;
        let fail = |message: String| Err(Error::config("max_iter", message).at(&document.locations.place("max_iter")));
        let Some(end) = end_of(&document.message) else {
            return fail("is not given: the iteration to end at".into());
        };
        if let Some((file, reached)) = before.filter(|(_, reached)| end <= *reached) {
            return fail(format!(
                "must be above {reached}, where {file} ends, not {end}: it counts from the first solver"
            ));
        }
        before = Some((&document.file, end));
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
    let path = log_of(prefix);
    match glog::write_to(&path, append) {
        Ok(()) => Ok(Some(path)),
        Err(error) => {
            warn!("no copy of this log is kept: {error}");
            Ok(None)
        }
    }
}

/// The log that is kept where no other is asked for.
fn log_of(prefix: &str) -> PathBuf {
    PathBuf::from(format!("{prefix}.log"))
}
