//! The learning-rate range test (Smith, arXiv 1506.01186, section 3.3): the rate rises from iteration to iteration, and what the
//! accuracy or the loss does meanwhile tells the bounds of a cycle.
//!
//! [`run`] trains nets of its own, which are thrown away: no snapshot is read or written. What it measured ([`RangeTest`]) gives
//! curves ([`Curve`]) and suggestions ([`suggest`]); `write` puts them into a solver file.

mod collect;
mod curve;
mod picture;
pub mod suggest;
mod write;

use std::sync::{Arc, Mutex, PoisonError};

use collect::Collector;
pub use curve::{Curve, Smoothing};
use suggest::{Better, Bounds, Rate};
pub use write::{lines, written};

use crate::{
    error::{Error, Result},
    proto::SolverParameter,
    prototxt::Document,
    solver::{Observer, Request, Solver},
    tensor::Device,
};

/// How the rate rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ramp {
    /// In a line, the paper's way: what the policy `triangular` does with `stepsize` as long as the run.
    Linear,
    /// By the same factor at each iteration.
    Exponential,
}

/// What to test.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The rate to begin with.
    pub from: f32,
    /// The rate that the ramp ends at.
    pub to: f32,
    /// How many iterations it takes.
    pub iterations: usize,
    /// How it rises.
    pub ramp: Ramp,
    /// Iterations between two tests of the accuracy; a fiftieth of all if not given.
    pub test_every: Option<usize>,
    /// Batches of a test; if not given as many as the iterations between tests, and no more than `test_iter`.
    pub test_batches: Option<usize>,
    /// The test stops where the loss is above its lowest times this.
    pub diverge: f32,
    /// How curves are smoothed; if not given, by the mean of a twentieth of the points.
    pub smoothing: Option<Smoothing>,
    /// Where it runs.
    pub device: Device,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            from: 1e-5,
            to: 1.0,
            iterations: 1000,
            ramp: Ramp::Exponential,
            test_every: None,
            test_batches: None,
            diverge: 4.0,
            smoothing: None,
            device: Device::default(),
        }
    }
}

impl Options {
    /// The rate of an iteration. A linear ramp has the numbers of Caffe's `triangular`.
    pub fn rate(&self, iteration: usize) -> f32 {
        let (done, all) = (iteration.min(self.iterations) as f32, self.iterations.max(1) as f32);
        let (from, to) = (f64::from(self.from), f64::from(self.to));
        match self.ramp {
            Ramp::Linear => {
                let x = (done - all) / all;
                f64::from(self.to - self.from).mul_add(1.0 - f64::from(x.abs()), from) as f32
            }
            Ramp::Exponential => (from * (to / from).powf(f64::from(done) / f64::from(all))) as f32,
        }
    }

    fn check(&self) -> Result<()> {
        let fail = |field: &str, message: String| Err(Error::config(field, message));
        let (from, to) = (self.from, self.to);
        if !(from >= 0.0 && from.is_finite()) {
            return fail("--from", format!("must be a rate from 0 up, not {from}"));
        }
        if !(to > from && to.is_finite()) {
            return fail("--to", format!("must be a rate above --from, {from}, not {to}"));
        }
        if self.ramp == Ramp::Exponential && from == 0.0 {
            return fail("--from", "must be above 0 for an exponential ramp; or take --ramp linear".into());
        }
        if self.iterations < 10 {
            return fail("--iters", format!("must be at least 10, not {}", self.iterations));
        }
        if self.test_every == Some(0) || self.test_batches == Some(0) {
            return fail("--test-every", "must be at least 1, as must --test-iter".into());
        }
        if self.diverge.is_nan() || self.diverge <= 1.0 {
            return fail("--diverge", format!("must be above 1, not {}: a multiple of the lowest loss", self.diverge));
        }
        Ok(())
    }
}

/// A value that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The iteration, counted from 0.
    pub iteration: usize,
    /// Its learning rate.
    pub rate: f32,
    /// The loss or accuracy.
    pub value: f32,
}

