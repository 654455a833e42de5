//! Rates that rise to `base_lr` before the policy takes over, as two forks have them. The policy counts its iterations from
//! the start of the run, ramp included.

use super::Settings;
use crate::{
    error::{Error, Result},
    proto::SolverParameter,
};

/// A ramp: its shape, its first rate, and its length in iterations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ramp {
    rate: fn(from: f32, to: f32, iteration: i32, length: i32) -> f32,
    from: f32,
    length: i32,
}

impl Ramp {
    /// The ramp that a solver asks for.
    ///
    /// # Errors
    /// When it asks for both, or a value cannot be.
    pub fn read(solver: &SolverParameter) -> Result<Option<Self>> {
        let quadratic = Ramp { rate: square, from: solver.rampup_lr(), length: solver.rampup_interval() };
        let linear = Ramp { rate: line, from: solver.warmup_start_lr(), length: solver.warmup_iter() };
        for (ramp, length, from) in
            [(quadratic, "rampup_interval", "rampup_lr"), (linear, "warmup_iter", "warmup_start_lr")]
        {
            if ramp.length < 0 {
                return Err(Error::config(length, format!("must be a number of iterations, not {}", ramp.length)));
            }
            if !(ramp.from >= 0.0 && ramp.from.is_finite()) {
                return Err(Error::config(from, format!("must be a number from 0 up, not {}", ramp.from)));
            }
        }
        match (quadratic.length, linear.length) {
            (0, 0) => Ok(None),
            (_, 0) => Ok(Some(quadratic)),
            (0, _) => Ok(Some(linear)),
            _ => Err(Error::config("warmup_iter", "does not go with rampup_interval: the rate rises one way only")),
        }
    }

    /// The rate at an iteration of the ramp; `None` behind its end.
    pub fn at(&self, settings: &Settings, iteration: i32) -> Option<f32> {
        (iteration < self.length).then(|| (self.rate)(self.from, settings.base_lr, iteration, self.length))
    }
}

/// `rampup_lr + (base_lr - rampup_lr) · (t / rampup_interval)²`, f32 throughout (NVIDIA Caffe, `SGDSolver::GetLearningRate`).
fn square(from: f32, to: f32, iteration: i32, length: i32) -> f32 {
    let part = iteration as f32 / length as f32;
    from + (to - from) * part * part
}

/// `(t · base_lr + (warmup_iter - t) · warmup_start_lr) / warmup_iter`, f32 throughout (Intel Caffe,
/// `SGDSolver::GetWarmUpLR`).
fn line(from: f32, to: f32, iteration: i32, length: i32) -> f32 {
    (iteration as f32 * to + (length - iteration) as f32 * from) / length as f32
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, assert_rates, learning_rate, refusal};

    #[test]
    fn rates_rise_as_a_square_or_in_a_line_and_then_follow_the_policy() {
        let step = "lr_policy: \"step\" base_lr: 1 gamma: 0.5 stepsize: 5";
        let square = learning_rate(&format!("{step} rampup_interval: 8 rampup_lr: 0.5"));
        assert_rates(&square, &[(0, 0.5), (2, 0.531_25), (4, 0.625), (6, 0.781_25), (8, 0.5), (10, 0.25)]);
        assert_near(&square, &[(7, 0.882_812_5)]);
        let line = learning_rate(&format!("{step} warmup_iter: 8 warmup_start_lr: 0.5"));
        assert_rates(&line, &[(0, 0.5), (2, 0.625), (4, 0.75), (7, 0.9375), (8, 0.5)]);
        let from_zero = learning_rate(&format!("{step} warmup_iter: 4"));
        assert_rates(&from_zero, &[(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0), (5, 0.5)]);
    }

    #[test]
    fn no_rate_is_below_the_least() {
        let poly = learning_rate("lr_policy: \"poly\" base_lr: 0.5 min_lr: 0.125 power: 2 max_iter: 4");
        assert_rates(&poly, &[(0, 0.5), (1, 0.335_937_5), (2, 0.218_75), (4, 0.125)]);
        let step = learning_rate("lr_policy: \"step\" base_lr: 1 gamma: 0.5 stepsize: 1 min_lr: 0.2 warmup_iter: 1");
        assert_rates(&step, &[(0, 0.2), (1, 0.5), (2, 0.25), (3, 0.2), (900, 0.2)]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            ("rampup_interval: -1", "rampup_interval: must be a number of iterations, not -1"),
            ("warmup_iter: -1", "warmup_iter: must be a number of iterations, not -1"),
            ("rampup_interval: 4 rampup_lr: -1", "rampup_lr: must be a number from 0 up, not -1"),
            ("warmup_iter: 4 warmup_start_lr: inf", "warmup_start_lr: must be a number from 0 up, not inf"),
            ("warmup_iter: 4 rampup_interval: 4", "warmup_iter: does not go with rampup_interval"),
        ];
        for (options, expected) in cases {
            let message = refusal(&format!("lr_policy: \"fixed\" base_lr: 1 {options}"));
            assert!(message.contains(expected), "{message}");
        }
    }
}
