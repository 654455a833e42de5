//! `rcaffe lr-find`: the learning-rate range test.

use std::{fs, path::PathBuf};

use clap::ValueEnum;

use super::{device, output, schedule::TERMINAL};
use crate::{
    error::{Error, Result},
    proto::SolverParameter,
    prototxt::{Document, number::general, read_solver},
    range_test::{self, Options, Ramp, RangeTest, Smoothing},
    report::{chart, progress::Progress},
    solver::{end_of, schedule::TrainingSet},
};

/// Find the bounds of a cyclical learning rate: train throw-away weights while the rate rises, and read the curve.
///
/// The LR range test of the paper (arXiv 1506.01186, section 3.3). No snapshot is read or written. Prints base_lr and max_lr with
/// the reasons, and the lines to paste into the solver.
///
/// A solver whose own schedule is the paper's range test (triangular, stepsize = max_iter) is tested over its own rates.
#[derive(clap::Args, Debug)]
#[command(override_usage = "rcaffe lr-find --solver <FILE> [OPTIONS]", after_help = EXAMPLES)]
pub struct Args {
    /// Solver to test (prototxt)
    #[arg(long, value_name = "FILE")]
    pub solver: PathBuf,
    /// Rate to begin with [default: 1e-5]
    #[arg(long, value_name = "LR")]
    pub from: Option<f32>,
    /// Rate to end with [default: 1]
    #[arg(long, value_name = "LR")]
    pub to: Option<f32>,
    /// Length of the test in iterations [default: 1000]
    #[arg(long, value_name = "N", conflicts_with = "epochs")]
    pub iters: Option<usize>,
    /// Length of the test in epochs, which a data layer has to tell (the paper took about 8)
    #[arg(long, value_name = "E")]
    pub epochs: Option<f64>,
    /// How the rate rises: exp (by the same factor each iteration) or linear (as in the paper) [default: exp]
    #[arg(long, value_name = "RAMP", hide_possible_values = true)]
    pub ramp: Option<RampName>,
    /// Iterations between two tests of the accuracy [default: a fiftieth of the length]
    #[arg(long, value_name = "K")]
    pub test_every: Option<usize>,
    /// Batches of a test [default: as many as the iterations between tests, at most the solver's test_iter]
    #[arg(long, value_name = "N")]
    pub test_iter: Option<usize>,
    /// Stop where the smoothed loss is above its lowest times this
    #[arg(long, value_name = "FACTOR", default_value_t = 4.0)]
    pub diverge: f32,
    /// Smoothing of the curves: mean:POINTS or exp:FACTOR [default: the mean of a twentieth of the points]
    #[arg(long, value_name = "KIND")]
    pub smooth: Option<Smoothing>,
    /// Begin with these weights (.caffemodel files separated by commas)
    #[arg(long, value_name = "FILES")]
    pub weights: Option<String>,
    /// Seed of the random numbers; replaces the solver's random_seed
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// File for what was measured: iteration,lr,loss,smoothed_loss,accuracy
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Picture of the curves with the bounds (.svg or .png)
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Draw the picture on the terminal
    #[arg(long)]
    pub terminal: bool,
    /// Write a copy of the solver with the suggested bounds
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Where to run.
    #[command(flatten)]
    pub device: device::Choice,
}

