//! Cyclical policies of Smith, *Cyclical Learning Rates for Training Neural Networks* (arXiv 1506.01186).
//!
//! With `itr = iteration - start_lr_policy`, `cycle = itr / (2·stepsize)` (whole cycles done) and `x` running from -1 to 1
//! within the cycle, the wave `1 - |x|` is 0 at both ends and 1 in the middle. `stepsize` is half a cycle, in iterations.
//! Until the policy has started (`itr <= 0`) every rate is `base_lr`.
//!
//! Appendix A's types are kept: `itr` and `cycle` whole numbers, `x` f32, the wave f64, the rate f32. Computing all in f64
//! prints 0.06 at iteration 400 of a 0→3 ramp over 20,000 where Caffe prints 0.0599999.

use super::{Settings, scale_fn::ScaleFn};
use crate::proto::solver_parameter::ScaleMode;

/// Where an iteration lies in the policy's run.
pub(super) struct Position {
    /// Iterations since the policy started, at least 1.
    pub iterations: i32,
    /// Whole cycles done.
    pub cycle: i64,
    /// From -1 to 1 within the cycle.
    x: f32,
}

impl Position {
    /// `None` until the policy has started.
    pub fn of(settings: &Settings, iteration: i32) -> Option<Self> {
        Position::within(settings.start_lr_policy, settings.stepsize, iteration)
    }

    /// In cycles that start at `start` and take twice `stepsize` iterations.
    pub fn within(start: f32, stepsize: i32, iteration: i32) -> Option<Self> {
        // C++ subtracts in f32 and cuts the fraction off.
        let iterations = (iteration as f32 - start) as i32;
        if iterations <= 0 {
            return None;
        }
        let half = i64::from(stepsize);
        let cycle = i64::from(iterations) / (2 * half);
        let x = (i64::from(iterations) - (2 * cycle + 1) * half) as f32 / stepsize as f32;
        Some(Position { iterations, cycle, x })
    }

    /// `1 - |x|`.
    fn wave(&self) -> f64 {
        1.0 - f64::from(self.x.abs())
    }

    /// `(1 - |x|) / 2^cycle`, between 0 and 1.
    pub fn halving_wave(&self) -> f64 {
        (self.wave() / 2.0_f64.powf(self.cycle as f64)).clamp(0.0, 1.0)
    }
}

/// The height of the wave as the user has it: `scale_fn` and `scale_mode`.
#[derive(Debug, Clone)]
pub(super) struct Amplitude {
    pub function: ScaleFn,
    pub mode: ScaleMode,
}

impl Amplitude {
    fn at(&self, position: &Position) -> f64 {
        let x = match self.mode {
            ScaleMode::Cycle => (position.cycle + 1) as f64,
            ScaleMode::Iterations => f64::from(position.iterations),
        };
        self.function.at(x)
    }
}

/// `base_lr + (max_lr - base_lr) · max(0, 1 - |x|)` (Appendix A). With `scale_fn` the wave is multiplied by the function's
/// value at the cycle, counted from 1, or at itr, as `scale_mode` says (the Keras callback CLR, `clr`).
pub(super) fn triangular(settings: &Settings, iteration: i32) -> f32 {
    let Some(position) = Position::of(settings, iteration) else {
        return settings.base_lr;
    };
    let scale = settings.amplitude.as_ref().map_or(1.0, |amplitude| amplitude.at(&position));
    between(settings.base_lr, max_lr(settings), position.wave().max(0.0) * scale)
}

/// `base_lr + (max_lr - base_lr) · min(1, max(0, (1 - |x|) / 2^cycle))` (Appendix A): the amplitude halves at each cycle.
pub(super) fn triangular2(settings: &Settings, iteration: i32) -> f32 {
    let Some(position) = Position::of(settings, iteration) else {
        return settings.base_lr;
    };
    between(settings.base_lr, max_lr(settings), position.halving_wave())
}

/// The triangular wave with both bounds multiplied by `gamma^itr` (section 3.1: "each boundary value declines by an
/// exponential factor of gamma^iteration"); with `exp_range_decay: AMPLITUDE` only the amplitude shrinks, as in the Keras
/// callback: `base_lr + (max_lr - base_lr) · max(0, 1 - |x|) · gamma^itr`.
pub(super) fn exp_range(settings: &Settings, iteration: i32) -> f32 {
    let Some(position) = Position::of(settings, iteration) else {
        return settings.base_lr;
    };
    let factor = f64::from(settings.gamma.unwrap_or_default()).powf(f64::from(position.iterations));
    let wave = position.wave().max(0.0);
    if settings.decay_amplitude {
        return between(settings.base_lr, max_lr(settings), wave * factor);
    }
    let (base, max) = (f64::from(settings.base_lr), f64::from(max_lr(settings)));
    ((base + (max - base) * wave) * factor) as f32
}

/// `max_lr` falling linearly to `base_lr` over `stepsize` iterations, then `base_lr`: the control of section 4.1.1, which
/// shows that the gain comes from the cycles and not from the falling rate alone.
pub(super) fn decay(settings: &Settings, iteration: i32) -> f32 {
    let Some(position) = Position::of(settings, iteration) else {
        return settings.base_lr;
    };
    let x = position.iterations as f32 / settings.stepsize as f32;
    between(settings.base_lr, max_lr(settings), (1.0 - f64::from(x)).max(0.0))
}

/// `base + (max - base) · part` with Appendix A's types: the difference in f32, the rest in f64.
pub(super) fn between(base: f32, max: f32, part: f64) -> f32 {
    f64::from(max - base).mul_add(part, f64::from(base)) as f32
}

/// The settings were checked to have one.
pub(super) fn max_lr(settings: &Settings) -> f32 {
    settings.max_lr.unwrap_or(settings.base_lr)
}
