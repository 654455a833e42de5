//! Solvers: the training loop, learning rates, update rules, stages.
//!
//! [`Solver::new`] builds the nets that a solver file names; [`Solver::solve`] trains, tests and snapshots as the file says and
//! tells its [`Observer`]s what happens. Learning rates are in `lr`, update rules in `update`.

mod best;
mod carry;
mod events;
pub mod lr;
mod nets;
mod resume;
mod run;
pub mod schedule;
mod smoothing;
mod snapshots;
mod testing;
mod update;
mod validate;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use best::Best;
pub use carry::Carried;
pub use events::{Event, Iteration, NetSource, Observer, Pace, Score, TestResult};
use lr::{CycleReset, LearningRate};
use nets::TestNet;
pub(crate) use nets::{Description, end_of, test_descriptions, training_description};
use smoothing::SmoothedLoss;
pub use testing::Scores;
use update::UpdateRule;

use crate::{
    error::{Error, Place, Result},
    net::{Learnable, Net, run_all_on},
    ops::update::{Segment, Workspace},
    proto::{RunState, SolverParameter},
    prototxt::{Document, Locations},
    rng::SharedRandom,
    tensor::{Buffer, Device},
};

/// What the outside asks of a running solver, between iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Write a snapshot and go on.
    Snapshot,
    /// Stop after this iteration, with a last snapshot.
    Stop,
}

/// Trains a net.
pub struct Solver {
    document: Document<SolverParameter>,
    net: Net,
    test_nets: Vec<TestNet>,
    learning_rate: LearningRate,
    update: Box<dyn UpdateRule>,
    /// One buffer per history of the update rule, laid out as the net's parameters.
    history: Vec<Buffer>,
    /// Memory that updates work in.
    workspace: Workspace,
    /// Where each parameter lies, and how it learns at this iteration.
    segments: Vec<Segment>,
    iteration: usize,
    /// The engine that all nets draw from.
    random: SharedRandom,
    smoothed: SmoothedLoss,
    /// The iteration at which the smoothed loss begins.
    start: usize,
    /// What the next run begins with, after a resume.
    resumed_loss: Option<(usize, SmoothedLoss)>,
    /// The run's state from before the test pass that is going on.
    before_test: Option<RunState>,
    best: Option<Best>,
    clock: Instant,
    last_displayed: usize,
    stopping: bool,
    keeps_going: bool,
    last_snapshot: Option<PathBuf>,
    observers: Vec<Box<dyn Observer>>,
    requests: Box<dyn FnMut() -> Option<Request> + Send>,
}

impl Solver {
    /// Builds the nets and the state of a solver from its (upgraded) message.
    ///
    /// # Errors
    /// When an option cannot be right, or a net, weights or data cannot be read; the message names file and line.
    pub fn new(document: Document<SolverParameter>, mut observers: Vec<Box<dyn Observer>>) -> Result<Self> {
        tell(&mut observers, &Event::Initializing(&document.message));
        let sources = Sources::of(&document);
        let (learning_rate, update) = checked(&sources)?;
        let seed = document.message.random_seed();
        let random = if seed >= 0 { SharedRandom::new(seed as u32) } else { SharedRandom::of_the_moment() };
        let mut net = nets::train_net(&sources, &random, &mut observers)?;
        net.share_memory();
        let test_nets = nets::test_nets(&sources, &net, &random, &mut observers)?;
        let best = Best::new(&sources, &test_nets)?;
        tell(&mut observers, &Event::Ready);
        let histories = update.rule(0, 0.0).histories();
        let history = (0..histories).map(|_| Buffer::zeros(net.parameters().data().len())).collect();
        let segments = segments_of(&net);
        let window = document.message.average_loss().max(1) as usize;
        Ok(Solver {
            net,
            test_nets,
            learning_rate,
            update,
            history,
            workspace: Workspace::default(),
            segments,
            iteration: 0,
            random,
            smoothed: SmoothedLoss::new(window),
            start: 0,
            resumed_loss: None,
            before_test: None,
            best,
            clock: Instant::now(),
            last_displayed: 0,
            stopping: false,
            keeps_going: false,
            last_snapshot: None,
            observers,
            requests: Box::new(|| None),
            document,
        })
    }

