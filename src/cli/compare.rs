//! `rcaffe compare`: what differs between two files, first and by how much.

use std::path::PathBuf;

use super::output;
use crate::{
    compare,
    error::{Error, Result},
    prototxt::number::stream,
};

/// Show what differs between two logs, metrics files, weights, states or dumps.
///
/// Logs are compared line by line without times, process numbers and file names; metrics column by column without times; weights
/// (.caffemodel, .h5), states and .npz files blob by blob. The exit code is 1 when something differs by more than --tol.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The first file
    #[arg(value_name = "A")]
    pub first: PathBuf,
    /// The second file
    #[arg(value_name = "B")]
    pub second: PathBuf,
    /// Relative difference that passes: in logs and metrics relative to the larger number, in blobs to the blob's largest value
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    pub tol: f64,
    /// Differences to print at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub show: usize,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe compare caffe.log rcaffe.log --tol 1e-3
  rcaffe compare runs/a.csv runs/b.csv
  rcaffe compare net_iter_5000.caffemodel resumed_iter_5000.caffemodel
  rcaffe compare caffe.npz rcaffe.npz --tol 1e-4";

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, the two cannot be compared, or they differ by more than the tolerance.
pub fn run(args: &Args) -> Result<()> {
    if args.tol.is_nan() || args.tol < 0.0 {
        return Err(Error::config("--tol", format!("must be a number from 0 up, not {}", args.tol)));
    }
    let found = compare::files(&args.first, &args.second, args.tol)?;
    for difference in found.differences.iter().take(args.show) {
        let text = difference.to_string();
        let (first, lines) = text.split_at(text.find('\n').unwrap_or(text.len()));
        let passes = if difference.is_within(args.tol) { " (passes)" } else { "" };
        output::line(format!("{first}{passes}{lines}"))?;
    }
    if found.differences.len() > args.show {
        output::line(format!("... and {} more (--show)", found.differences.len() - args.show))?;
    }
    output::line(&found)?;
    let beyond = found.beyond().count();
    if beyond == 0 {
        return Ok(());
    }
    let files = format!("{} and {}", args.first.display(), args.second.display());
    let (units, unit, tolerance) = (found.units, found.unit(), stream(args.tol));
    let message = format!("{beyond} of {units} {unit} differ by more than the tolerance (--tol {tolerance})");
    Err(Error::data(files, message))
}
