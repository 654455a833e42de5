//! `rcaffe check`: what would fail or surprise, before a run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::output;
use crate::{
    check::{self, Options, Report, Severity},
    error::{Error, Result},
};

/// Find everything that would fail or surprise in a run, before it: all problems, each with file and line.
///
/// Prints the layers' shapes, parameters, memory, operations and receptive fields, the schedule in epochs and cycles, then the
/// problems. Ends with code 1 when there are errors, with 0 when there are warnings and notes only.
#[derive(clap::Args, Debug)]
#[command(override_usage = "rcaffe check --solver <FILE> | --model <FILE> [OPTIONS]", after_help = EXAMPLES)]
pub struct Args {
    /// Solver to check, with the nets that it names (prototxt); several are checked one by one
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    pub solver: Vec<PathBuf>,
    /// Net to check, in both phases (prototxt)
    #[arg(long, value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// Do not report data and weights that are not on this machine
    #[arg(long)]
    pub without_data: bool,
    /// Print the problems only
    #[arg(long)]
    pub brief: bool,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe check --solver solvers/cifar10_triangular2.prototxt
  rcaffe check --model models/alexnet.prototxt --without-data";

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, or errors were found.
pub fn run(args: &Args) -> Result<()> {
    let options = Options { without_data: args.without_data };
    let solvers = args.solver.iter().map(|path| (path, check::solver as Check));
    let models = args.model.iter().map(|path| (path, check::model as Check));
    let mut errors = 0;
    for (path, check) in solvers.chain(models) {
        let text = fs::read(path).map_err(|cause| Error::io(path, cause))?;
        let report = check(&String::from_utf8_lossy(&text), &path.display().to_string(), options);
        print(path, &report, args.brief)?;
        errors += report.count(Severity::Error);
    }
    match errors {
        0 => Ok(()),
        count => Err(Error::data("check", format!("{count} error{} found", if count == 1 { "" } else { "s" }))),
    }
}

type Check = fn(&str, &str, Options) -> Report;

fn print(path: &Path, report: &Report, brief: bool) -> Result<()> {
    if !brief {
        for line in report.table.iter().chain(&report.facts) {
            output::line(line)?;
        }
    }
    for problem in &report.problems {
        output::line(problem)?;
    }
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(severity, name)| (report.count(severity), name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
        .collect();
    let found = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
    output::line(format_args!("{}: {found}", path.display()))
}
