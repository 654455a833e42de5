//! A page that is kept current while a run goes on.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use log::warn;

use super::{Page, write};
use crate::{
    net::Net,
    proto::SolverParameter,
    prototxt::{Document, print_solver},
    report::runs::{Record, Run},
    solver::{Event, Iteration, Observer, TestResult, schedule::TrainingSet},
};

/// The shortest time between two pages.
const PAUSE: Duration = Duration::from_secs(3);
/// How much longer than a page takes to write the run goes on undisturbed.
const SHARE: u32 = 200;
/// The iterations between two points where the solver displays none.
const INTERVAL: usize = 100;

/// Writes the page of a run while it goes on: at most every 3 seconds, and seldom enough that training is not slowed by more
/// than half a percent. Clones write the same page: one for each of several solvers that run one after another.
#[derive(Debug, Clone)]
pub struct Live(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    page: Page,
    set: Option<TrainingSet>,
    begin: Instant,
    /// Seconds of the runs before this one that it goes on from.
    before: f64,
    next: Instant,
    warned: bool,
}

impl Live {
    /// The page at `path` of this solver's run. `earlier` is the run that it goes on from, as far as its log is there.
    pub fn new(path: &Path, solver: &Document<SolverParameter>, earlier: Option<Run>) -> Self {
        let mut run = earlier.unwrap_or_default();
        run.name = Path::new(&solver.file).file_stem().map_or_else(String::new, |name| name.to_string_lossy().into());
        let page = Page { runs: vec![run], live: true, ..Page::default() };
        // A set that does not tell its size has no epochs; what is wrong with a net is said when it is built.
        let set = TrainingSet::of(solver).ok().flatten();
        let now = Instant::now();
        let path = path.to_path_buf();
        Live(Arc::new(Mutex::new(State { path, page, set, begin: now, before: 0.0, next: now, warned: false })))
    }
}

impl Observer for Live {
    fn observe(&mut self, event: &Event<'_>) {
        if let Ok(mut state) = self.0.lock() {
            state.observe(event);
        }
    }
}

impl State {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Initializing(parameter) => self.solver(print_solver(parameter)),
            Event::Resumed { iteration, .. } => self.forget(*iteration as u64),
            Event::Iteration(iteration) => {
                if iteration.display || iteration.iteration.is_multiple_of(INTERVAL) {
                    self.train(iteration);
                }
                self.renew();
            }
            Event::Tested(result) => self.test(result),
            Event::Done | Event::StoppedEarly => self.end(),
            _ => {}
        }
    }

    fn run(&mut self) -> &mut Run {
        &mut self.page.runs[0]
    }

    fn solver(&mut self, text: String) {
        self.page.live = true;
        self.run().solver_text = Some(text);
    }

    /// A run that goes on from a snapshot does these iterations again.
    fn forget(&mut self, iteration: u64) {
        self.run().train.retain(|record| record.iteration < iteration);
        self.run().test.retain(|record| record.iteration < iteration);
        self.before = self.run().train.last().and_then(|record| record.seconds).unwrap_or(0.0);
    }

    fn seconds(&self) -> f64 {
        self.before + self.begin.elapsed().as_secs_f64()
    }

    fn train(&mut self, event: &Iteration<'_>) {
        let images = |set: &TrainingSet| (set.per_iteration * event.pace.iterations) as f64;
        let speed = self.set.as_ref().filter(|_| event.display).map(|set| images(set) / f64::from(event.pace.seconds));
        let record = Record {
            iteration: event.iteration as u64,
            seconds: Some(self.seconds()),
            epoch: self.epoch(event.iteration),
            lr: Some(f64::from(event.rate)),
            momentum: Some(f64::from(event.momentum)),
            loss: Some(f64::from(event.loss)),
            smoothed_loss: Some(f64::from(event.smoothed_loss)),
            images_per_second: speed.filter(|speed| speed.is_finite() && *speed > 0.0),
            gradient_norm: event.gradient_norm.map(f64::from),
            outputs: outputs(event.net),
            ..Record::default()
        };
        self.run().train.push(record);
    }

    fn epoch(&self, iteration: usize) -> Option<f64> {
        self.set.as_ref()?.epochs(iteration)
    }

    fn test(&mut self, result: &TestResult<'_>) {
        let seconds = Some(self.seconds());
        let outputs = result.scores.iter().map(|score| (score.name.clone(), f64::from(score.value)));
        let record = Record {
            iteration: result.iteration as u64,
            net: result.net,
            seconds,
            epoch: self.epoch(result.iteration),
            loss: result.loss.map(f64::from),
            outputs: outputs.collect(),
            ..Record::default()
        };
        self.run().test.push(record);
    }

    fn renew(&mut self) {
        let begin = Instant::now();
        if begin >= self.next {
            self.write();
            self.next = Instant::now() + PAUSE.max(begin.elapsed() * SHARE);
        }
    }

    fn end(&mut self) {
        self.page.live = false;
        self.write();
    }

    /// A page that cannot be written does not end a run.
    fn write(&mut self) {
        if let Err(error) = write(&self.page, &self.path) {
            if !self.warned {
                warn!("the report is not written: {error}");
            }
            self.warned = true;
        }
    }
}

impl Drop for State {
    /// A run that ends with an error leaves a page that says so by standing still.
    fn drop(&mut self) {
        if self.page.live && !self.page.runs[0].train.is_empty() {
            self.end();
        }
    }
}

/// The outputs of one value each.
fn outputs(net: &Net) -> Vec<(String, f64)> {
    let single = |output: crate::net::Output<'_>| match output.blob.data().host()[..] {
        [value] => Some((output.name.to_string(), f64::from(value))),
        _ => None,
    };
    net.outputs().filter_map(single).collect()
}
