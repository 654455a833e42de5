//! `AdaGrad`: smaller steps where gradients were large (Duchi, Hazan and Singer, *Adaptive Subgradient Methods for Online
//! Learning and Stochastic Optimization*, 2011): `h ← h + g²`, `w ← w − rate·g / (√h + delta)`. There is no momentum.

use super::{UpdateRule, delta, refuse_momentum};
use crate::{error::Result, ops::update::Rule, proto::SolverParameter};

struct AdaGrad {
    delta: f32,
}

/// The rule; `delta` is 1e-8 if not given.
pub fn new(parameter: &SolverParameter) -> Result<Box<dyn UpdateRule>> {
    refuse_momentum(parameter)?;
    Ok(Box::new(AdaGrad { delta: delta(parameter)? }))
}

impl UpdateRule for AdaGrad {
    fn rule(&self, _iteration: usize, _momentum: f32) -> Rule {
        Rule::AdaGrad { delta: self.delta }
    }
}
