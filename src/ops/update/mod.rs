//! Parameter updates: one pass over values, gradients and histories of all parameters of a net.
//!
//! The parameters lie in one buffer, their gradients and histories in others of the same layout; a [`Segment`] says at which
//! rate a part of it learns. Each rule is computed value by value in f32, in the order of operations of Caffe's solvers
//! (`src/caffe/solvers/*.cpp`), and leaves the step that it took in the gradient's place, where Caffe's snapshots of gradients
//! find it.

mod cpu;
mod cuda;

use crate::{
    ops::{
        elementwise::{self, cpu::map},
        reduce,
    },
    tensor::{Buffer, Device, Synced},
};

/// How weight decay pulls on a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regularization {
    /// Adds `decay·w` to the gradient.
    L2,
    /// Adds `decay·sign(w)` to the gradient.
    L1,
}

/// What comes before every update rule: `g ← scale·g + decay·w` (L2) or `scale·g + decay·sign(w)` (L1).
#[derive(Debug, Clone, Copy)]
pub struct Preparation {
    /// `1/iter_size`.
    pub scale: f32,
    /// Which pull the decay has.
    pub regularization: Regularization,
}

/// A parameter's place among all, and how it learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Its first value.
    pub start: usize,
    /// Its number of values.
    pub count: usize,
    /// The learning rate times the parameter's `lr_mult`.
    pub rate: f32,
    /// The solver's weight decay times the parameter's `decay_mult`.
    pub decay: f32,
}

/// An update rule with its factors, for the gradient g, the value w and the histories h (h₂ is the second).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// `h ← rate·g + momentum·h`, `w ← w − h`.
    Sgd {
        /// How much of the last step goes into this one.
        momentum: f32,
    },
    /// `h' ← rate·g + momentum·h`, `w ← w − ((1 + momentum)·h' − momentum·h)`.
    Nesterov {
        /// How much of the last step goes into this one.
        momentum: f32,
    },
    /// `h ← h + g²`, `w ← w − rate·g / (√h + delta)`.
    AdaGrad {
        /// Keeps from dividing by 0.
        delta: f32,
    },
    /// `h ← (1 − decay)·g² + decay·h`, `w ← w − rate·g / (√h + delta)`.
    RmsProp {
        /// How much of the mean square is kept.
        decay: f32,
        /// Keeps from dividing by 0.
        delta: f32,
    },
    /// `h ← (1 − momentum)·g² + momentum·h`, `s = g·√((h₂ + delta) / (h + delta))`, `h₂ ← (1 − momentum)·s² + momentum·h₂`,
    /// `w ← w − rate·s`.
    AdaDelta {
        /// How much of the mean squares is kept.
        momentum: f32,
        /// Keeps from dividing by 0.
        delta: f32,
    },
    /// `h ← (1 − β₁)·g + β₁·h`, `h₂ ← (1 − β₂)·g² + β₂·h₂`, `w ← w − rate·correction·h / (√h₂ + delta)`.
    Adam {
        /// β₁, how much of the mean gradient is kept.
        beta1: f32,
        /// β₂, how much of the mean square is kept.
        beta2: f32,
        /// Keeps from dividing by 0.
        delta: f32,
        /// `√(1 − β₂ᵗ) / (1 − β₁ᵗ)` at the t-th step, counted from 1.
        correction: f32,
    },
}

impl Rule {
    /// How many histories a value has.
    pub fn histories(&self) -> usize {
        match self {
            Rule::Sgd { .. } | Rule::Nesterov { .. } | Rule::AdaGrad { .. } | Rule::RmsProp { .. } => 1,
            Rule::AdaDelta { .. } | Rule::Adam { .. } => 2,
        }
    }
}

/// What an update works on, all laid out alike.
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'a> {
    /// The values.
    pub data: &'a Buffer,
    /// Their gradients; afterwards the steps taken.
    pub diff: &'a Buffer,
    /// The histories, as many as the rule has.
    pub histories: &'a [Buffer],
    /// The parts, in order and without gaps.
    pub segments: &'a [Segment],
}

/// Memory that updates work in, and what they found.
#[derive(Debug)]
pub struct Workspace {
    /// 1 + the last segment with a step that was not finite; 0 while there is none.
    bad: Synced<u32>,
    /// The segments, for a card.
    table: Synced<u32>,
    /// Sums of squares of parts.
    sums: Buffer,
    norm: Buffer,
}

impl Default for Workspace {
    fn default() -> Self {
        Workspace { bad: Synced::zeros(1), table: Synced::default(), sums: Buffer::default(), norm: Buffer::default() }
    }
}

