//! `--metrics run.jsonl`: a JSON object in each line, flat, with the columns of the csv files; `phase` is `train` or `test`, `net` the
//! number of the test net. A number that is not finite is `null`.

use std::path::Path;

use serde_json::{Map, Value};

use super::{
    Record, Run,
    columns::{self, ITERATION},
    csv::iteration,
};
use crate::error::{Error, Result};

/// Reads such lines.
///
/// # Errors
/// When a line is no JSON object, or has no iteration.
pub fn read(text: &str, path: &Path) -> Result<Run> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut run = Run::default();
    for (number, line) in (1..).zip(complete.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let fail = |message: String| Error::data(format!("{}:{number}", path.display()), message);
        let object: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| fail(format!("is no JSON object: {error}")))?;
        let test = object.get("phase").and_then(Value::as_str) == Some("test");
        let record = record(&object, test).map_err(fail)?;
        if test { &mut run.test } else { &mut run.train }.push(record);
    }
    Ok(run)
}

fn record(object: &Map<String, Value>, test: bool) -> Result<Record, String> {
    let mut record = Record::default();
    let mut numbered = false;
    for (name, value) in object {
        let Some(value) = value.as_f64() else { continue };
        if ITERATION.contains(&name.as_str()) {
            record.iteration = iteration(value)?;
            numbered = true;
        } else if name == "net" {
            record.net = value as usize;
        } else {
            columns::set(&mut record, test, name, value);
        }
    }
    if numbered { Ok(record) } else { Err("has no number `iteration`".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_records_of_their_phase() {
        let text = "{\"phase\":\"train\",\"iteration\":3,\"lr\":0.5,\"loss\":null,\"aux\":1}\n\
                    {\"phase\":\"test\",\"net\":1,\"iteration\":3,\"loss\":2.5}\n{\"phase\":\"tr";
        let run = read(text, Path::new("a.jsonl")).unwrap();
        assert_eq!((run.train[0].iteration, run.train[0].lr, run.train[0].loss), (3, Some(0.5), None));
        assert_eq!(
            (run.train[0].output("aux"), run.test[0].net, run.test[0].output("loss")),
            (Some(1.0), 1, Some(2.5))
        );
        let error = |text: &str| read(text, Path::new("a.jsonl")).unwrap_err().to_string();
        assert!(error("{\"iteration\":1}\n{\"iteration\":\n").starts_with("a.jsonl:2: is no JSON object: "));
        assert_eq!(error("{\"lr\":1}\n"), "a.jsonl:1: has no number `iteration`");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([\\PC\n]|\\{\"iteration\":[0-9e]{1,4}[,:\"a-z0-9\\[\\]{}]{0,9}\\}\n){0,9}") {
            let found = read(&text, Path::new("a.jsonl"));
            proptest::prop_assert!(found.is_ok() || !found.unwrap_err().to_string().contains('\n'));
        }
    }
}
