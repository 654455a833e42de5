//! `rcaffe report`: a page that shows runs.

use std::{fs, path::PathBuf};

use super::runs::read_all;
use crate::{
    error::{Error, Result},
    report::page::{self, Page},
};

/// Write one page that shows runs: curves with zoom and hover, final and best numbers, solvers side by side, layers, confusions.
///
/// The page is one file that needs no network. A RUN is a log of Caffe's or rcaffe's, or a file that `rcaffe train --metrics` wrote;
/// NAME=FILE gives it a name. `rcaffe train --report FILE` keeps such a page current while it trains.
#[derive(clap::Args, Debug)]
#[command(override_usage = "rcaffe report <RUN>... -o <FILE> [OPTIONS]", after_help = EXAMPLES)]
pub struct Args {
    /// Logs, csv or jsonl files
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<String>,
    /// Page to write
    #[arg(long, short = 'o', value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// The heading [default: the names of the runs]
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub title: String,
    /// Confusion matrix to show: the file that `rcaffe test --confusion --csv FILE` writes
    #[arg(long, value_name = "FILE")]
    pub confusion: Option<PathBuf>,
    /// What `rcaffe time` (or Caffe's `caffe time`) printed for the net: the times of its layers
    #[arg(long, value_name = "FILE")]
    pub time: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe report runs/cifar10_triangular2.log -o report.html
  rcaffe report fixed=a.log cyclical=b.log --confusion confusion.csv
  rcaffe time --model net.prototxt 2> time.log && rcaffe report run.log --time time.log";

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or is not what it should be, or the page cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let page = Page {
        title: args.title.clone(),
        runs: read_all(&args.runs)?,
        confusion: args.confusion.as_deref().map(page::read_confusion).transpose()?,
        layers: layers(args)?,
        live: false,
    };
    page::write(&page, &args.out)
}

/// Layers with their times, or with their memory alone from the first run's log.
fn layers(args: &Args) -> Result<Vec<page::Layer>> {
    if let Some(path) = &args.time {
        let text = fs::read(path).map_err(|cause| Error::io(path, cause))?;
        let layers = page::read_layers(&String::from_utf8_lossy(&text));
        if layers.iter().all(|layer| layer.forward.is_none()) {
            let message = "holds no times of layers: give a file with what `rcaffe time` printed";
            return Err(Error::data(path.display().to_string(), message));
        }
        return Ok(layers);
    }
    let first = args.runs.first().map_or("", String::as_str);
    let path = first.split_once('=').map_or(first, |(_, path)| path);
    // Read before as a run; what is no text holds no layers.
    let text = fs::read(path).unwrap_or_default();
    Ok(page::read_layers(&String::from_utf8_lossy(&text)))
}
