//! `SGD`: gradient descent with momentum, `h ← rate·g + momentum·h`, `w ← w − h`.

use super::{Step, UpdateRule};
use crate::{error::Result, ops, proto::SolverParameter};

struct Sgd;

/// The rule; momentum comes with each step.
pub fn new(_parameter: &SolverParameter) -> Result<Box<dyn UpdateRule>> {
    Ok(Box::new(Sgd))
}

impl UpdateRule for Sgd {
    fn histories(&self) -> usize {
        1
    }

    fn update(&self, step: &Step<'_>) {
        let Step { device, data, diff, history, preparation, rate, momentum, .. } = *step;
        ops::update::sgd(device, data, diff, &history[0], preparation, rate, momentum);
    }
}
