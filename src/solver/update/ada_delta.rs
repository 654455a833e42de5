//! `AdaDelta`: steps by the ratio of the mean sizes of recent steps and gradients (Zeiler, *ADADELTA: An Adaptive Learning Rate
//! Method*, 2012): `h ← (1 − momentum)·g² + momentum·h`, `s = g·√((h₂ + delta) / (h + delta))`, `h₂ ← (1 − momentum)·s² +
//! momentum·h₂`, `w ← w − rate·s`. `momentum` is the paper's ρ.

use super::{UpdateRule, delta};
use crate::{error::Result, ops::update::Rule, proto::SolverParameter};

struct AdaDelta {
    delta: f32,
}

/// The rule; `delta` is 1e-8 if not given.
pub fn new(parameter: &SolverParameter) -> Result<Box<dyn UpdateRule>> {
    Ok(Box::new(AdaDelta { delta: delta(parameter)? }))
}

impl UpdateRule for AdaDelta {
    fn rule(&self, _iteration: usize, momentum: f32) -> Rule {
        Rule::AdaDelta { momentum, delta: self.delta }
    }
}