    /// Checks what can be checked of a solver without its nets: options, schedule, update rule, where snapshots go.
    ///
    /// # Errors
    /// When an option cannot be right; the message names file and line.
    pub fn check(document: &Document<SolverParameter>) -> Result<()> {
        checked(&Sources::of(document)).map(drop)
    }

    /// All that [`check`](Solver::check) can find: the first error in each of options, snapshots, schedule and update rule.
    pub(crate) fn errors(document: &Document<SolverParameter>) -> Vec<Error> {
        let sources = Sources::of(document);
        let results = [
            validate::check(&sources),
            snapshots::check(&sources),
            LearningRate::new(sources.parameter).map(drop).map_err(|error| sources.locate(error)),
            update::update_rule(sources.parameter).map(drop).map_err(|error| sources.locate(error)),
        ];
        results.into_iter().filter_map(Result::err).collect()
    }

    /// From now on asks this function between iterations what the outside wants.
    pub fn on_request(&mut self, requests: impl FnMut() -> Option<Request> + Send + 'static) {
        self.requests = Box::new(requests);
    }

    /// From now on trains on, as Caffe does, when a loss or a gradient is not finite; otherwise that ends the run.
    pub fn keep_going(&mut self) {
        self.keeps_going = true;
    }

    /// From now on trains and tests there.
    pub fn run_on(&mut self, device: Device) {
        let test_nets = self.test_nets.iter_mut().map(|test| &mut test.net);
        run_all_on(device, std::iter::once(&mut self.net).chain(test_nets));
    }

    /// Iterations done.
    pub fn iteration(&self) -> usize {
        self.iteration
    }

    /// The net being trained.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The net being trained, to run it by hand.
    pub fn net_mut(&mut self) -> &mut Net {
        &mut self.net
    }

    /// The learning rate by iteration.
    pub fn learning_rate(&self) -> &LearningRate {
        &self.learning_rate
    }

    /// The nets that are tested with its weights.
    pub fn test_nets(&self) -> impl Iterator<Item = &Net> {
        self.test_nets.iter().map(|test| &test.net)
    }

    /// From now on takes the learning rate of each iteration from this function; the policy is not asked any more. The solver
    /// file does not know of it: a run that goes on from a snapshot follows the file, unless told again.
    ///
    /// Together with an [`Observer`], which may be a closure, this is how a program sets rates and logs metrics of its own:
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// use rcaffe::{
    ///     prototxt::parse_solver,
    ///     solver::{Event, Solver},
    /// };
    ///
    /// let text = r#"
    ///     net_param {
    ///       layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param { shape { dim: 2 dim: 3 }
    ///         shape { dim: 2 dim: 1 } data_filler { value: 1 } } }
    ///       layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 } }
    ///       layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" }
    ///     }
    ///     lr_policy: "fixed" base_lr: 0.01 max_iter: 4 snapshot_after_train: false
    /// "#;
    /// let history = Arc::new(Mutex::new(Vec::new()));
    /// let log = Arc::clone(&history);
    /// let observer = move |event: &Event<'_>| {
    ///     if let Event::Iteration(at) = event {
    ///         log.lock().unwrap().push((at.iteration, at.rate, at.loss));
    ///     }
    /// };
    /// let mut solver = Solver::new(parse_solver(text, "solver.prototxt")?, vec![Box::new(observer)])?;
    /// solver.follow(|iteration| 0.1 * 0.5_f32.powi(iteration as i32));
    /// solver.solve()?;
    /// let rates: Vec<f32> = history.lock().unwrap().iter().map(|&(_, rate, _)| rate).collect();
    /// assert_eq!(rates, [0.1, 0.05, 0.025, 0.0125]);
    /// # Ok::<(), rcaffe::Error>(())
    /// ```
    pub fn follow(&mut self, rate: impl Fn(usize) -> f32 + Send + 'static) {
        self.learning_rate.follow(rate);
    }

