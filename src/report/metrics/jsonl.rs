//! Lines of JSON: a flat object for each row, training and tests in the order in which they happen. Its keys are the columns of the
//! tables, and `phase` (`train` or `test`) and `net` (the number of the test net). JSON has no NaN: what is not finite is `null`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Writer, digits, durable::Durable};
use crate::{
    error::{Error, Result},
    report::runs::{Record, columns},
    snapshot::write_whole,
};

/// The file.
pub struct Jsonl {
    path: PathBuf,
    file: Durable,
}

impl Jsonl {
    /// A file at this place.
    ///
    /// # Errors
    /// When it cannot be written, or is something else than metrics, which would be lost.
    pub fn new(path: &Path) -> Result<Self> {
        let file = Jsonl { path: path.to_owned(), file: Durable::append(path)? };
        if let Some((first, _)) = file.text()?.split_once('\n') {
            file.row(1, first)?;
        }
        Ok(file)
    }

    fn text(&self) -> Result<String> {
        let bytes = fs::read(&self.path).map_err(|cause| Error::io(&self.path, cause))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A line's iteration, and its seconds.
    fn row(&self, number: usize, line: &str) -> Result<(f64, Option<f64>)> {
        let object: Value = serde_json::from_str(line).unwrap_or_default();
        match object["iteration"].as_f64() {
            Some(iteration) => Ok((iteration, object["seconds"].as_f64())),
            None => {
                let message =
                    "is there already and no row of metrics (no JSON object with an `iteration`): take another name";
                Err(Error::data(format!("{}:{number}", self.path.display()), message))
            }
        }
    }
}

impl Writer for Jsonl {
    fn begin(&mut self, iteration: u64) -> Result<Option<f64>> {
        let text = self.text()?;
        let (mut kept, mut seconds) = (String::new(), None);
        let complete = text.split_inclusive('\n').filter(|line| iteration > 0 && line.ends_with('\n'));
        for (number, line) in (1..).zip(complete) {
            let (at, at_seconds) = self.row(number, line)?;
            if at < iteration as f64 {
                kept += line;
                seconds = at_seconds.or(seconds);
            }
        }
        if kept.len() != text.len() {
            write_whole(&self.path, kept.as_bytes())?;
            self.file = Durable::append(&self.path)?;
        }
        Ok(seconds)
    }

    fn write(&mut self, record: &Record, test: bool) -> Result<()> {
        let mut row = match test {
            false => format!("{{\"phase\":\"train\",\"iteration\":{}", record.iteration),
            true => format!("{{\"phase\":\"test\",\"net\":{},\"iteration\":{}", record.net, record.iteration),
        };
        for column in columns::of_phase(test) {
            if let Some(value) = (column.value)(record) {
                add(&mut row, column.name, value);
            }
        }
        for (name, value) in &record.outputs {
            add(&mut row, &columns::of_output(name, test), *value);
        }
        row += "}\n";
        self.file.write(row.as_bytes())
    }
}

fn add(row: &mut String, name: &str, value: f64) {
    let value = if value.is_finite() { digits(value) } else { "null".into() };
    *row += &format!(",{}:{value}", Value::from(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_where_the_run_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/run.jsonl");
        let mut file = Jsonl::new(&path).unwrap();
        file.begin(0).unwrap();
        let outputs = vec![("a\"b".to_string(), 1.5), ("loss".to_string(), f64::NAN)];
        let record =
            |iteration| Record { iteration, seconds: Some(0.25), outputs: outputs.clone(), ..Record::default() };
        file.write(&record(0), false).unwrap();
        file.write(&record(1), true).unwrap();
        file.write(&record(1), false).unwrap();
        let first = "{\"phase\":\"train\",\"iteration\":0,\"seconds\":0.25,\"a\\\"b\":1.5,\"output_loss\":null}\n";
        let second = "{\"phase\":\"test\",\"net\":0,\"iteration\":1,\"seconds\":0.25,\"a\\\"b\":1.5,\"loss\":null}\n";
        assert!(fs::read_to_string(&path).unwrap().starts_with(&format!("{first}{second}")));

        assert_eq!(file.begin(1).unwrap(), Some(0.25));
        file.write(&record(1), true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{first}{second}"));
        fs::write(&path, "once\n").unwrap();
        assert!(Jsonl::new(&path).is_err());
        assert!(file.begin(1).unwrap_err().to_string().contains("run.jsonl:1: is there already and no row of metrics"));
    }
}
