//! `RMSProp`: steps by the mean size of recent gradients (Tieleman and Hinton, *Lecture 6.5*, 2012): `h ← (1 − rms_decay)·g² +
//! rms_decay·h`, `w ← w − rate·g / (√h + delta)`. There is no momentum.

use super::{UpdateRule, delta, kept, refuse_momentum};
use crate::{error::Result, ops::update::Rule, proto::SolverParameter};

struct RmsProp {
    decay: f32,
    delta: f32,
}

/// The rule; `rms_decay` is 0.99 and `delta` 1e-8 if not given.
pub fn new(parameter: &SolverParameter) -> Result<Box<dyn UpdateRule>> {
    refuse_momentum(parameter)?;
    Ok(Box::new(RmsProp { decay: kept("rms_decay", parameter.rms_decay())?, delta: delta(parameter)? }))
}

impl UpdateRule for RmsProp {
    fn rule(&self, _iteration: usize, _momentum: f32) -> Rule {
        Rule::RmsProp { decay: self.decay, delta: self.delta }
    }
}
