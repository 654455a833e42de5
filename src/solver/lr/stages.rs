//! The schedule of a run: one policy throughout, or `stage { }` blocks one after another (the paper's Table 2).
//!
//! ```text
//! lr_policy: "triangular2"
//! stage { base_lr: 0.001   max_lr: 0.005   stepsize: 2000                         max_iter: 16000 }
//! stage { base_lr: 0.0001  max_lr: 0.0005  stepsize: 1000 start_lr_policy: 16000  max_iter: 22000 }
//! stage { base_lr: 0.00001 max_lr: 0.00005 stepsize: 500  start_lr_policy: 22000  max_iter: 25000 }
//! ```
//!
//! A stage runs until its own `max_iter`, counted from the start of the run; a field that it leaves out keeps the solver's
//! value. The last stage may leave `max_iter` to the solver, the solver may leave it to the last stage.

use super::{Policy, Settings};
use crate::{
    error::{Error, Result},
    proto::{SolverParameter, StageParameter, solver_parameter::ExpRangeDecay},
};

/// The learning rate, momentum and weight decay of every iteration of a run.
pub struct LearningRate {
    stages: Vec<Stage>,
    /// Whether the solver has `stage` blocks.
    staged: bool,
}

/// A part of the run with settings of its own.
struct Stage {
    policy: &'static Policy,
    settings: Settings,
    /// The first iteration after the stage.
    end: usize,
    momentum: f32,
    weight_decay: f32,
}

impl LearningRate {
    /// Reads and checks a solver's options. A solver without stages is one stage.
    ///
    /// # Errors
    /// When the policy does not exist, an option that it needs is missing or cannot be, or stages do not follow one another;
    /// the field reads `stage[1].stepsize` when a stage is at fault.
    pub fn new(solver: &SolverParameter) -> Result<Self> {
        if solver.stage.is_empty() {
            let only = Stage::new(solver, &StageParameter::default())?;
            return Ok(LearningRate { stages: vec![only], staged: false });
        }
        let count = solver.stage.len();
        let mut stages: Vec<Stage> = Vec::with_capacity(count);
        for (index, overrides) in solver.stage.iter().enumerate() {
            let begin = stages.last().map_or(0, |stage| stage.end);
            let stage = stage(solver, overrides, begin, index + 1 == count);
            stages.push(stage.map_err(|error| in_stage(error, index))?);
        }
        let end = stages[count - 1].end;
        if solver.max_iter() as usize > end {
            let message = format!("the stages end at {end}, before {}: leave it out", solver.max_iter());
            return Err(Error::config("max_iter", message));
        }
        Ok(LearningRate { stages, staged: true })
    }

    /// The learning rate of an iteration, counted from 0.
    pub fn rate(&self, iteration: usize) -> f32 {
        let stage = self.stage(iteration);
        (stage.policy.rate)(&stage.settings, whole(iteration))
    }

    /// The momentum of an iteration.
    pub fn momentum(&self, iteration: usize) -> f32 {
        self.stage(iteration).momentum
    }

    /// The weight decay of an iteration.
    pub fn weight_decay(&self, iteration: usize) -> f32 {
        self.stage(iteration).weight_decay
    }

    /// The policy of an iteration, as the solver file names it.
    pub fn policy_at(&self, iteration: usize) -> &str {
        self.stage(iteration).policy.name
    }

    /// How many steps `step` or `multistep` has taken up to an iteration: `current_step` of Caffe's snapshots. 0 for the
    /// other policies.
    pub fn steps_taken(&self, iteration: usize) -> usize {
        let stage = self.stage(iteration);
        (stage.policy.steps)(&stage.settings, whole(iteration)) as usize
    }

    /// The number of the step that `multistep` takes at this very iteration, counted from 1, if it takes one.
    pub fn multistep_at(&self, iteration: usize) -> Option<usize> {
        let stepping = self.policy_at(iteration) == "multistep"
            && self.stage(iteration).settings.stepvalue.contains(&whole(iteration));
        stepping.then(|| self.steps_taken(iteration))
    }

