//! `SGD`: gradient descent with momentum, `h ← rate·g + momentum·h`, `w ← w − h`.

use super::UpdateRule;
use crate::{error::Result, ops::update::Rule, proto::SolverParameter};

struct Sgd;

/// The rule; momentum comes with each iteration.
pub fn new(_parameter: &SolverParameter) -> Result<Box<dyn UpdateRule>> {
    Ok(Box::new(Sgd))
}

impl UpdateRule for Sgd {
    fn rule(&self, _iteration: usize, momentum: f32) -> Rule {
        Rule::Sgd { momentum }
    }
}
