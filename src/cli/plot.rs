//! `rcaffe plot`: draws runs.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{output, runs::read_all};
use crate::{
    error::Result,
    report::{
        chart,
        curves::{self, Curves},
        runs::X,
    },
};

/// Draw runs into one picture: test accuracy, loss, learning rate and other numbers of logs and metrics files.
///
/// A RUN is a log of Caffe's or rcaffe's, or a file that `rcaffe train --metrics` wrote; NAME=FILE gives it a name. Quantities are
/// the outputs of the net by name (`accuracy`; `train accuracy` and `test accuracy` where both are known) and loss,
/// smoothed_loss, lr, momentum, images_per_second, gradient_norm. The learning rate has an axis of its own on the right.
#[derive(clap::Args, Debug)]
#[command(override_usage = "rcaffe plot <RUN>... [OPTIONS]", after_help = EXAMPLES)]
pub struct Args {
    /// Logs, csv or jsonl files
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<String>,
    /// What to draw over: iter, lr, epoch or time
    #[arg(long, value_name = "X", default_value = "iter", hide_possible_values = true)]
    pub x: Over,
    /// What to draw, separated by commas [default: the test accuracy, or the loss; and lr]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub y: Vec<String>,
    /// Draw the mean of N points around each, the points themselves in a pale colour
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub smooth: usize,
    /// Words above the picture [default: the run's name, where there is one]
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub title: String,
    /// Make the left axis logarithmic
    #[arg(long)]
    pub log_y: bool,
    /// Make the x axis logarithmic
    #[arg(long)]
    pub log_x: bool,
    /// Picture to write: .svg, or .png of 1920×1080 pixels [default: draw in the terminal]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe plot runs/cifar10_triangular2.log -o accuracy.svg
  rcaffe plot fixed=a.log cyclical=b.log --y accuracy -o compare.png
  rcaffe plot run.csv --y loss,lr --smooth 50 -o loss.svg
  rcaffe plot range.csv --x lr --y accuracy";

/// What to draw over.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The iteration.
    #[value(alias = "iteration")]
    Iter,
    /// The learning rate.
    Lr,
    /// Passes over the training set.
    Epoch,
    /// The time since the run began.
    #[value(alias = "seconds")]
    Time,
}

/// Runs the command.
///
/// # Errors
/// When a run cannot be read, has none of the quantities, or the picture cannot be written.
pub fn run(args: &Args) -> Result<()> {
    if let Some(path) = &args.out {
        chart::check_extension(path)?;
    }
    let runs = read_all(&args.runs)?;
    let curves = Curves {
        y: args.y.iter().map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect(),
        x: match args.x {
            Over::Iter => X::Iteration,
            Over::Lr => X::Rate,
            Over::Epoch => X::Epoch,
            Over::Time => X::Seconds,
        },
        smooth: args.smooth,
        title: args.title.clone(),
        log_y: args.log_y,
        log_x: args.log_x,
    };
    let chart = curves::chart(&runs, &curves)?;
    match &args.out {
        Some(path) => chart.write(path),
        None => output::text(&chart.terminal(columns(), 28)),
    }
}

/// The width of the terminal, as the shell tells it.
fn columns() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(100).clamp(40, 200)
}
