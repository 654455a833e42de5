//! `rcaffe parse-log`: the tables of a log, as Caffe's `tools/extra/parse_log.py` makes them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::output;
use crate::{
    error::{Error, Result},
    prototxt::number::stream,
    report::runs::caffe_tables::{Row, Tables, csv},
};

/// Read the training and test tables out of logs, as Caffe's parse_log.py does.
///
/// Any log of Caffe (2013 to 1.0), of NVIDIA's or Smith's Caffe, or of rcaffe. Columns: NumIters, Seconds, LearningRate and the net's
/// outputs. As in Caffe's script a training row has the learning rate that was printed before it, that of the row above.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Logs to read
    #[arg(value_name = "LOG", required = true)]
    pub logs: Vec<PathBuf>,
    /// Folder for LOG.train and LOG.test, the csv files that Caffe's script writes [default: print the tables]
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print this table of the one log as csv: train or test
    #[arg(long, value_name = "PHASE", conflicts_with = "out", hide_possible_values = true)]
    pub csv: Option<Table>,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe parse-log caffe.log
  rcaffe parse-log caffe.log caffe.INFO -o tables
  rcaffe parse-log caffe.log --csv test";

/// One of a log's two tables.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Table {
    /// Displayed iterations.
    Train,
    /// Tests.
    Test,
}

/// Runs the command.
///
/// # Errors
/// When a log cannot be read, holds no table, or a file cannot be written.
pub fn run(args: &Args) -> Result<()> {
    if let (Some(_), [_, second, ..]) = (args.csv, &args.logs[..]) {
        let message = format!("prints one table, {} would be a second one; -o DIR writes files", second.display());
        return Err(Error::config("--csv", message));
    }
    for log in &args.logs {
        let tables = read(log)?;
        match (args.csv, &args.out) {
            (Some(Table::Train), _) => output::text(&csv(&tables.train))?,
            (Some(Table::Test), _) => output::text(&csv(&tables.test))?,
            (None, Some(folder)) => write(&tables, log, folder)?,
            (None, None) => print(&tables, log)?,
        }
    }
    Ok(())
}

fn read(log: &Path) -> Result<Tables> {
    let bytes = fs::read(log).map_err(|cause| Error::io(log, cause))?;
    let tables = Tables::of_log(&String::from_utf8_lossy(&bytes));
    if tables.train.is_empty() && tables.test.is_empty() {
        let message =
            "holds no lines of `Train net output` or `Test net output` behind an `Iteration N`: is it Caffe's log?";
        return Err(Error::data(log.display().to_string(), message));
    }
    Ok(tables)
}

/// Writes `LOG.train` and `LOG.test`; a table without rows gets no file, as in Caffe.
fn write(tables: &Tables, log: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|cause| Error::io(folder, cause))?;
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    for (kind, rows) in [("train", &tables.train), ("test", &tables.test)] {
        if !rows.is_empty() {
            let path = folder.join(format!("{name}.{kind}"));
            fs::write(&path, csv(rows)).map_err(|cause| Error::io(&path, cause))?;
            output::line(format!("{} ({} rows)", path.display(), rows.len()))?;
        }
    }
    Ok(())
}

fn print(tables: &Tables, log: &Path) -> Result<()> {
    for (kind, rows) in [("training", &tables.train), ("test", &tables.test)] {
        if let Some(first) = rows.first() {
            output::line(format!("{}: {kind}", log.display()))?;
            output::text(&aligned(first, rows))?;
        }
    }
    Ok(())
}

/// A table with its columns one below the other, numbers in six digits.
fn aligned(first: &Row, rows: &[Row]) -> String {
    let column = |(name, _): &(String, f64)| {
        let cell = |row: &Row| row.iter().find(|(known, _)| known == name).map_or(String::new(), |cell| stream(cell.1));
        let mut cells: Vec<String> = vec![name.clone()];
        cells.extend(rows.iter().map(cell));
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        (cells, width)
    };
    let columns: Vec<(Vec<String>, usize)> = first.iter().map(column).collect();
    let line = |row: usize| {
        let cells = columns.iter().map(|(cells, width)| format!("  {:>width$}", cells[row]));
        cells.collect::<String>() + "\n"
    };
    (0..=rows.len()).map(line).collect()
}
