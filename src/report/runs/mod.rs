//! What a run says of itself, while it runs or afterwards: [`Run::read`] takes any log of Caffe's, rcaffe's own logs, and the
//! tables that `--metrics` and `parse-log` write.
//!
//! | file | known by |
//! |---|---|
//! | log of Caffe 2013 to 1.0, of NVIDIA's and Smith's Caffe, of rcaffe | lines with `Iteration N` |
//! | csv: `--metrics run.csv`, `rcaffe trace`, the files of `parse-log` | a first line that names an `iteration` (`iter`, `NumIters`) |
//! | jsonl: `--metrics run.jsonl` | a first line that begins with `{` |

pub mod caffe_tables;
pub(crate) mod columns;
pub(super) mod csv;
mod jsonl;
mod line;
mod log;
mod series;

use std::{fs, path::Path};

pub use series::X;

use crate::error::{Error, Result};

/// A run: what it printed or wrote, in order of iterations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// The file's name without its folder and last extension.
    pub name: String,
    /// Training, iteration by iteration, as far as it was displayed.
    pub train: Vec<Record>,
    /// Test passes.
    pub test: Vec<Record>,
    /// The solver in text format, where a log holds it; of several solvers in a row all that differ.
    pub solver_text: Option<String>,
}

/// The numbers of one iteration or of one test pass; `None` for what the file does not say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Counted from 0. A test pass at iteration N is made after N updates.
    pub iteration: u64,
    /// Of a test pass: which test net. 0 in training.
    pub net: usize,
    /// Seconds of running since the run began; the time between a stop and a resume does not count.
    pub seconds: Option<f64>,
    /// Passes over the training set so far.
    pub epoch: Option<f64>,
    /// The learning rate.
    pub lr: Option<f64>,
    /// The momentum.
    pub momentum: Option<f64>,
    /// The loss; of a test pass the weighted sum of all losses, where `test_compute_loss` asked for it.
    pub loss: Option<f64>,
    /// The mean of the last `average_loss` losses, which is what logs show.
    pub smoothed_loss: Option<f64>,
    /// Images trained on per second.
    pub images_per_second: Option<f64>,
    /// The L2 norm of the gradient of all parameters.
    pub gradient_norm: Option<f64>,
    /// The net's outputs; the second value of a blob that has several is `NAME[1]`, and so on.
    pub outputs: Vec<(String, f64)>,
}

/// Whether a file that begins so is a table or lines of JSON; a text that is neither may be a log.
pub(crate) fn is_table_or_json(start: &str) -> bool {
    let first = start.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    first.trim_start().starts_with('{') || csv::is_table(first)
}

/// A line of a log without glog's prefix.
pub(crate) fn message_of(line: &str) -> &str {
    line::split(line).1
}

impl Record {
    /// The output of this name.
    pub fn output(&self, name: &str) -> Option<f64> {
        self.outputs.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Adds a value of the output of this name.
    fn add_output(&mut self, name: &str, value: f64) {
        let mut unique = name.to_string();
        let mut index = 0;
        while self.output(&unique).is_some() {
            index += 1;
            unique = format!("{name}[{index}]");
        }
        self.outputs.push((unique, value));
    }
}

impl Run {
    /// Reads a log, csv or jsonl file; which it is shows in its content. Beside `run.csv` its tests are read from `run.test.csv`,
    /// `run.test-1.csv` and so on. A last line that is not complete is left out: the run may still be going on.
    ///
    /// ```
    /// use rcaffe::report::runs::{Run, X};
    ///
    /// let folder = std::env::temp_dir().join(format!("rcaffe_runs_{}", std::process::id()));
    /// std::fs::create_dir_all(&folder)?;
    /// let log = "Iteration 0, Testing net (#0)\n    Test net output #0: accuracy = 0.098\n\
    ///            Iteration 0, loss = 2.3\nIteration 0, lr = 0.01\n\
    ///            Iteration 20, loss = 2.1\nIteration 20, lr = 0.025\n";
    /// std::fs::write(folder.join("net.log"), log)?;
    ///
    /// let run = Run::read(&folder.join("net.log"))?;
    /// assert_eq!(run.name, "net");
    /// assert_eq!(run.series("loss", X::Iteration).unwrap(), [(0.0, 2.3), (20.0, 2.1)]);
    /// assert_eq!(run.series("accuracy", X::Rate).unwrap(), [(0.01, 0.098)]);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the file cannot be read, or holds no run; the message names file and line.
    pub fn read(path: &Path) -> Result<Run> {
        let bytes = fs::read(path).map_err(|cause| Error::io(path, cause))?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut run = if first.is_empty() {
            return Err(Error::data(path.display().to_string(), "is empty: no run is in it"));
        } else if first.trim_start().starts_with('{') {
            jsonl::read(text, path)?
        } else if csv::is_table(first) {
            csv::read(text, path)?
        } else {
            log::read(text)
        };
        if run.train.is_empty() && run.test.is_empty() {
            let message = "holds no run: neither a log with lines of `Iteration N, loss = ...`, nor a csv or jsonl file with a \
                           column `iteration`";
            return Err(Error::data(path.display().to_string(), message));
        }
        run.name = name;
        Ok(run)
    }
}
