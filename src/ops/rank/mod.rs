//! Ranks of scores among the channels of their place.

mod cpu;

use crate::{
    ops::softmax::{Axes, BadLabel},
    tensor::{Buffer, Device},
};

/// How many labels were among the best scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    /// Labels among the best.
    pub hits: usize,
    /// Labels that are not ignored.
    pub counted: usize,
}

/// Counts the labels whose score is among the `top_k` best of its place: no more than `top_k` scores, its own included, are as
/// large or larger. So a tie at the border is a miss, as in Caffe; so is a score that is NaN.
///
/// `per_class`, when given, gets the part of hits among the labels of each class, 0 where there are none; `labels_of_class` is
/// scratch memory of the same length.
///
/// # Errors
/// When a label is no channel.
pub fn accuracy(
    device: Device,
    axes: Axes,
    scores: &Buffer,
    labels: &Buffer,
    options: (usize, Option<i32>),
    per_class: Option<(&Buffer, &Buffer)>,
) -> Result<Hits, BadLabel> {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::accuracy(axes, &scores.host(), &labels.host(), options, per_class),
    }
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
