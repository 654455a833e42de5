//! Ranks of scores among the channels of their place.

mod cpu;
mod cuda;

use crate::{
    ops::softmax::{Axes, BadLabel},
    tensor::{Buffer, Device},
};

/// Scratch memory of [`accuracy`].
#[derive(Debug, Default)]
pub struct Outcomes {
    /// On a card: what became of each label.
    of_places: Buffer,
    /// On the CPU: how many labels each class has.
    labels_of_class: Buffer,
}

impl Outcomes {
    /// Makes room for scores of these axes.
    pub fn resize(&mut self, axes: Axes) {
        self.of_places.resize(axes.places());
        self.labels_of_class.resize(axes.channels);
    }
}

/// The part of labels whose score is among the `top_k` best of its place, 0 when all are ignored: no more than `top_k` scores, its own
/// included, are as large or larger. So a tie at the border is a miss, as in Caffe; so is a score that is NaN.
///
/// `per_class`, when given, gets the part of hits among the labels of each class, 0 where there are none.
///
/// # Errors
/// On the CPU when a label is no channel. On a card the accuracy is NaN then, and
/// [`check_labels`](crate::ops::softmax::check_labels) tells why.
pub fn accuracy(
    device: Device,
    axes: Axes,
    [scores, labels]: [&Buffer; 2],
    options: (usize, Option<i32>),
    outcomes: &Outcomes,
    overall: &Buffer,
    per_class: Option<&Buffer>,
) -> Result<(), BadLabel> {
    match device {
        Device::Cpu => {
            let per_class = per_class.map(|per_class| (per_class, &outcomes.labels_of_class));
            let (hits, counted) = cpu::accuracy(axes, &scores.host(), &labels.host(), options, per_class)?;
            overall.host_mut()[0] = if counted == 0 { 0.0 } else { hits as f32 / counted as f32 };
        }
        Device::Cuda(card) => cuda::accuracy(card, axes, [scores, labels], options, outcomes, overall, per_class),
    }
    Ok(())
}

/// What [`largest`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Best {
    /// The channels of the largest values.
    Indices,
    /// The largest values.
    Values,
    /// For each place (inner 1) the channels, then the values.
    Both,
}

/// The `top_k` largest values of each place, largest first; of equal values that of the last channel first.
pub fn largest(
    device: Device,
    axes: Axes,
    top_k: usize,
    best: Best,
    x: &Buffer,
    y: &Buffer,
    scratch: &mut Vec<(f32, usize)>,
) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::largest(axes, top_k, best, &x.host(), &mut y.host_mut(), scratch),
    }
}
