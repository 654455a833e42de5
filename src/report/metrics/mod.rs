//! The numbers of every iteration and every test, in files, while a run goes on: csv, lines of JSON, TensorBoard's event files.
//!
//! The columns are those of [`Record`]; [`Run::read`](super::runs::Run::read) reads csv and jsonl back. Each row is handed to the
//! operating system as it is made, and is on the disk a second later. A run that goes on from a snapshot goes on in the same files: rows
//! of the iterations that it repeats are cut first.

mod csv;
mod durable;
mod jsonl;
mod tensorboard;

use std::{path::Path, time::Instant};

use log::warn;

use super::runs::Record;
use crate::{
    error::{Error, Result},
    net::Net,
    proto::SolverParameter,
    prototxt::Document,
    solver::{Event, Iteration, Observer, TestResult, schedule::TrainingSet},
};

/// Writes what it observes of a run to files.
///
/// ```
/// use rcaffe::{
///     prototxt::parse_solver,
///     report::{
///         metrics::Metrics,
///         runs::{Run, X},
///     },
///     solver::Solver,
/// };
///
/// let text = r#"
///     net_param {
///       layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param { shape { dim: 2 dim: 3 }
///         shape { dim: 2 dim: 1 } data_filler { value: 1 } } }
///       layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 } }
///       layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" top: "loss" }
///     }
///     lr_policy: "fixed" base_lr: 0.25 max_iter: 3 snapshot_after_train: false
/// "#;
/// let solver = parse_solver(text, "solver.prototxt")?;
/// let path = std::env::temp_dir().join(format!("rcaffe_metrics_{}.csv", std::process::id()));
/// let metrics = Metrics::new(&solver)?.file(&path)?;
/// Solver::new(solver, vec![Box::new(metrics)])?.solve()?;
///
/// let run = Run::read(&path)?;
/// assert_eq!(run.series("lr", X::Iteration).unwrap(), [(0.0, 0.25), (1.0, 0.25), (2.0, 0.25)]);
/// assert_eq!(run.train[0].loss, run.train[0].output("loss"));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), rcaffe::Error>(())
/// ```
pub struct Metrics {
    set: Option<TrainingSet>,
    writers: Vec<Box<dyn Writer>>,
    /// When the run began, less the time that it had taken before a resume.
    clock: Option<(Instant, f64)>,
    /// The last iteration, or the beginning; moved on by the time that tests take.
    mark: Instant,
    /// When the present test began.
    testing: Option<Instant>,
    /// The names of the training net's outputs.
    names: Vec<String>,
}

/// A file that takes the rows of a run.
trait Writer: Send {
    /// The run begins or goes on at this iteration: rows of this and later iterations are cut. Returns the seconds of running that
    /// the last row left tells.
    fn begin(&mut self, iteration: u64) -> Result<Option<f64>>;

    /// Writes a row of training, or of the test net that the record names.
    fn write(&mut self, record: &Record, test: bool) -> Result<()>;
}

impl Metrics {
    /// Metrics of this solver's run. They know the size of an epoch where the training net reads a data set that tells its size.
    ///
    /// # Errors
    /// When the training net cannot be read.
    pub fn new(solver: &Document<SolverParameter>) -> Result<Self> {
        Ok(Metrics {
            set: TrainingSet::of(solver)?,
            writers: Vec::new(),
            clock: None,
            mark: Instant::now(),
            testing: None,
            names: Vec::new(),
        })
    }

