//! Caffe's own policies (`SGDSolver::GetLearningRate`), with iteration t.
//!
//! With `Dtype = float`, C++ raises a float to a whole number in f64, so `step`, `exp` and `multistep` round to f32 once, at
//! the end; `inv`, `poly` and `sigmoid` are f32 throughout.

use super::Settings;

/// `base_lr`.
pub(super) fn fixed(settings: &Settings, _: i32) -> f32 {
    settings.base_lr
}

/// `base_lr · gamma^⌊t / stepsize⌋`.
pub(super) fn step(settings: &Settings, iteration: i32) -> f32 {
    stepped(settings, whole_steps(settings, iteration))
}

/// ⌊t / stepsize⌋.
pub(super) fn whole_steps(settings: &Settings, iteration: i32) -> i32 {
    iteration / settings.stepsize
}

/// `base_lr · gamma^t`.
pub(super) fn exp(settings: &Settings, iteration: i32) -> f32 {
    stepped(settings, iteration)
}

/// `base_lr · (1 + gamma · t)^(-power)`.
pub(super) fn inv(settings: &Settings, iteration: i32) -> f32 {
    let base = gamma(settings).mul_add(iteration as f32, 1.0);
    settings.base_lr * base.powf(-settings.power)
}

/// `base_lr · gamma^n`, n the number of `stepvalue`s that t has reached.
pub(super) fn multistep(settings: &Settings, iteration: i32) -> f32 {
    stepped(settings, values_passed(settings, iteration))
}

/// The number of `stepvalue`s that t has reached.
pub(super) fn values_passed(settings: &Settings, iteration: i32) -> i32 {
    settings.stepvalue.iter().filter(|&&value| value <= iteration).count() as i32
}

/// `(base_lr - min_lr) · (1 - t / max_iter)^power + min_lr`; min_lr is NVIDIA Caffe's, 0 if not given.
pub(super) fn poly(settings: &Settings, iteration: i32) -> f32 {
    let left = 1.0 - iteration as f32 / settings.max_iter as f32;
    let min = settings.min_lr.unwrap_or_default();
    (settings.base_lr - min) * left.powf(settings.power) + min
}

/// `base_lr / (1 + exp(-gamma · (t - stepsize)))`.
pub(super) fn sigmoid(settings: &Settings, iteration: i32) -> f32 {
    let exponent = -gamma(settings) * (iteration as f32 - settings.stepsize as f32);
    settings.base_lr * (1.0 / (1.0 + exponent.exp()))
}

fn gamma(settings: &Settings) -> f32 {
    settings.gamma.unwrap_or_default()
}

/// `base_lr · gamma^steps` in f64, rounded once.
pub(super) fn stepped(settings: &Settings, steps: i32) -> f32 {
    (f64::from(settings.base_lr) * f64::from(gamma(settings)).powf(f64::from(steps))) as f32
}