/// How the rate rises, as the flag writes it.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum RampName {
    /// In a line.
    Linear,
    /// By the same factor at each iteration.
    Exp,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe lr-find --solver solvers/cifar10_triangular2.prototxt --plot lr_find.svg
  rcaffe lr-find --solver solver.prototxt --from 0 --to 0.02 --epochs 8 --ramp linear      (the paper's figure 3)
  rcaffe lr-find --solver solver.prototxt --write solver_with_bounds.prototxt";

/// Runs the command.
///
/// # Errors
/// When an option cannot be, a file cannot be read or written, or a layer fails.
pub fn run(args: &Args) -> Result<()> {
    args.plot.as_deref().map(chart::check_extension).transpose()?;
    [&args.csv, &args.plot, &args.write].into_iter().flatten().try_for_each(|path| output::check_folder(path))?;
    let mut solver = read_solver(&args.solver)?;
    if args.seed.is_some() {
        solver.message.random_seed = args.seed;
    }
    if let Some(weights) = &args.weights {
        solver.message.weights = vec![weights.clone()];
    }
    if let Some(path) = args.write.as_ref().filter(|path| **path == args.solver) {
        return Err(Error::config("--write", format!("{} is the solver itself: name another file", path.display())));
    }
    let epoch = TrainingSet::of(&solver)?.and_then(|set| set.epochs(1)).map(f64::recip);
    let options = options(args, &solver.message, epoch)?;
    let ramp = if options.ramp == Ramp::Linear { "linear" } else { "exponential" };
    output::line(format_args!(
        "LR range test of {}: lr {} to {}, {ramp}, {} iterations",
        solver.file, options.from, options.to, options.iterations
    ))?;
    let test = range_test::run(&solver, &options, vec![Box::new(Progress::new())])?;
    if let Some(path) = &args.csv {
        fs::write(path, test.csv()).map_err(|cause| Error::io(path, cause))?;
    }
    let name = args.solver.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let picture = || test.chart(&format!("LR range test of {name}"), options.ramp);
    if args.terminal {
        output::text(&picture().terminal(TERMINAL.0, TERMINAL.1))?;
    }
    if let Some(path) = &args.plot {
        picture().write(path)?;
    }
    report(args, &solver, &test, epoch)
}

/// What the flags ask for, and for what they leave open the solver, if its schedule is a range test itself.
fn options(args: &Args, solver: &SolverParameter, epoch: Option<f64>) -> Result<Options> {
    let own = own_range(solver).filter(|_| args.from.is_none() && args.to.is_none() && args.ramp.is_none());
    let default = own.unwrap_or_default();
    let iterations = match (args.epochs, epoch) {
        (None, _) => args.iters.unwrap_or(default.iterations),
        (Some(epochs), Some(epoch)) if epochs > 0.0 => (epochs * epoch).round() as usize,
        (Some(epochs), Some(_)) => return Err(Error::config("--epochs", format!("must be above 0, not {epochs}"))),
        (Some(_), None) => {
            let message = "the data layer does not tell how large its set is; give --iters";
            return Err(Error::config("--epochs", message));
        }
    };
    Ok(Options {
        from: args.from.unwrap_or(default.from),
        to: args.to.unwrap_or(default.to),
        iterations,
        ramp: match args.ramp {
            Some(RampName::Linear) => Ramp::Linear,
            Some(RampName::Exp) => Ramp::Exponential,
            None => default.ramp,
        },
        test_every: args.test_every,
        test_batches: args.test_iter,
        diverge: args.diverge,
        smoothing: args.smooth,
        device: args.device.choose(Some(solver))?,
    })
}

/// The paper's way to write a range test: `triangular` with `stepsize` as long as the run.
fn own_range(solver: &SolverParameter) -> Option<Options> {
    let end = end_of(solver)?;
    let is_test = solver.stage.is_empty() && solver.lr_policy() == "triangular" && solver.stepsize() as usize == end;
    let range = Options { from: solver.base_lr(), to: solver.max_lr(), iterations: end, ..Options::default() };
    is_test.then_some(Options { ramp: Ramp::Linear, ..range })
}

fn report(args: &Args, solver: &Document<SolverParameter>, test: &RangeTest, epoch: Option<f64>) -> Result<()> {
    let digits = |rate: f64| general(rate, 2);
    if let Some(why) = &test.stopped {
        output::line(format_args!("stopped after {} iterations: {why}", test.losses.len()))?;
    }
    let bounds = test.bounds();
    match &bounds {
        Ok(bounds) => {
            output::line(format_args!("base_lr {}: {}", digits(bounds.base_lr), bounds.base_reason))?;
            output::line(format_args!("max_lr {}: {}", digits(bounds.max_lr), bounds.max_reason))?;
        }
        Err(why) => output::line(format_args!("no bounds: {why}"))?,
    }
    for (name, found) in [("steepest slope", test.steepest_slope()), ("minimum / 10", test.minimum_over_ten())] {
        match found {
            Ok(found) => output::line(format_args!("{name} {}: {}", digits(found.rate), found.reason))?,
            Err(why) => output::line(format_args!("{name}: none: {why}"))?,
        }
    }
    let Ok(bounds) = bounds else {
        return match &args.write {
            Some(path) => Err(Error::config("--write", format!("{} was not written: no bounds", path.display()))),
            None => Ok(()),
        };
    };
    output::text(&format!("\n{}", range_test::lines(solver, &bounds, epoch)))?;
    if let Some(path) = &args.write {
        let text = fs::read_to_string(&args.solver).map_err(|cause| Error::io(&args.solver, cause))?;
        let text = range_test::written(&text, solver, &bounds, epoch)?;
        fs::write(path, text).map_err(|cause| Error::io(path, cause))?;
    }
    Ok(())
}
