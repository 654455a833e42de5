//! `Nesterov`: the gradient as if one step further (Sutskever et al., *On the Importance of Initialization and Momentum in Deep
//! Learning*, 2013): `h' ← rate·g + momentum·h`, `w ← w − ((1 + momentum)·h' − momentum·h)`.

use super::UpdateRule;
use crate::{error::Result, ops::update::Rule, proto::SolverParameter};

struct Nesterov;

/// The rule; momentum comes with each iteration.
pub fn new(_parameter: &SolverParameter) -> Result<Box<dyn UpdateRule>> {
    Ok(Box::new(Nesterov))
}

impl UpdateRule for Nesterov {
    fn rule(&self, _iteration: usize, momentum: f32) -> Rule {
        Rule::Nesterov { momentum }
    }
}
