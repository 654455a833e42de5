//! Schedules without training: the rate and momentum of every iteration, the cycles, and what they come to in epochs.
//!
//! [`points`] gives the numbers of one solver; [`Schedule`] those of solvers that run one after another, as `rcaffe train` runs
//! them, with what is to be said about them (`advice`).

mod advice;

use std::ops::Range;

pub use advice::Advice;

use super::{
    end_of,
    lr::{Cycle, LearningRate},
    training_description,
};
use crate::{
    data::extent::{Extent, extent},
    error::{Error, Result},
    net::filter,
    proto::{NetParameter, SolverParameter},
    prototxt::Document,
};

/// Rate and momentum of an iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The iteration, counted from 0.
    pub iteration: usize,
    /// The learning rate of its update.
    pub rate: f32,
    /// The momentum of its update.
    pub momentum: f32,
    /// The stage that it belongs to, counted from 0.
    pub stage: usize,
}

/// Rate, momentum and stage of these iterations, as training has them.
///
/// The rate of `plateau` depends on the loss; these are its rates without a drop.
///
/// ```
/// use rcaffe::{prototxt::parse_solver, solver::schedule};
///
/// let text = "lr_policy: \"triangular2\" max_iter: 40 momentum: 0.9
///     stage { base_lr: 0.1 max_lr: 0.5 stepsize: 10 max_iter: 20 }
///     stage { base_lr: 0.0625 max_lr: 0.25 stepsize: 5 start_lr_policy: 20 }";
/// let solver = parse_solver(text, "solver.prototxt")?;
/// let points = schedule::points(&solver.message, 0..40)?;
/// assert_eq!((points[10].rate, points[10].stage), (0.5, 0));
/// assert_eq!((points[25].rate, points[25].stage), (0.25, 1));
/// # Ok::<(), rcaffe::Error>(())
/// ```
///
/// # Errors
/// When the solver's options are wrong for its policies.
pub fn points(solver: &SolverParameter, iterations: Range<usize>) -> Result<Vec<Point>> {
    Ok(points_of(&LearningRate::new(solver)?, iterations))
}

fn points_of(learning_rate: &LearningRate, iterations: Range<usize>) -> Vec<Point> {
    let point = |iteration| Point {
        iteration,
        rate: learning_rate.rate(iteration),
        momentum: learning_rate.momentum(iteration),
        stage: learning_rate.stage_at(iteration),
    };
    iterations.map(point).collect()
}

/// The schedule of solvers that run one after another, each until its own `max_iter`.
pub struct Schedule {
    parts: Vec<Part>,
}

/// A stage of a solver: iterations with one policy.
pub struct Part {
    /// The solver's file.
    pub file: String,
    /// The stage within the solver, counted from 0; 0 for a solver without stages.
    pub stage: usize,
    /// The policy.
    pub policy: String,
    /// The iterations.
    pub iterations: Range<usize>,
    /// The cycles that lie in them, or reach into them.
    pub cycles: Vec<Cycle>,
    /// Whether the policy runs in cycles.
    pub cyclical: bool,
    /// Rate and momentum of the iterations.
    points: Vec<Point>,
}

impl Part {
    /// The least and the largest rate.
    pub fn bounds(&self) -> (f32, f32) {
        let rates = || self.points.iter().map(|point| point.rate);
        (rates().fold(f32::INFINITY, f32::min), rates().fold(f32::NEG_INFINITY, f32::max))
    }

    /// Whether training that stops behind this part stops at the end of a cycle, or behind the last one.
    pub fn ends_with_a_cycle(&self) -> bool {
        self.cycles.last().is_none_or(|cycle| cycle.whole)
    }
}