/// What a range test measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RangeTest {
    /// The training loss of each iteration.
    pub losses: Vec<Sample>,
    /// The accuracy of each test; nothing for a net without one.
    pub accuracies: Vec<Sample>,
    /// The output that the accuracy is.
    pub accuracy: Option<String>,
    /// Why the test stopped before the end of its ramp.
    pub stopped: Option<String>,
    smoothing: Option<Smoothing>,
}

/// Runs a range test on the nets of a solver. Its weights begin as the solver says, by fillers or from `weights`; its momentum,
/// weight decay and update rule are used, its schedule is not.
///
/// ```
/// use rcaffe::{prototxt::parse_solver, range_test::{self, Options, Ramp}};
///
/// let text = r#"
///     net_param {
///       layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
///         data_param { source: "synthetic:shapes/train" batch_size: 10 } }
///       layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
///         pooling_param { pool: AVE kernel_size: 8 stride: 8 } }
///       layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
///         inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
///       layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
///     }
///     lr_policy: "fixed" base_lr: 0.01 max_iter: 1000 random_seed: 1
/// "#;
/// let solver = parse_solver(text, "solver.prototxt")?;
/// let options = Options { from: 1e-4, to: 10.0, iterations: 100, ..Options::default() };
/// let test = range_test::run(&solver, &options, Vec::new())?;
/// assert!(test.losses.len() > 50 && test.losses[1].rate > 1e-4);
/// match test.bounds() {
///     Ok(bounds) => println!("{}", range_test::lines(&solver, &bounds, None)),
///     Err(why) => println!("no suggestion: {why}"),
/// }
/// # Ok::<(), rcaffe::Error>(())
/// ```
///
/// # Errors
/// When an option cannot be, or a net, weights or data cannot be read. A loss that is no number ends the test, and is no error.
pub fn run(
    solver: &Document<SolverParameter>,
    options: &Options,
    mut observers: Vec<Box<dyn Observer>>,
) -> Result<RangeTest> {
    options.check()?;
    let mut document = solver.clone();
    prepare(&mut document.message, options);
    let test = Arc::new(Mutex::new(RangeTest { smoothing: options.smoothing, ..RangeTest::default() }));
    let collector = Collector::new(Arc::clone(&test), options.clone());
    let stop = collector.stop();
    observers.push(Box::new(collector));
    let mut solver = Solver::new(document, observers)?;
    solver.run_on(options.device);
    let accuracy = accuracy_of(&solver);
    lock(&test).accuracy = accuracy;
    let ramp = options.clone();
    solver.follow(move |iteration| ramp.rate(iteration));
    solver.on_request(move || stop.load(std::sync::atomic::Ordering::Relaxed).then_some(Request::Stop));
    let outcome = solver.solve();
    drop(solver);
    let mut test = lock(&test).clone();
    match outcome {
        Err(Error::NonFinite { iteration, .. }) => {
            let rate = options.rate(iteration);
            test.stopped = Some(format!("the loss or a gradient was no number at iteration {iteration}, lr {rate}"));
            Ok(test)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(test),
    }
}

fn lock(test: &Mutex<RangeTest>) -> std::sync::MutexGuard<'_, RangeTest> {
    test.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns a solver into that of the test: no schedule, no snapshots, tests as the options say.
fn prepare(solver: &mut SolverParameter, options: &Options) {
    // What the first stage sets holds for the test.
    if let Some(stage) = solver.stage.first().cloned() {
        solver.momentum = stage.momentum.or(solver.momentum);
        solver.weight_decay = stage.weight_decay.or(solver.weight_decay);
    }
    let every = options.test_every.unwrap_or((options.iterations / 50).max(1));
    for batches in &mut solver.test_iter {
        *batches = options.test_batches.unwrap_or(every.min((*batches).max(1) as usize)) as i32;
    }
    *solver = SolverParameter {
        stage: Vec::new(),
        lr_policy: Some("fixed".into()),
        base_lr: Some(options.to),
        scale_fn: None,
        min_lr: None,
        warmup_iter: None,
        rampup_interval: None,
        cyclical_momentum: Vec::new(),
        max_iter: Some(options.iterations as i32),
        test_interval: (!solver.test_iter.is_empty()).then_some(every as i32),
        test_initialization: Some(true),
        display: Some(0),
        debug_info: None,
        snapshot: Some(0),
        snapshot_after_train: Some(false),
        snapshot_best: None,
        ..std::mem::take(solver)
    };
}

/// The accuracy of the first test net that has one: an output of an Accuracy layer, of a single value.
fn accuracy_of(solver: &Solver) -> Option<String> {
    let net = solver.test_nets().next()?;
    let layers = (0..net.layer_names().count()).filter(|&layer| net.layer_type(layer) == "Accuracy");
    let mut tops = layers.filter_map(|layer| net.layer_tops(layer).next());
    tops.find(|top| net.blob(top).is_some_and(|blob| blob.count() == 1)).map(str::to_owned)
}

impl RangeTest {
    /// The training loss over the rate.
    pub fn loss_curve(&self) -> Curve {
        self.curve(&self.losses)
    }

    /// What the suggestion for the bounds is read from: the accuracy, or the loss where there is none.
    pub fn metric_curve(&self) -> (Curve, Better) {
        match self.accuracies.is_empty() {
            true => (self.loss_curve(), Better::Smaller),
            false => (self.curve(&self.accuracies), Better::Larger),
        }
    }

    fn curve(&self, samples: &[Sample]) -> Curve {
        let pairs = samples.iter().map(|sample| (f64::from(sample.rate), f64::from(sample.value)));
        Curve::new(pairs, self.smoothing)
    }

    /// The bounds by the paper's reading. An accuracy that changes before the loss starts to fall has not started to improve: on a
    /// net that has learnt nothing it jumps from one class's share to another's. Where the bounds lie closer together than a factor of three, `base_lr` is a quarter of
    /// `max_lr`: the paper's rule of thumb.
    ///
    /// # Errors
    /// Why the test does not show any.
    pub fn bounds(&self) -> Result<Bounds, String> {
        let (curve, better) = self.metric_curve();
        let least = suggest::start_of_fall(&self.loss_curve()).unwrap_or(0.0);
        let mut bounds = suggest::papers_reading(&curve, better, least)?;
        if bounds.base_lr * 3.0 > bounds.max_lr {
            bounds.base_lr = bounds.max_lr / 4.0;
            bounds.base_reason = format!("a quarter of max_lr, the paper's rule of thumb; {}", bounds.base_reason);
        }
        Ok(bounds)
    }

    /// The rate at which the loss falls fastest.
    ///
    /// # Errors
    /// Why the test does not show it.
    pub fn steepest_slope(&self) -> Result<Rate, String> {
        suggest::steepest_slope(&self.loss_curve())
    }

    /// A tenth of the rate at which the loss is lowest.
    ///
    /// # Errors
    /// Why the test does not show it.
    pub fn minimum_over_ten(&self) -> Result<Rate, String> {
        suggest::minimum_over_ten(&self.loss_curve())
    }

    /// All that was measured: `iteration,lr,loss,smoothed_loss,accuracy`, the accuracy where there was a test.
    pub fn csv(&self) -> String {
        let smooth = self.loss_curve().smooth;
        let mut smooth = smooth.iter();
        let mut tests = self.accuracies.iter().peekable();
        let mut text = String::from("iteration,lr,loss,smoothed_loss,accuracy\n");
        let mut row = |loss: Option<&Sample>, test: Option<&Sample>| {
            let Some(at) = loss.or(test) else { return };
            let value = |sample: Option<&Sample>| sample.map_or_else(String::new, |sample| sample.value.to_string());
            let finite = loss.filter(|loss| loss.value.is_finite()).and_then(|_| smooth.next());
            let smooth = finite.map_or_else(String::new, |smooth| (*smooth as f32).to_string());
            text += &format!("{},{},{},{smooth},{}\n", at.iteration, at.rate, value(loss), value(test));
        };
        for loss in &self.losses {
            let test = tests.next_if(|test| test.iteration <= loss.iteration);
            row(Some(loss), test);
        }
        tests.for_each(|test| row(None, Some(test)));
        text
    }
}

#[cfg(test)]
mod tests;
