//! Tables: `run.csv` with a row for each iteration, `run.test.csv` (`run.test-1.csv` for the second test net, ...) with a row for each
//! test.
//!
//! Two files, not a `phase` column: tests have other outputs than training, and come seldom. In one table most cells would be empty, and
//! whoever reads it would filter first; so both are whole (`pandas.read_csv("run.test.csv").plot(x="lr", y="accuracy")`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Writer, digits, durable::Durable};
use crate::{
    error::{Error, Result},
    report::runs::{
        Record,
        caffe_tables::quoted,
        columns::{self, Column, ITERATION},
        csv::tests_beside,
    },
    snapshot::write_whole,
};

/// The tables of a run.
pub struct Csv {
    train: Table,
    tests: Vec<Table>,
}

impl Csv {
    /// Tables beginning with this one.
    ///
    /// # Errors
    /// When it cannot be written, or is something else than metrics, which would be lost.
    pub fn new(path: &Path) -> Result<Self> {
        Durable::append(path)?;
        let train = Table::new(path.to_owned());
        if let Some(header) = train.text()?.lines().next() {
            train.names(header)?;
        }
        Ok(Csv { train, tests: Vec::new() })
    }
}

impl Writer for Csv {
    fn begin(&mut self, iteration: u64) -> Result<Option<f64>> {
        self.tests.clear();
        for net in 0.. {
            let path = tests_beside(&self.train.path, net);
            if !path.exists() {
                break;
            }
            match iteration {
                0 => fs::remove_file(&path).map_err(|cause| Error::io(&path, cause))?,
                _ => drop(Table::new(path).cut(iteration)?),
            }
        }
        self.train.cut(iteration)
    }

    fn write(&mut self, record: &Record, test: bool) -> Result<()> {
        if !test {
            return self.train.write(record, false);
        }
        while self.tests.len() <= record.net {
            self.tests.push(Table::new(tests_beside(&self.train.path, self.tests.len())));
        }
        self.tests[record.net].write(record, true)
    }
}

struct Table {
    path: PathBuf,
    /// The open file and what each column holds, from the first row on.
    open: Option<(Durable, Vec<Cell>)>,
}

/// What a column holds.
enum Cell {
    Iteration,
    Number(&'static Column),
    /// The output of this number.
    Output(usize),
    /// A number that this run has not.
    Empty,
}

impl Table {
    fn new(path: PathBuf) -> Self {
        Table { path, open: None }
    }

    /// Leaves the rows before an iteration. Returns the seconds in the last of them.
    fn cut(&mut self, iteration: u64) -> Result<Option<f64>> {
        self.open = None;
        let text = self.text()?;
        let Some((header, rows)) = text.split_once('\n').filter(|_| iteration > 0) else {
            return if text.is_empty() { Ok(None) } else { write_whole(&self.path, b"").map(|()| None) };
        };
        let names = self.names(header)?;
        let mut kept = String::from(header) + "\n";
        let mut last = None;
        for row in rows.split_inclusive('\n').filter(|row| row.ends_with('\n')) {
            let first = row.split([',', '\r', '\n']).next().unwrap_or("");
            if first.parse::<f64>().is_ok_and(|number| number < iteration as f64) {
                kept += row;
                last = Some(row);
            }
        }
        if kept.len() != text.len() {
            write_whole(&self.path, kept.as_bytes())?;
        }
        let place = names.iter().position(|name| name == "seconds");
        Ok(last.zip(place).and_then(|(row, place)| row.trim().split(',').nth(place)?.parse().ok()))
    }

