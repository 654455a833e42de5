//! Parameter updates: one pass over values, gradients and history.

mod cpu;

use crate::tensor::{Buffer, Device};

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
    /// `1/iter_size`, times the factor of gradient clipping.
    pub scale: f32,
    /// The solver's weight decay times the parameter's `decay_mult`.
    pub decay: f32,
    /// Which pull the decay has.
    pub regularization: Regularization,
}

impl Preparation {
    /// The gradient that the update rule works with.
    #[inline(always)]
    fn gradient(&self, gradient: f32, value: f32) -> f32 {
        let pull = match self.regularization {
            Regularization::L2 => value,
            // Caffe's sign of 0 is 0.
            Regularization::L1 => f32::from(value > 0.0) - f32::from(value < 0.0),
        };
        gradient * self.scale + self.decay * pull
    }
}

/// Stochastic gradient descent with momentum, as Caffe writes it: `h ← rate·g + momentum·h`, `w ← w − h`. Leaves the step in
/// `diff`, where Caffe's snapshots of gradients find it.
pub fn sgd(
    device: Device,
    data: &Buffer,
    diff: &Buffer,
    history: &Buffer,
    preparation: Preparation,
    rate: f32,
    momentum: f32,
) {
    match device {
        Device::Cpu => {
            cpu::sgd(&mut data.host_mut(), &mut diff.host_mut(), &mut history.host_mut(), preparation, rate, momentum);
        }
    }
}

/// Multiplies all values by a factor (gradient clipping).
pub fn scale(device: Device, buffer: &Buffer, factor: f32) {
    match device {
        Device::Cpu => buffer.host_mut().iter_mut().for_each(|value| *value *= factor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn momentum_and_both_decays() {
        let step = |regularization| {
            let (data, diff) = (Buffer::from(vec![2.0, -1.0, 0.0]), Buffer::from(vec![4.0, 4.0, 4.0]));
            let history = Buffer::from(vec![1.0, 0.0, 0.0]);
            let preparation = Preparation { scale: 0.5, decay: 0.25, regularization };
            sgd(Device::Cpu, &data, &diff, &history, preparation, 0.5, 0.5);
            assert_eq!(*history.host(), *diff.host());
            (data.host().to_vec(), history.host().to_vec())
        };
        assert_eq!(step(Regularization::L2), (vec![0.25, -1.875, -1.0], vec![1.75, 0.875, 1.0]));
        assert_eq!(step(Regularization::L1), (vec![0.375, -1.875, -1.0], vec![1.625, 0.875, 1.0]));
    }
}