impl Schedule {
    /// The schedule of these solvers.
    ///
    /// # Errors
    /// When one of them has no end, does not end behind the one before it, or has options that are wrong for its policies.
    pub fn of(solvers: &[Document<SolverParameter>]) -> Result<Self> {
        let mut parts = Vec::new();
        let mut begin = 0;
        for solver in solvers {
            let fail =
                |message: String| Err(Error::config("max_iter", message).at(&solver.locations.place("max_iter")));
            let Some(end) = end_of(&solver.message) else {
                return fail("is not given: the iteration to end at".into());
            };
            if begin > 0 && end <= begin {
                return fail(format!(
                    "must be above {begin}, where the solver before it ends, not {end}: it counts from the first solver"
                ));
            }
            let learning_rate = LearningRate::new(&solver.message).map_err(|error| match &error {
                Error::Config { field, .. } => {
                    let place = solver.locations.place(field);
                    error.at(&place)
                }
                _ => error,
            })?;
            add_parts(&mut parts, &solver.file, &learning_rate, begin..end);
            begin = end;
        }
        Ok(Schedule { parts })
    }

    /// Its stages, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The iteration at which training ends.
    pub fn end(&self) -> usize {
        self.parts.last().map_or(0, |part| part.iterations.end)
    }

    /// Rate and momentum of these iterations, as far as training goes; stages are counted through all solvers.
    pub fn points(&self, iterations: &Range<usize>) -> Vec<Point> {
        let all = self
            .parts
            .iter()
            .enumerate()
            .flat_map(|(stage, part)| part.points.iter().map(move |point| Point { stage, ..*point }));
        all.filter(|point| iterations.contains(&point.iteration)).collect()
    }

    /// The iterations at which a cycle ends, in order.
    pub fn cycle_ends(&self) -> Vec<usize> {
        let cycles = self.parts.iter().flat_map(|part| &part.cycles);
        cycles.filter(|cycle| cycle.whole).map(|cycle| cycle.end).collect()
    }
}

fn add_parts(parts: &mut Vec<Part>, file: &str, learning_rate: &LearningRate, iterations: Range<usize>) {
    let cycles = learning_rate.cycles(iterations.end);
    let mut begin = iterations.start;
    while begin < iterations.end {
        let stage = learning_rate.stage_at(begin);
        let is_last = stage == learning_rate.stage_at(usize::MAX);
        let end = if is_last { iterations.end } else { learning_rate.stage_end(stage).min(iterations.end) };
        let here = |cycle: &&Cycle| cycle.stage == stage && cycle.end > begin;
        parts.push(Part {
            file: file.to_owned(),
            stage,
            policy: learning_rate.policy_at(begin).to_owned(),
            iterations: begin..end,
            cycles: cycles.iter().filter(here).copied().collect(),
            cyclical: learning_rate.is_cyclical_at(begin),
            points: points_of(learning_rate, begin..end),
        });
        begin = end;
    }
}

/// The training data of a solver: images in the set and images that an iteration takes.
#[derive(Debug)]
pub struct TrainingSet {
    /// The data layer's source and batch.
    pub extent: Extent,
    /// Images of one iteration: the batch times `iter_size`.
    pub per_iteration: usize,
}

impl TrainingSet {
    /// The set of the first data layer of the solver's training net; `None` when that net reads no data set.
    ///
    /// # Errors
    /// When the net cannot be read.
    pub fn of(solver: &Document<SolverParameter>) -> Result<Option<Self>> {
        let net = training_description(solver)?;
        TrainingSet::of_net(&net.message, &net.file, &solver.message)
    }

    /// The set of the first data layer of a net, in the state that the net says.
    pub(crate) fn of_net(net: &NetParameter, file: &str, solver: &SolverParameter) -> Result<Option<Self>> {
        let base = std::path::Path::new(file).parent();
        let found = filter(net, file)?.layer.iter().find_map(|layer| extent(layer, base));
        let passes = solver.iter_size().max(1) as usize;
        Ok(found.map(|extent| TrainingSet { per_iteration: extent.batch * passes, extent }))
    }

    /// Images in the set, where it tells.
    pub fn images(&self) -> Option<usize> {
        self.extent.images.as_ref().ok().copied().flatten()
    }

    /// What these iterations are in epochs, where the size of the set is known.
    pub fn epochs(&self, iterations: usize) -> Option<f64> {
        let images = self.images().filter(|&images| images > 0)?;
        Some(iterations as f64 * self.per_iteration as f64 / images as f64)
    }
}