    /// The file's text; empty when there is none.
    fn text(&self) -> Result<String> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(_) if !self.path.exists() => Ok(String::new()),
            Err(cause) => Err(Error::io(&self.path, cause)),
        }
    }

    /// The columns that a first line names.
    fn names(&self, header: &str) -> Result<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(header.as_bytes());
        let names = reader.records().next().and_then(Result::ok).unwrap_or_default();
        if names.get(0) != Some(ITERATION[0]) {
            let message =
                "is there already and no table of metrics (its first column is not `iteration`): take another name";
            return Err(Error::data(self.path.display().to_string(), message));
        }
        Ok(names.iter().map(str::to_string).collect())
    }

    fn write(&mut self, record: &Record, test: bool) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.begin(record, test)?);
        }
        let Some((file, cells)) = &mut self.open else { return Ok(()) };
        let text = |cell: &Cell| match cell {
            Cell::Iteration => record.iteration.to_string(),
            Cell::Number(column) => (column.value)(record).map_or(String::new(), digits),
            Cell::Output(index) => record.outputs.get(*index).map_or(String::new(), |output| digits(output.1)),
            Cell::Empty => String::new(),
        };
        let row = cells.iter().map(text).collect::<Vec<_>>().join(",") + "\n";
        file.write(row.as_bytes())
    }

    /// Opens the file for rows such as this one. Columns that an earlier part of the run had not are added to its rows.
    fn begin(&self, record: &Record, test: bool) -> Result<(Durable, Vec<Cell>)> {
        let outputs: Vec<String> = record.outputs.iter().map(|(name, _)| columns::of_output(name, test)).collect();
        let own = columns::of_phase(test);
        let wanted = || {
            [ITERATION[0]]
                .into_iter()
                .chain(own.iter().map(|column| column.name))
                .chain(outputs.iter().map(String::as_str))
        };
        let text = self.text()?;
        let mut names = Vec::new();
        if let Some((header, _)) = text.split_once('\n') {
            names = self.names(header)?;
        }
        let before = names.len();
        for name in wanted() {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_string());
            }
        }
        if before < names.len() {
            let header = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",");
            let commas = ",".repeat(names.len() - before);
            let rows: String = text.lines().skip(1).map(|row| format!("{row}{commas}\n")).collect();
            write_whole(&self.path, format!("{header}\n{rows}").as_bytes())?;
        }
        let cell = |name: &String| match (
            own.iter().find(|column| column.name == name),
            outputs.iter().position(|output| output == name),
        ) {
            _ if name == ITERATION[0] => Cell::Iteration,
            (Some(column), _) => Cell::Number(column),
            (None, Some(index)) => Cell::Output(index),
            (None, None) => Cell::Empty,
        };
        Ok((Durable::append(&self.path)?, names.iter().map(cell).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(iteration: u64, outputs: &[(&str, f64)]) -> Record {
        let outputs = outputs.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        Record { iteration, lr: Some(0.5), seconds: Some(iteration as f64), outputs, ..Record::default() }
    }

    #[test]
    fn a_table_that_goes_on_has_no_row_twice_and_takes_new_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.csv");
        let mut table = Csv::new(&path).unwrap();
        assert_eq!(table.begin(0).unwrap(), None);
        for iteration in 0..4 {
            table.write(&record(iteration, &[("loss", 2.0)]), false).unwrap();
        }
        table.write(&record(2, &[("accuracy", 0.5)]), true).unwrap();
        table.write(&record(3, &[("accuracy", 0.75)]), true).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap() + "4,0.1").unwrap();

        let mut table = Csv::new(&path).unwrap();
        assert_eq!(table.begin(3).unwrap(), Some(2.0));
        table.write(&record(3, &[("loss", 1.0), ("a,b", 7.0)]), false).unwrap();
        let expected = "iteration,epoch,seconds,lr,momentum,loss,smoothed_loss,images_per_second,gradient_norm,output_loss,\"a,b\"\n\
                        0,,0.0,0.5,,,,,,2.0,\n1,,1.0,0.5,,,,,,2.0,\n2,,2.0,0.5,,,,,,2.0,\n3,,3.0,0.5,,,,,,1.0,7.0\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        let tests = "iteration,epoch,seconds,lr,total_loss,accuracy\n2,,2.0,0.5,,0.5\n";
        assert_eq!(fs::read_to_string(folder.path().join("run.test.csv")).unwrap(), tests);

        // A run that begins anew.
        Csv::new(&path).unwrap().begin(0).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert!(!folder.path().join("run.test.csv").exists());
    }

    #[test]
    fn another_table_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sales.csv");
        fs::write(&path, "year,sales\n2025,7\n").unwrap();
        let error = Csv::new(&path).err().unwrap().to_string();
        assert!(error.contains("sales.csv: is there already and no table of metrics"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "year,sales\n2025,7\n");
    }
}
