//! `Adam`: steps by the mean and the mean size of recent gradients (Kingma and Ba, *Adam: A Method for Stochastic Optimization*,
//! 2015): `h ← (1 − β₁)·g + β₁·h`, `h₂ ← (1 − β₂)·g² + β₂·h₂`, `w ← w − rate·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·h / (√h₂ + delta)`, t the
//! iteration counted from 1. `momentum` is β₁, `momentum2` β₂.

use super::{UpdateRule, delta, kept};
use crate::{error::Result, ops::update::Rule, proto::SolverParameter};

struct Adam {
    beta2: f32,
    delta: f32,
}

/// The rule; `momentum2` is 0.999 and `delta` 1e-8 if not given.
pub fn new(parameter: &SolverParameter) -> Result<Box<dyn UpdateRule>> {
    kept("momentum", parameter.momentum())?;
    Ok(Box::new(Adam { beta2: kept("momentum2", parameter.momentum2())?, delta: delta(parameter)? }))
}

impl UpdateRule for Adam {
    fn rule(&self, iteration: usize, momentum: f32) -> Rule {
        let Adam { beta2, delta } = *self;
        // C++ raises a float to a whole number in f64.
        let left = |beta: f32| 1.0 - f64::from(beta).powf(iteration as f64 + 1.0);
        let correction = (left(beta2).sqrt() / left(momentum)) as f32;
        Rule::Adam { beta1: momentum, beta2, delta, correction }
    }
}