impl Workspace {
    /// The last segment in which an update so far took a step that was not finite, if one did. On a card it waits for the updates.
    pub fn bad_segment(&self) -> Option<usize> {
        (self.bad.host()[0] as usize).checked_sub(1)
    }
}

/// Updates all values; [`Workspace::bad_segment`] says whether all steps were finite.
///
/// # Panics
/// When there are fewer histories than the rule has, or buffers differ in length.
pub fn update(
    device: Device,
    rule: Rule,
    preparation: Preparation,
    parameters: Parameters<'_>,
    workspace: &mut Workspace,
) {
    match device {
        Device::Cpu => {
            if let Some(bad) = cpu::update(rule, preparation, parameters) {
                workspace.bad.host_mut()[0] = 1 + bad as u32;
            }
        }
        Device::Cuda(card) => cuda::update(card, rule, preparation, parameters, workspace),
    }
}

/// The L2 norm of the parts of a buffer, those of [`Segment`]s: √Σ x².
pub fn norm(device: Device, buffer: &Buffer, segments: &[Segment], workspace: &mut Workspace) -> f32 {
    match device {
        Device::Cpu => {
            let values = buffer.host();
            let part =
                |segment: &Segment| reduce::sum_of_squares(&values[segment.start..segment.start + segment.count]);
            segments.iter().map(part).sum::<f32>().sqrt()
        }
        Device::Cuda(card) => cuda::norm(card, buffer, workspace),
    }
}

