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
//! value. The last stage may leave `max_iter` to the solver, the solver may leave it to the last stage. With `reset: true`
//! a stage's cycle begins with the stage, as if `start_lr_policy` said so.

use super::{
    Plateau, Policy, Settings,
    momentum::{Momentum, WeightDecay},
    options::settings,
};
use crate::{
    error::{Error, Result},
    proto::{SolverParameter, StageParameter},
};

/// The learning rate, momentum and weight decay of every iteration of a run.
///
/// ```
/// use rcaffe::{prototxt::parse_solver, solver::lr::LearningRate};
///
/// let text = "lr_policy: \"triangular\" base_lr: 0.1 max_lr: 0.5 stepsize: 100 momentum: 0.9 max_iter: 400";
/// let solver = parse_solver(text, "solver.prototxt")?;
/// let learning_rate = LearningRate::new(&solver.message)?;
/// assert_eq!([0, 50, 100, 200].map(|iteration| learning_rate.rate(iteration)), [0.1, 0.3, 0.5, 0.1]);
/// assert_eq!(learning_rate.momentum(50), 0.9);
/// # Ok::<(), rcaffe::Error>(())
/// ```
pub struct LearningRate {
    stages: Vec<Stage>,
    /// Whether the solver has `stage` blocks.
    staged: bool,
    /// What the policy `plateau` remembers.
    plateau: Plateau,
    /// What gives the rates instead of the policies.
    own: Option<OwnRate>,
}

/// A program's own schedule: the rate of an iteration.
type OwnRate = Box<dyn Fn(usize) -> f32 + Send>;

/// New bounds and length of a cycle; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CycleReset {
    /// The rate that the cycle begins with.
    pub base_lr: Option<f32>,
    /// The other bound.
    pub max_lr: Option<f32>,
    /// Half a cycle, in iterations; of `sgdr` the first period.
    pub stepsize: Option<i32>,
}

/// A part of the run with settings of its own.
struct Stage {
    policy: &'static Policy,
    settings: Settings,
    begin: usize,
    /// The first iteration after the stage.
    end: usize,
    momentum: Momentum,
    weight_decay: WeightDecay,
    /// Whether the stage's cycle begins with it.
    reset: bool,
}

