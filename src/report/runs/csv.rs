//! Tables with commas: `--metrics run.csv`, `rcaffe trace`, the files of Caffe's `parse_log.py`.

use std::{fs, path::Path};

use csv::StringRecord;

use super::{
    Record, Run,
    columns::{self, ITERATION},
};
use crate::error::{Error, Result};

/// Whether this is the first line of such a table.
pub fn is_table(first: &str) -> bool {
    first.split(',').any(|name| ITERATION.contains(&name.trim().trim_matches('"')))
}

/// Reads a table, and the tables of tests beside it.
///
/// # Errors
/// When a cell is no number, or a row has more or fewer cells than the first line.
pub fn read(text: &str, path: &Path) -> Result<Run> {
    let mut run = Run::default();
    if let Some(net) = net_of(path) {
        run.test = records(text, path, Some(net))?;
        return Ok(run);
    }
    run.train = records(text, path, None)?;
    for net in 0.. {
        let path = tests_beside(path, net);
        let Ok(bytes) = fs::read(&path) else { break };
        run.test.extend(records(&String::from_utf8_lossy(&bytes), &path, Some(net))?);
    }
    run.test.sort_by_key(|record| record.iteration);
    Ok(run)
}

/// The table of a test net beside the table of training: `run.test.csv` and `run.test-1.csv` beside `run.csv`, `caffe.log.test`
/// beside `caffe.log.train`.
pub fn tests_beside(path: &Path, net: usize) -> std::path::PathBuf {
    let number = if net == 0 { String::new() } else { format!("-{net}") };
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("train") | None => path.with_extension(format!("test{number}")),
        Some(extension) => path.with_extension(format!("test{number}.{extension}")),
    }
}

/// The number of the test net whose table the file is by its name; `None` for training.
fn net_of(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?;
    let part = name.rsplit('.').take(2).find(|part| part.starts_with("test"))?;
    match part.strip_prefix("test")? {
        "" => Some(0),
        number => number.strip_prefix('-')?.parse().ok(),
    }
}

fn records(text: &str, path: &Path, test: Option<usize>) -> Result<Vec<Record>> {
    let complete = text.rfind('\n').map_or("", |end| &text[..=end]);
    let fail = |line: u64, message: String| Error::data(format!("{}:{line}", path.display()), message);
    let unreadable = |error: csv::Error| match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, pos } => {
            let message = format!("{len} cells, the first line names {expected_len}");
            fail(pos.as_ref().map_or(0, csv::Position::line), message)
        }
        _ => Error::data(path.display().to_string(), error.to_string()),
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(complete.as_bytes());
    let header = reader.headers().map_err(unreadable)?.clone();
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(unreadable)?;
        let line = row.position().map_or(0, csv::Position::line);
        records.push(record(&header, &row, test).map_err(|message| fail(line, message))?);
    }
    Ok(records)
}

fn record(header: &StringRecord, row: &StringRecord, test: Option<usize>) -> Result<Record, String> {
    let mut record = Record { net: test.unwrap_or(0), ..Record::default() };
    for (name, cell) in header.iter().zip(row) {
        if ["", "NA"].contains(&cell) {
            continue;
        }
        let value: f64 = cell.parse().map_err(|_| format!("column {name:?} holds {cell:?}, which is no number"))?;
        if ITERATION.contains(&name) {
            record.iteration = iteration(value)?;
        } else {
            columns::set(&mut record, test.is_some(), name, value);
        }
    }
    Ok(record)
}

/// A number as an iteration; other programs write 20.0.
pub fn iteration(value: f64) -> Result<u64, String> {
    if value >= 0.0 && value.fract() == 0.0 && value < 1e18 {
        return Ok(value as u64);
    }
    Err(format!("{value} is no iteration: these are whole numbers from 0 up"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_several_programs() {
        let path = Path::new("nowhere/caffe.log.train");
        let run = read("NumIters,Seconds,LearningRate,loss\r\n0.0,0.13,0.01,2.31161\r\n20.0,0.21,1e-05,nan\r\n", path)
            .unwrap();
        assert_eq!((run.train[0].seconds, run.train[1].iteration, run.train[1].lr), (Some(0.13), 20, Some(1e-5)));
        assert!(run.train[1].loss.unwrap().is_nan());
        let run = read("iter,lr,loss\n0,0.1,2\n1,0.1,\n2,0.", Path::new("trace.csv")).unwrap();
        assert_eq!((run.train.len(), run.train[1].loss), (2, None));
        let run = read("NumIters,loss\n5,2\n", Path::new("a.test")).unwrap();
        assert_eq!((run.train.len(), run.test[0].output("loss")), (0, Some(2.0)));
    }

    #[test]
    fn a_cell_that_is_no_number_has_its_line() {
        let error = |text: &str| read(text, Path::new("a.csv")).unwrap_err().to_string();
        assert_eq!(error("iteration,lr\n0,1\n1,x\n"), "a.csv:3: column \"lr\" holds \"x\", which is no number");
        assert_eq!(error("iteration,lr\n0\n"), "a.csv:2: 1 cells, the first line names 2");
        assert_eq!(error("iteration\n0.5\n"), "a.csv:2: 0.5 is no iteration: these are whole numbers from 0 up");
    }

    proptest::proptest! {
        #[test]
        fn any_table_is_read_or_refused(text in "iteration(,[a-z\"\n]{0,4}){0,3}\n([0-9.e\",NA\n\r]|\\PC){0,60}") {
            let found = read(&text, Path::new("nowhere/a.csv"));
            proptest::prop_assert!(found.is_ok() || !found.unwrap_err().to_string().contains('\n'));
        }
    }

    #[test]
    fn tests_lie_beside() {
        let beside = |path: &str, net| tests_beside(Path::new(path), net).to_str().unwrap().to_string();
        assert_eq!(beside("a/run.csv", 0), "a/run.test.csv");
        assert_eq!(beside("a/run.csv", 1), "a/run.test-1.csv");
        assert_eq!(beside("caffe.log.train", 0), "caffe.log.test");
        assert_eq!(
            ["run.test.csv", "run.test-2.csv", "run.csv", "latest.csv"].map(|path| net_of(Path::new(path))),
            [Some(0), Some(2), None, None]
        );
    }
}
