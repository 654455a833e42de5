//! `rcaffe schedule`: the learning rate of every iteration, without training.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use log::warn;

use super::output;
use crate::{
    error::{Error, Result},
    prototxt::{number::float, read_solver},
    report::chart::{self, Axis, Chart, Mark, Series},
    solver::schedule::{Point, Schedule, TrainingSet},
};

/// Show the learning rate of every iteration without training: stages, cycles, epochs, numbers and pictures.
///
/// Solvers run one after another, as `rcaffe train` runs them. Warns where training or a stage ends within a cycle: the paper
/// (arXiv 1506.01186) advises to stop at the end of one.
#[derive(clap::Args, Debug)]
#[command(override_usage = "rcaffe schedule --solver <FILE> [OPTIONS]", after_help = EXAMPLES)]
pub struct Args {
    /// Solver to look at (prototxt); given several times, they run one after another, each until its own max_iter
    #[arg(long, value_name = "FILE", required = true)]
    pub solver: Vec<PathBuf>,
    /// Iterations to show, from the first number to before the second [default: all]
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub iters: Option<Range<usize>>,
    /// File for the numbers: iteration,lr,momentum,stage
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Picture of the rates, with the ends of cycles (.svg or .png)
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Draw the picture on the terminal
    #[arg(long)]
    pub terminal: bool,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe schedule --solver solvers/cifar10_triangular2.prototxt
  rcaffe schedule --solver solver.prototxt --iters 0..4000 --csv rates.csv --plot rates.svg
  rcaffe schedule --solver stage1.prototxt --solver stage2.prototxt --terminal";

/// `A..B`, either left out for the first and the last iteration.
fn range(text: &str) -> Result<Range<usize>, String> {
    let wrong = || format!("{text:?} is no range of iterations; write it as 0..4000");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str, default: usize| {
        if text.is_empty() { Ok(default) } else { text.parse().map_err(|_| wrong()) }
    };
    let (from, to) = (number(from, 0)?, number(to, usize::MAX)?);
    if from < to { Ok(from..to) } else { Err(format!("{text:?} holds no iteration")) }
}

/// Runs the command.
///
/// # Errors
/// When a solver cannot be read or is wrong, or a file cannot be written.
pub fn run(args: &Args) -> Result<()> {
    args.plot.as_deref().map(chart::check_extension).transpose()?;
    let solvers = args.solver.iter().map(|path| read_solver(path)).collect::<Result<Vec<_>>>()?;
    let schedule = Schedule::of(&solvers)?;
    let set = match TrainingSet::of(&solvers[0]) {
        Ok(set) => set,
        Err(error) => {
            warn!("epochs are not known: {error}");
            None
        }
    };
    let range = args.iters.clone().unwrap_or(0..schedule.end());
    let points = schedule.points(&range);
    if points.is_empty() {
        let message = format!("begins at {}, and training ends at {}", range.start, schedule.end());
        return Err(Error::config("--iters", message));
    }
    for line in schedule.summary(set.as_ref()) {
        output::line(line)?;
    }
    for line in schedule.warnings() {
        output::line(format_args!("warning: {line}"))?;
    }
    for line in schedule.notes(set.as_ref()) {
        output::line(format_args!("note: {line}"))?;
    }
    if let Some(path) = &args.csv {
        fs::write(path, csv(&points)).map_err(|cause| Error::io(path, cause))?;
    }
    let picture = || picture(&schedule, &range, &points);
    if args.terminal {
        output::text(&picture().terminal(TERMINAL.0, TERMINAL.1))?;
    }
    args.plot.as_deref().map_or(Ok(()), |path| picture().write(path))
}

fn csv(points: &[Point]) -> String {
    let row = |point: &Point| {
        let [rate, momentum] = [point.rate, point.momentum].map(float);
        format!("{},{rate},{momentum},{}\n", point.iteration, point.stage + 1)
    };
    std::iter::once("iteration,lr,momentum,stage\n".to_owned()).chain(points.iter().map(row)).collect()
}

/// Columns and rows of the picture on a terminal.
pub(super) const TERMINAL: (usize, usize) = (100, 24);
/// With more cycles than this their ends are not marked: the marks would be all there is.
const MOST_MARKS: usize = 40;

/// The rates, the momentum where it changes, the ends of cycles and the stages.
fn picture(schedule: &Schedule, range: &Range<usize>, points: &[Point]) -> Chart {
    let pairs = |value: fn(&Point) -> f32| -> Vec<(f64, f64)> {
        points.iter().map(|point| (point.iteration as f64, f64::from(value(point)))).collect()
    };
    let mut chart = Chart::new(Axis::linear("iteration"), Axis::linear("learning rate"));
    let files: Vec<&str> = schedule.parts().iter().map(|part| part.file.as_str()).collect();
    chart.title = format!("Learning rate of {}", names(&files));
    chart.series.push(Series::new("learning rate", pairs(|point| point.rate)));
    if points.windows(2).any(|pair| pair[0].momentum != pair[1].momentum) {
        chart.right = Some(Axis::linear("momentum"));
        chart.series.push(Series::new("momentum", pairs(|point| point.momentum)).right());
    }
    let ends: Vec<usize> =
        schedule.cycle_ends().into_iter().filter(|end| *end > range.start && *end <= range.end).collect();
    let shown = if ends.len() > MOST_MARKS { &[] } else { ends.as_slice() };
    let begins = schedule.parts().iter().enumerate().skip(1).map(|(stage, part)| (part.iterations.start, stage + 1));
    let begins: Vec<(usize, usize)> = begins.filter(|(begin, _)| range.contains(begin)).collect();
    let is_begin = |end: &&usize| begins.iter().any(|(begin, _)| begin == *end);
    for (number, end) in shown.iter().enumerate().filter(|(_, end)| !is_begin(end)) {
        let label = if number == 0 { "end of cycle".to_owned() } else { String::new() };
        chart.marks.push(Mark { x: *end as f64, label });
    }
    chart.marks.extend(begins.iter().map(|&(begin, stage)| Mark { x: begin as f64, label: format!("stage {stage}") }));
    chart
}

/// File names, each once.
fn names(files: &[&str]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for file in files {
        let name = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or(file);
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_end_of_a_range_may_be_left_out() {
        assert_eq!(range("3..9"), Ok(3..9));
        assert_eq!(range("..9"), Ok(0..9));
        assert_eq!(range("3.."), Ok(3..usize::MAX));
        assert!(range("9..3").unwrap_err().contains("holds no iteration"));
        assert!(range("9").is_err() && range("a..3").is_err());
    }
}
