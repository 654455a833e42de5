//! Momentum and weight decay, fixed or by a policy of their own.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `momentum_policy` | fixed | `fixed`; `poly`; `opt` |
//! | `max_momentum` | 0.99 | what `poly` goes to; the most that `opt` gives, if it is given |
//! | `momentum_power` | 1 | exponent of `poly` |
//! | `cyclical_momentum` | | two values: the other bound, and half a cycle in iterations |
//! | `weight_decay_policy` | fixed | `fixed`; `poly` |
//! | `max_weight_decay` | 0 | what `poly` goes to |
//! | `weight_decay_power` | 1 | exponent of `poly` |
//!
//! Policies are those of NVIDIA Caffe (`SGDSolver::GetMomentum`, `GetWeightDecay`), cycles those of Smith's Caffe
//! (arXiv 1803.09820; github.com/lnsmith54/hyperParam1).

use super::{
    Settings,
    cyclical::{Position, between},
};
use crate::{
    error::{Error, Result},
    proto::{SolverParameter, StageParameter},
    prototxt::suggest,
};

/// The momentum of an iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Momentum {
    Fixed(f32),
    Poly(Poly),
    /// `opt`, with the most that it may give.
    Optimal(Option<f32>),
    Cyclical {
        momentum: f32,
        other: f32,
        half_cycle: i32,
    },
}

/// The weight decay of an iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum WeightDecay {
    Fixed(f32),
    Poly(Poly),
}

/// `from + (to - from) · (t / max_iter)^power`, f32 throughout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Poly {
    from: f32,
    to: f32,
    power: f32,
}

impl Poly {
    fn at(self, settings: &Settings, iteration: i32) -> f32 {
        self.from + (self.to - self.from) * (iteration as f32 / settings.max_iter as f32).powf(self.power)
    }

    fn check(self, settings: &Settings, field: &'static str) -> Result<Self> {
        if settings.max_iter < 1 {
            return Err(Error::config("max_iter", format!("must be at least 1: {field} ends there")));
        }
        Ok(self)
    }
}

impl Momentum {
    /// What the solver asks for, the stage's options put over it.
    ///
    /// # Errors
    /// When the policy does not exist, or a value cannot be.
    pub fn read(solver: &SolverParameter, stage: &StageParameter, settings: &Settings) -> Result<Self> {
        let momentum = from_0_up("momentum", stage.momentum.unwrap_or(solver.momentum()))?;
        let given = solver.max_momentum.map(|most| from_0_up("max_momentum", most)).transpose()?;
        let power = from_0_up("momentum_power", solver.momentum_power())?;
        let cycle =
            if stage.cyclical_momentum.is_empty() { &solver.cyclical_momentum } else { &stage.cyclical_momentum };
        if !cycle.is_empty() {
            return cyclical(momentum, cycle, solver.momentum_policy());
        }
        match solver.momentum_policy() {
            "fixed" => Ok(Momentum::Fixed(momentum)),
            "poly" => {
                let poly = Poly { from: momentum, to: solver.max_momentum(), power };
                Ok(Momentum::Poly(poly.check(settings, "momentum_policy")?))
            }
            "opt" => Ok(Momentum::Optimal(given)),
            name => Err(unknown("momentum_policy", name, &["fixed", "poly", "opt"])),
        }
    }

    /// The momentum at an iteration whose learning rate is given.
    ///
    /// `opt` is `(1 - √rate / 2)²`, in f64, rounded once, and at most `max_momentum`. A cycle runs from `momentum` to the other
    /// bound and back, while the learning rate does the opposite; the cycles after the first halve its height each, as
    /// `triangular2` does. It starts at `start_lr_policy`.
    pub fn at(self, settings: &Settings, iteration: i32, rate: f32) -> f32 {
        match self {
            Momentum::Fixed(momentum) => momentum,
            Momentum::Poly(poly) => poly.at(settings, iteration),
            Momentum::Optimal(most) => {
                let root = 1.0 - 0.5 * f64::from(rate.sqrt());
                let momentum = (root * root) as f32;
                most.map_or(momentum, |most| momentum.min(most))
            }
            Momentum::Cyclical { momentum, other, half_cycle } => {
                match Position::within(settings.start_lr_policy, half_cycle, iteration) {
                    Some(position) => between(momentum, other, position.halving_wave()),
                    None => momentum,
                }
            }
        }
    }

    pub fn is_fixed(self) -> bool {
        matches!(self, Momentum::Fixed(_))
    }
}

impl WeightDecay {
    /// What the solver asks for, the stage's options put over it.
    ///
    /// # Errors
    /// When the policy does not exist, or a value cannot be.
    pub fn read(solver: &SolverParameter, stage: &StageParameter, settings: &Settings) -> Result<Self> {
        let decay = from_0_up("weight_decay", stage.weight_decay.unwrap_or(solver.weight_decay()))?;
        let to = from_0_up("max_weight_decay", solver.max_weight_decay())?;
        let power = from_0_up("weight_decay_power", solver.weight_decay_power())?;
        match solver.weight_decay_policy() {
            "fixed" => Ok(WeightDecay::Fixed(decay)),
            "poly" => Ok(WeightDecay::Poly(Poly { from: decay, to, power }.check(settings, "weight_decay_policy")?)),
            name => Err(unknown("weight_decay_policy", name, &["fixed", "poly"])),
        }
    }