impl LearningRate {
    /// Reads and checks a solver's options. A solver without stages is one stage.
    ///
    /// # Errors
    /// When the policy does not exist, an option that it needs is missing or cannot be, or stages do not follow one another;
    /// the field reads `stage[1].stepsize` when a stage is at fault.
    pub fn new(solver: &SolverParameter) -> Result<Self> {
        if solver.stage.is_empty() {
            let only = Stage::new(solver, &StageParameter::default(), 0)?;
            return Ok(LearningRate { stages: vec![only], staged: false, plateau: Plateau::begin(0), own: None });
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
        Ok(LearningRate { stages, staged: true, plateau: Plateau::begin(0), own: None })
    }

    /// The learning rate of an iteration, counted from 0. That of `plateau` has the drops that were seen so far.
    pub fn rate(&self, iteration: usize) -> f32 {
        if let Some(own) = &self.own {
            return own(iteration);
        }
        let stage = self.stage(iteration);
        let (settings, iteration) = (&stage.settings, whole(iteration));
        let ramp = settings.ramp.and_then(|ramp| ramp.at(settings, iteration));
        let rate = ramp.unwrap_or_else(|| (stage.policy.rate)(settings, iteration));
        match settings.min_lr {
            Some(min) if rate < min => min,
            _ => rate,
        }
    }

    /// From now on takes the rates from this function, whatever the policies say.
    pub fn follow(&mut self, rate: impl Fn(usize) -> f32 + Send + 'static) {
        self.own = Some(Box::new(rate));
    }

    /// The momentum of an iteration.
    pub fn momentum(&self, iteration: usize) -> f32 {
        let stage = self.stage(iteration);
        stage.momentum.at(&stage.settings, whole(iteration), self.rate(iteration))
    }

    /// The weight decay of an iteration.
    pub fn weight_decay(&self, iteration: usize) -> f32 {
        let stage = self.stage(iteration);
        stage.weight_decay.at(&stage.settings, whole(iteration))
    }

    /// Whether momentum and weight decay have policies of their own at an iteration.
    pub fn more_than_the_rate_changes(&self, iteration: usize) -> bool {
        let stage = self.stage(iteration);
        !(stage.momentum.is_fixed() && stage.weight_decay.is_fixed())
    }

    /// Takes in the smoothed loss of an iteration, before its rate is asked for. Returns whether `plateau` lowers the rate;
    /// the other policies never look at the loss.
    pub fn observe(&mut self, iteration: usize, smoothed_loss: f32) -> bool {
        let stage = self.stage(iteration);
        if stage.policy.name != "plateau" {
            return false;
        }
        let mut state = self.plateau;
        if stage.reset && stage.begin == iteration {
            state = Plateau::begin(whole(iteration));
        }
        let drops = state.observe(&stage.settings.plateau_winsize, whole(iteration), smoothed_loss);
        self.restore_plateau(state);
        drops
    }

    /// What `plateau` remembers, for snapshots; `None` where no stage has that policy.
    pub fn plateau(&self) -> Option<Plateau> {
        self.stages.iter().any(|stage| stage.policy.name == "plateau").then_some(self.plateau)
    }

    /// Goes on with what `plateau` remembered.
    pub fn restore_plateau(&mut self, state: Plateau) {
        self.plateau = state;
        for stage in &mut self.stages {
            stage.settings.drops = state.current_step;
        }
    }

    /// Begins a cycle at an iteration, with new bounds and a new length where they are given. What lies before it in the same
    /// stage is forgotten: the rate of iterations before it is `base_lr`.
    ///
    /// # Errors
    /// When the policy has no cycle, or a value cannot be; the schedule stays as it was.
    pub fn reset_cycle(&mut self, iteration: usize, reset: CycleReset) -> Result<()> {
        let index = self.stage_at(iteration);
        let stage = &mut self.stages[index];
        if !stage.policy.restarts() {
            let message = format!("{:?} has no cycle that could begin anew", stage.policy.name);
            return Err(Error::config("lr_policy", message));
        }
        let mut settings = stage.settings.clone();
        settings.start_lr_policy = iteration as f32;
        settings.base_lr = reset.base_lr.unwrap_or(settings.base_lr);
        settings.max_lr = reset.max_lr.or(settings.max_lr);
        settings.stepsize = reset.stepsize.unwrap_or(settings.stepsize);
        settings.period = if settings.period.is_some() { reset.stepsize.or(settings.period) } else { None };
        for (field, value) in [("base_lr", Some(settings.base_lr)), ("max_lr", settings.max_lr)] {
            if let Some(value) = value.filter(|value| !value.is_finite()) {
                return Err(Error::config(field, format!("must be a number, not {value}")));
            }
        }
        Policy::find(&settings)?;
        stage.settings = settings;
        Ok(())
    }

    /// The policy of an iteration, as the solver file names it.
    pub fn policy_at(&self, iteration: usize) -> &str {
        self.stage(iteration).policy.name
    }

    /// How many steps `step`, `multistep` or `plateau` has taken up to an iteration: `current_step` of Caffe's snapshots.
    /// 0 for the other policies.
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
        (self.staged && self.stages[stage].begin == iteration).then_some((stage, self.stages.len()))
    }

    /// The iteration at which a stage ends.
    ///
    /// # Panics
    /// When there is no such stage.
    pub fn stage_end(&self, stage: usize) -> usize {
        self.stages[stage].end
    }

    /// What a stage computes its rates from.
    pub(super) fn settings_of(&self, stage: usize) -> &Settings {
        &self.stages[stage].settings
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
        Some(_) => Stage::new(solver, overrides, begin),
    }
}

impl Stage {
    fn new(solver: &SolverParameter, overrides: &StageParameter, begin: usize) -> Result<Self> {
        let settings = settings(solver, overrides, begin)?;
        let policy = Policy::find(&settings)?;
        let reset = overrides.reset();
        if reset && !(policy.restarts() || policy.name == "plateau") {
            let message = format!("{:?} has no cycle that could begin anew: leave it out", policy.name);
            return Err(Error::config("reset", message));
        }
        let end = settings.max_iter.max(0) as usize;
        let momentum = Momentum::read(solver, overrides, &settings)?;
        let weight_decay = WeightDecay::read(solver, overrides, &settings)?;
        Ok(Stage { policy, settings, begin, end, momentum, weight_decay, reset })
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
