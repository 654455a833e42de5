//! From a solver's fields to what the policies compute from.

use super::{Settings, cyclical::Amplitude, ramps::Ramp, scale_fn::ScaleFn};
use crate::{
    error::{Error, Result},
    proto::{
        SolverParameter, StageParameter,
        solver_parameter::{ExpRangeDecay, ScaleMode},
    },
};

/// The solver's options with the stage's put over them; `begin` is the stage's first iteration.
///
/// # Errors
/// When an option cannot be, whatever the policy.
pub(super) fn settings(solver: &SolverParameter, stage: &StageParameter, begin: usize) -> Result<Settings> {
    let decay = stage.exp_range_decay.unwrap_or(solver.exp_range_decay().into());
    let min_lr = stage.min_lr.or(solver.min_lr);
    if let Some(min) = min_lr.filter(|min| !(*min >= 0.0 && min.is_finite())) {
        return Err(Error::config("min_lr", format!("must be a number from 0 up, not {min}")));
    }
    Ok(Settings {
        lr_policy: stage.lr_policy.as_deref().unwrap_or(solver.lr_policy()).to_owned(),
        base_lr: stage.base_lr.unwrap_or(solver.base_lr()),
        max_lr: stage.max_lr.or(solver.max_lr),
        min_lr,
        stepsize: stage.stepsize.unwrap_or(solver.stepsize()),
        start_lr_policy: start(solver, stage, begin)?,
        gamma: stage.gamma.or(solver.gamma),
        power: stage.power.unwrap_or(solver.power()),
        stepvalue: list(&stage.stepvalue, &solver.stepvalue),
        max_iter: stage.max_iter.unwrap_or(solver.max_iter()),
        decay_amplitude: decay == i32::from(ExpRangeDecay::Amplitude),
        amplitude: amplitude(solver, stage)?,
        ramp: Ramp::read(solver)?,
        period: stage.period.or(solver.period),
        p_mult: stage.p_mult.unwrap_or(solver.p_mult()),
        lr_mult: stage.lr_mult.unwrap_or(solver.lr_mult()),
        stagelr: solver.stagelr.clone(),
        stageiter: solver.stageiter.clone(),
        plateau_winsize: list(&stage.plateau_winsize, &solver.plateau_winsize),
        drops: 0,
    })
}

/// The stage's list, or the solver's if the stage has none.
fn list(stage: &[i32], solver: &[i32]) -> Vec<i32> {
    if stage.is_empty() { solver.to_vec() } else { stage.to_vec() }
}

/// `start_lr_policy`: the stage's first iteration where the stage has `reset`.
fn start(solver: &SolverParameter, stage: &StageParameter, begin: usize) -> Result<f32> {
    if !stage.reset() {
        return Ok(stage.start_lr_policy.unwrap_or(solver.start_lr_policy()));
    }
    if stage.start_lr_policy.is_some() {
        let message = "does not go with start_lr_policy: both say where the cycle begins";
        return Err(Error::config("reset", message));
    }
    Ok(begin as f32)
}

fn amplitude(solver: &SolverParameter, stage: &StageParameter) -> Result<Option<Amplitude>> {
    let mode = stage.scale_mode.and_then(|mode| ScaleMode::try_from(mode).ok()).unwrap_or(solver.scale_mode());
    let text = stage.scale_fn.as_deref().or(solver.scale_fn.as_deref());
    text.map(|text| Ok(Amplitude { function: ScaleFn::new(text)?, mode })).transpose()
}