/// Multiplies all values by a factor (gradient clipping).
pub fn scale(device: Device, buffer: &Buffer, factor: f32) {
    match device {
        Device::Cpu => map(buffer, buffer, move |value| value * factor),
        Device::Cuda(_) => elementwise::scale(device, factor, buffer, buffer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a rule over values in two parts with rates and decays of their own, for some steps.
    fn run(rule: impl Fn(i32) -> Rule, regularization: Regularization, count: usize, steps: i32) -> [Vec<f32>; 2] {
        let value = |index: usize| ((index * 37 + 11) % 101) as f32 / 50.0 - 1.0;
        let data = Buffer::from((0..count).map(value).collect::<Vec<_>>());
        let (diff, histories) = (Buffer::zeros(count), vec![Buffer::zeros(count), Buffer::zeros(count)]);
        let half = count / 3;
        let segments = [
            Segment { start: 0, count: half, rate: 0.1, decay: 0.01 },
            Segment { start: half, count: count - half, rate: 0.2, decay: 0.0 },
        ];
        let preparation = Preparation { scale: 0.5, regularization };
        for step in 1..=steps {
            let gradient = |index: usize| value(index + step as usize);
            diff.host_mut().iter_mut().enumerate().for_each(|(index, diff)| *diff = gradient(index));
            let parameters = Parameters { data: &data, diff: &diff, histories: &histories, segments: &segments };
            update(Device::Cpu, rule(step), preparation, parameters, &mut Workspace::default());
        }
        [data.host().to_vec(), histories[0].host().to_vec()]
    }

    /// The same by the formulas, in f64.
    fn expected(rule: impl Fn(i32) -> Rule, regularization: Regularization, count: usize, steps: i32) -> Vec<f64> {
        let value = |index: usize| f64::from(((index * 37 + 11) % 101) as f32 / 50.0 - 1.0);
        let one = |index: usize| {
            let (rate, decay) = if index < count / 3 { (0.1, 0.01) } else { (0.2, 0.0) };
            let (mut w, mut h, mut h2) = (value(index), 0.0, 0.0);
            for step in 1..=steps {
                let pull = if regularization == Regularization::L2 { w } else { sign(w) };
                let g = 0.5 * value(index + step as usize) + decay * pull;
                w -= step_of(rule(step), g, rate, &mut h, &mut h2);
            }
            w
        };
        (0..count).map(one).collect()
    }

    fn sign(value: f64) -> f64 {
        if value == 0.0 { 0.0 } else { value.signum() }
    }

    fn step_of(rule: Rule, g: f64, rate: f64, h: &mut f64, h2: &mut f64) -> f64 {
        match rule {
            Rule::Sgd { momentum } => {
                *h = rate * g + f64::from(momentum) * *h;
                *h
            }
            Rule::Nesterov { momentum } => {
                let (m, before) = (f64::from(momentum), *h);
                *h = rate * g + m * before;
                (1.0 + m) * *h - m * before
            }
            Rule::AdaGrad { delta } => {
                *h += g * g;
                rate * g / (h.sqrt() + f64::from(delta))
            }
            Rule::RmsProp { decay, delta } => {
                *h = (1.0 - f64::from(decay)) * g * g + f64::from(decay) * *h;
                rate * g / (h.sqrt() + f64::from(delta))
            }
            Rule::AdaDelta { momentum, delta } => {
                let (m, delta) = (f64::from(momentum), f64::from(delta));
                *h = (1.0 - m) * g * g + m * *h;
                let step = g * ((*h2 + delta) / (*h + delta)).sqrt();
                *h2 = (1.0 - m) * step * step + m * *h2;
                rate * step
            }
            Rule::Adam { beta1, beta2, delta, correction } => {
                let (b1, b2) = (f64::from(beta1), f64::from(beta2));
                *h = (1.0 - b1) * g + b1 * *h;
                *h2 = (1.0 - b2) * g * g + b2 * *h2;
                rate * f64::from(correction) * *h / (h2.sqrt() + f64::from(delta))
            }
        }
    }

    #[test]
    fn every_rule_is_its_formula() {
        let adam = |step: i32| Rule::Adam {
            beta1: 0.9,
            beta2: 0.99,
            delta: 1e-4,
            correction: (1.0 - 0.99_f32.powi(step)).sqrt() / (1.0 - 0.9_f32.powi(step)),
        };
        let rules: [&dyn Fn(i32) -> Rule; 6] = [
            &|_| Rule::Sgd { momentum: 0.9 },
            &|_| Rule::Nesterov { momentum: 0.9 },
            &|_| Rule::AdaGrad { delta: 1e-3 },
            &|_| Rule::RmsProp { decay: 0.95, delta: 1e-3 },
            &|_| Rule::AdaDelta { momentum: 0.95, delta: 1e-3 },
            &adam,
        ];
        for rule in rules {
            for regularization in [Regularization::L1, Regularization::L2] {
                // Longer than a task, so that parts lie across tasks.
                let count = 40_000;
                let [values, _] = run(rule, regularization, count, 4);
                let expected = expected(rule, regularization, count, 4);
                for (index, (value, expected)) in values.iter().zip(&expected).enumerate() {
                    let near = (f64::from(*value) - expected).abs() <= 1e-5 * expected.abs().max(1.0);
                    assert!(near, "{:?}: value {index} is {value}, not {expected}", rule(1));
                }
            }
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_found_by_its_segment() {
        let count = 50_000;
        let segments: Vec<Segment> =
            (0..5).map(|part| Segment { start: 10_000 * part, count: 10_000, rate: 0.1, decay: 0.0 }).collect();
        let preparation = Preparation { scale: 1.0, regularization: Regularization::L2 };
        for rule in [Rule::Sgd { momentum: 0.9 }, Rule::AdaDelta { momentum: 0.9, delta: 1e-6 }] {
            let (data, histories) = (Buffer::zeros(count), [Buffer::zeros(count), Buffer::zeros(count)]);
            let step = |bad: &[(usize, f32)]| {
                let diff = Buffer::zeros(count);
                bad.iter().for_each(|&(place, value)| diff.host_mut()[place] = value);
                let parameters = Parameters { data: &data, diff: &diff, histories: &histories, segments: &segments };
                let mut workspace = Workspace::default();
                update(Device::Cpu, rule, preparation, parameters, &mut workspace);
                workspace.bad_segment()
            };
            assert_eq!(step(&[]), None);
            assert_eq!(step(&[(9_999, f32::NAN), (20_000, f32::INFINITY)]), Some(2));
        }
    }

    #[test]
    fn the_step_taken_stands_in_the_gradients_place() {
        let (data, diff) = (Buffer::from(vec![2.0, -1.0, 0.0]), Buffer::from(vec![4.0, 4.0, 4.0]));
        let histories = [Buffer::from(vec![1.0, 0.0, 0.0])];
        let segments = [Segment { start: 0, count: 3, rate: 0.5, decay: 0.25 }];
        let preparation = Preparation { scale: 0.5, regularization: Regularization::L1 };
        let parameters = Parameters { data: &data, diff: &diff, histories: &histories, segments: &segments };
        update(Device::Cpu, Rule::Sgd { momentum: 0.5 }, preparation, parameters, &mut Workspace::default());
        assert_eq!((&*diff.host(), &*data.host()), (&[1.625, 0.875, 1.0][..], &[0.375, -1.875, -1.0][..]));
        assert_eq!(*histories[0].host(), *diff.host());
    }
}