    /// Writes to this file too: a table, whose tests go to `NAME.test.csv` beside it, or lines of JSON (`.jsonl`).
    ///
    /// # Errors
    /// When the name ends otherwise, or the file cannot be written.
    pub fn file(mut self, path: &Path) -> Result<Self> {
        self.writers.push(match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Box::new(csv::Csv::new(path)?),
            Some("jsonl") => Box::new(jsonl::Jsonl::new(path)?),
            _ => {
                let message = format!("{} must end in .csv or .jsonl, which says what is written", path.display());
                return Err(Error::config("--metrics", message));
            }
        });
        Ok(self)
    }

    /// Writes event files for TensorBoard into this folder too.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn tensorboard(mut self, folder: &Path) -> Result<Self> {
        self.writers.push(Box::new(tensorboard::TensorBoard::new(folder)?));
        Ok(self)
    }

    /// Does the same with every file. One that fails (a full disk) is given up with a warning: training goes on.
    fn each(&mut self, mut action: impl FnMut(&mut dyn Writer) -> Result<()>) {
        self.writers.retain_mut(|writer| match action(&mut **writer) {
            Ok(()) => true,
            Err(error) => {
                warn!("metrics end here: {error}");
                false
            }
        });
    }

    fn begin(&mut self, iteration: usize) {
        let mut before = 0.0f64;
        self.each(|writer| {
            before = before.max(writer.begin(iteration as u64)?.unwrap_or(0.0));
            Ok(())
        });
        self.mark = Instant::now();
        self.clock = Some((self.mark, before));
    }

    fn seconds(&mut self, iteration: usize) -> f64 {
        if self.clock.is_none() {
            self.begin(iteration);
        }
        let (start, before) = self.clock.unwrap_or((self.mark, 0.0));
        // Microseconds are enough, and short to write.
        ((before + start.elapsed().as_secs_f64()) * 1e6).round() / 1e6
    }

    fn iteration(&mut self, event: &Iteration<'_>) {
        let seconds = self.seconds(event.iteration);
        let number = |value: f32| Some(f64::from(value));
        let record = Record {
            iteration: event.iteration as u64,
            seconds: Some(seconds),
            epoch: self.epoch(event.iteration),
            lr: number(event.rate),
            momentum: number(event.momentum),
            loss: number(event.loss),
            smoothed_loss: number(event.smoothed_loss),
            images_per_second: self.images_per_second(),
            gradient_norm: event.gradient_norm.map(f64::from),
            outputs: self.outputs(event.net),
            ..Record::default()
        };
        self.each(|writer| writer.write(&record, false));
    }

    fn epoch(&self, iterations: usize) -> Option<f64> {
        self.set.as_ref()?.epochs(iterations)
    }

    /// The speed since the last iteration, tests left out.
    fn images_per_second(&mut self) -> Option<f64> {
        let seconds = self.mark.elapsed().as_secs_f64();
        self.mark = Instant::now();
        let images = self.set.as_ref()?.per_iteration as f64;
        (images > 0.0 && seconds > 0.0).then(|| (images / seconds * 10.0).round() / 10.0)
    }

    fn outputs(&mut self, net: &Net) -> Vec<(String, f64)> {
        let mut values = Vec::with_capacity(self.names.len());
        let first = self.names.is_empty();
        for output in net.outputs() {
            for (index, &value) in output.blob.data().host().iter().enumerate() {
                if first {
                    self.names.push(numbered(output.name, index));
                }
                values.push(f64::from(value));
            }
        }
        self.names.iter().cloned().zip(values).collect()
    }

    fn tested(&mut self, result: &TestResult<'_>) {
        let mut index = 0;
        let mut before = None;
        let outputs = result.scores.iter().map(|score| {
            index = if before == Some(&score.name) { index + 1 } else { 0 };
            before = Some(&score.name);
            (numbered(&score.name, index), f64::from(score.value))
        });
        let record = Record {
            iteration: result.iteration as u64,
            net: result.net,
            epoch: self.epoch(result.iteration),
            lr: Some(f64::from(result.rate)),
            loss: result.loss.map(f64::from),
            outputs: outputs.collect(),
            seconds: Some(self.seconds(result.iteration)),
            ..Record::default()
        };
        self.each(|writer| writer.write(&record, true));
    }
}

impl Observer for Metrics {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Solving { iteration, .. } => self.begin(*iteration),
            Event::Iteration(iteration) => self.iteration(iteration),
            Event::Testing { .. } => self.testing = Some(Instant::now()),
            Event::Tested(result) => {
                self.tested(result);
                if let Some(begun) = self.testing.take() {
                    self.mark += begun.elapsed();
                }
            }
            _ => {}
        }
    }

    fn wants_gradient_norm(&self) -> bool {
        !self.writers.is_empty()
    }
}

/// The name of a blob's value: the blob's own for the first.
fn numbered(name: &str, index: usize) -> String {
    if index == 0 { name.to_string() } else { format!("{name}[{index}]") }
}

/// A number as the files hold it: as few digits as give it back, those of an f32 where it is one.
fn digits(value: f64) -> String {
    let narrow = value as f32;
    if f64::from(narrow) == value { format!("{narrow:?}") } else { format!("{value:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_come_back() {
        assert_eq!(digits(f64::from(0.1f32)), "0.1");
        assert_eq!(digits(0.1), "0.1");
        assert_eq!(digits(1234.567891), "1234.567891");
        assert_eq!((digits(f64::NAN), digits(f64::NEG_INFINITY)), ("NaN".into(), "-inf".into()));
        assert_eq!(digits(f64::from(1e-7f32)).parse::<f32>(), Ok(1e-7));
    }
}