    /// The stage that an iteration belongs to, counted from 0; the last one for all iterations behind the end.
    pub fn stage_at(&self, iteration: usize) -> usize {
        let running = self.stages.iter().position(|stage| iteration < stage.end);
        running.unwrap_or(self.stages.len() - 1)
    }

    /// The stage that begins at this very iteration, counted from 0, and the number of stages. `None` for a solver without
    /// stages.
    pub fn stage_beginning_at(&self, iteration: usize) -> Option<(usize, usize)> {
        let stage = self.stage_at(iteration);
        let begin = if stage == 0 { 0 } else { self.stages[stage - 1].end };
        (self.staged && begin == iteration).then_some((stage, self.stages.len()))
    }

    /// The iteration at which a stage ends.
    ///
    /// # Panics
    /// When there is no such stage.
    pub fn stage_end(&self, stage: usize) -> usize {
        self.stages[stage].end
    }

    fn stage(&self, iteration: usize) -> &Stage {
        &self.stages[self.stage_at(iteration)]
    }
}

/// Iterations are i32 in Caffe, and so is `max_iter`.
fn whole(iteration: usize) -> i32 {
    i32::try_from(iteration).unwrap_or(i32::MAX)
}

/// The stage with these overrides, which begins where the one before it ends.
fn stage(solver: &SolverParameter, overrides: &StageParameter, begin: usize, last: bool) -> Result<Stage> {
    let end = overrides.max_iter.or(if last { solver.max_iter } else { None });
    match end {
        None => Err(Error::config("max_iter", "is missing: at which iteration does the stage end?")),
        Some(end) if end <= 0 || end as usize <= begin => {
            let message = format!(
                "must be above {begin}, where the stage begins, not {end}: it counts from the start of the run"
            );
            Err(Error::config("max_iter", message))
        }
        Some(_) => Stage::new(solver, overrides),
    }
}

impl Stage {
    fn new(solver: &SolverParameter, overrides: &StageParameter) -> Result<Self> {
        let settings = settings(solver, overrides);
        let policy = Policy::find(&settings)?;
        let end = settings.max_iter.max(0) as usize;
        let momentum = overrides.momentum.unwrap_or(solver.momentum());
        let weight_decay = overrides.weight_decay.unwrap_or(solver.weight_decay());
        Ok(Stage { policy, settings, end, momentum, weight_decay })
    }
}

/// The solver's options with the stage's put over them.
fn settings(solver: &SolverParameter, stage: &StageParameter) -> Settings {
    let stepvalue = if stage.stepvalue.is_empty() { &solver.stepvalue } else { &stage.stepvalue };
    let decay = stage.exp_range_decay.unwrap_or(solver.exp_range_decay().into());
    Settings {
        lr_policy: stage.lr_policy.as_deref().unwrap_or(solver.lr_policy()).to_owned(),
        base_lr: stage.base_lr.unwrap_or(solver.base_lr()),
        max_lr: stage.max_lr.or(solver.max_lr),
        stepsize: stage.stepsize.unwrap_or(solver.stepsize()),
        start_lr_policy: stage.start_lr_policy.unwrap_or(solver.start_lr_policy()),
        gamma: stage.gamma.or(solver.gamma),
        power: stage.power.unwrap_or(solver.power()),
        stepvalue: stepvalue.clone(),
        max_iter: stage.max_iter.unwrap_or(solver.max_iter()),
        decay_amplitude: decay == i32::from(ExpRangeDecay::Amplitude),
    }
}

/// Names the stage at fault in front of the option.
fn in_stage(error: Error, index: usize) -> Error {
    match error {
        Error::Config { place, field, message } => {
            Error::Config { place, field: format!("stage[{index}].{field}"), message }
        }
        other => other,
    }
}