    /// Begins a cycle of the learning rate at the next iteration, with new bounds and a new length where they are given (the
    /// Keras callback's `_reset`). The solver file does not know of it: a run that goes on from a snapshot follows the file.
    ///
    /// ```
    /// use rcaffe::{
    ///     prototxt::parse_solver,
    ///     solver::{Solver, lr::CycleReset},
    /// };
    ///
    /// let text = r#"
    ///     net_param {
    ///       layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param { shape { dim: 2 dim: 3 }
    ///         shape { dim: 2 dim: 1 } data_filler { value: 1 } } }
    ///       layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 } }
    ///       layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" }
    ///     }
    ///     lr_policy: "triangular" base_lr: 0.01 max_lr: 0.05 stepsize: 4 max_iter: 6 snapshot_after_train: false
    /// "#;
    /// let mut solver = Solver::new(parse_solver(text, "solver.prototxt")?, Vec::new())?;
    /// solver.solve()?;
    /// solver.reset_cycle(CycleReset { max_lr: Some(0.03), stepsize: Some(2), ..CycleReset::default() })?;
    /// let rates: Vec<f32> = (6..11).map(|iteration| solver.learning_rate().rate(iteration)).collect();
    /// assert_eq!(rates, [0.01, 0.02, 0.03, 0.02, 0.01]);
    /// # Ok::<(), rcaffe::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the policy has no cycle, or a value cannot be; the schedule stays as it was.
    pub fn reset_cycle(&mut self, reset: CycleReset) -> Result<()> {
        let iteration = self.iteration;
        self.learning_rate.reset_cycle(iteration, reset)
    }

    fn parameter(&self) -> &SolverParameter {
        &self.document.message
    }

    fn sources(&self) -> Sources<'_> {
        Sources::of(&self.document)
    }
}

/// The schedule and the update rule of a solver whose options are right.
fn checked(sources: &Sources<'_>) -> Result<(LearningRate, Box<dyn UpdateRule>)> {
    validate::check(sources)?;
    snapshots::check(sources)?;
    let learning_rate = LearningRate::new(sources.parameter).map_err(|error| sources.locate(error))?;
    let update = update::update_rule(sources.parameter).map_err(|error| sources.locate(error))?;
    Ok((learning_rate, update))
}

/// The places of a net's parameters; rates are filled in at each iteration.
fn segments_of(net: &Net) -> Vec<Segment> {
    let mut start = 0;
    let segment = |learnable: &Learnable| {
        let count = learnable.blob.count();
        start += count;
        Segment { start: start - count, count, rate: 0.0, decay: 0.0 }
    };
    net.parameters().learnable().iter().map(segment).collect()
}

/// A solver's message and where it stands.
struct Sources<'a> {
    pub parameter: &'a SolverParameter,
    pub file: &'a str,
    pub base: Option<&'a Path>,
    locations: &'a Locations,
}

impl<'a> Sources<'a> {
    fn of(document: &'a Document<SolverParameter>) -> Self {
        Sources {
            parameter: &document.message,
            file: &document.file,
            base: nets::folder_of(&document.file),
            locations: &document.locations,
        }
    }

    /// Where a field of the solver file stands; the file alone when the field is not there.
    fn place(&self, field: &str) -> Place {
        self.locations.place(field)
    }

    /// Adds the place of the field that the error names.
    fn locate(&self, error: crate::Error) -> crate::Error {
        match &error {
            crate::Error::Config { field, .. } => {
                let place = self.place(field);
                error.at(&place)
            }
            _ => error,
        }
    }
}

fn tell(observers: &mut [Box<dyn Observer>], event: &Event<'_>) {
    for observer in observers {
        observer.observe(event);
    }
}