    /// The weight decay at an iteration.
    pub fn at(self, settings: &Settings, iteration: i32) -> f32 {
        match self {
            WeightDecay::Fixed(decay) => decay,
            WeightDecay::Poly(poly) => poly.at(settings, iteration),
        }
    }

    pub fn is_fixed(self) -> bool {
        matches!(self, WeightDecay::Fixed(_))
    }
}

fn cyclical(momentum: f32, values: &[f32], policy: &str) -> Result<Momentum> {
    let fail = |message: String| Err(Error::config("cyclical_momentum", message));
    let &[other, half] = values else {
        let count = values.len();
        return fail(format!(
            "takes two values, the other bound of the momentum and half a cycle in iterations, not {count}"
        ));
    };
    if policy != "fixed" {
        return fail(format!("does not go with momentum_policy {policy:?}: the momentum changes one way only"));
    }
    let other = from_0_up("cyclical_momentum", other)?;
    // Up to here f32 has every whole number, and so i32 has it too.
    if !(1.0..=16_777_216.0).contains(&half) || half.fract() != 0.0 {
        return fail(format!("must have half a cycle in iterations as its second value, not {half}"));
    }
    Ok(Momentum::Cyclical { momentum, other, half_cycle: half as i32 })
}

fn from_0_up(field: &str, value: f32) -> Result<f32> {
    if value >= 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(Error::config(field, format!("must be a number from 0 up, not {value}")))
}

fn unknown(field: &str, name: &str, known: &[&str]) -> Error {
    let hint = match suggest::nearest(name, known.iter().map(|name| name.to_string())) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are {}", known.join(", ")),
    };
    Error::config(field, format!("unknown policy {name:?}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{learning_rate, refusal};

    fn assert_momenta(text: &str, expected: &[(usize, f32)]) {
        let schedule = learning_rate(&format!("lr_policy: \"fixed\" base_lr: 0.04 max_iter: 8 {text}"));
        assert!(schedule.more_than_the_rate_changes(0));
        for &(iteration, momentum) in expected {
            let here = schedule.momentum(iteration);
            assert!((here - momentum).abs() <= 1e-6, "{text}: iteration {iteration}: {here}, not {momentum}");
        }
    }

    #[test]
    fn momentum_follows_its_policy() {
        assert_momenta("momentum: 0.5 momentum_policy: \"poly\" max_momentum: 0.9", &[(0, 0.5), (4, 0.7), (8, 0.9)]);
        assert_momenta("momentum: 0.5 momentum_policy: \"poly\" momentum_power: 2", &[(4, 0.6225), (8, 0.99)]);
        // (1 - 0.2 / 2)²
        assert_momenta("momentum_policy: \"opt\"", &[(0, 0.81), (7, 0.81)]);
        assert_momenta("momentum_policy: \"opt\" max_momentum: 0.8", &[(0, 0.8)]);
        let halving =
            [(0, 0.9), (1, 0.85), (2, 0.8), (3, 0.85), (4, 0.9), (5, 0.875), (6, 0.85), (8, 0.9), (10, 0.875)];
        assert_momenta("momentum: 0.9 cyclical_momentum: 0.8 cyclical_momentum: 2", &halving);
        let late = [(0, 0.9), (5, 0.9), (6, 0.85), (7, 0.8)];
        assert_momenta("momentum: 0.9 cyclical_momentum: [0.8, 2] start_lr_policy: 5", &late);
    }

    #[test]
    fn weight_decay_follows_its_policy() {
        let text =
            "lr_policy: \"fixed\" max_iter: 8 weight_decay: 0.1 weight_decay_policy: \"poly\" max_weight_decay: 0.5";
        let schedule = learning_rate(&format!("{text} weight_decay_power: 2"));
        let decays = [0, 4, 8].map(|iteration| schedule.weight_decay(iteration));
        assert_eq!(decays, [0.1, 0.2, 0.5]);
        assert_eq!(schedule.momentum(3), 0.0);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            ("momentum: -1", "momentum: must be a number from 0 up, not -1"),
            ("weight_decay: nan", "weight_decay: must be a number from 0 up, not NaN"),
            ("momentum_policy: \"ploy\"", "momentum_policy: unknown policy \"ploy\"; did you mean \"poly\"?"),
            ("momentum_policy: \"poly\"", "max_iter: must be at least 1: momentum_policy ends there"),
            ("weight_decay_policy: \"opt\"", "weight_decay_policy: unknown policy \"opt\"; there are fixed, poly"),
            ("max_momentum: -1", "max_momentum: must be a number from 0 up"),
            ("cyclical_momentum: 0.8", "cyclical_momentum: takes two values"),
            ("cyclical_momentum: [0.8, 0.5]", "half a cycle in iterations as its second value, not 0.5"),
            ("cyclical_momentum: [-1, 5]", "cyclical_momentum: must be a number from 0 up, not -1"),
            (
                "cyclical_momentum: [0.8, 5] momentum_policy: \"opt\"",
                "cyclical_momentum: does not go with momentum_policy",
            ),
        ];
        for (options, expected) in cases {
            let message = refusal(&format!("lr_policy: \"fixed\" base_lr: 1 {options}"));
            assert!(message.contains(expected), "{message}");
        }
    }
}
