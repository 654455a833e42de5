//! Softmax over one axis: y = eˣ / Σ eˣ, and the loss -ln y of a label.

mod cpu;
pub(in crate::ops) mod cuda;

pub use cpu::{class, is_ignored};

use crate::{
    ops::{
        elementwise,
        loss::{Normalizer, Total},
    },
    tensor::{Buffer, Device, Shape},
};

/// A blob seen as outer × channels × inner: one axis, what lies before it and what lies behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Axes {
    /// The product of the dimensions before the axis.
    pub outer: usize,
    /// The dimension along the axis.
    pub channels: usize,
    /// The product of the dimensions behind the axis.
    pub inner: usize,
}

impl Axes {
    /// A shape seen from one of its axes.
    pub fn new(shape: &Shape, axis: usize) -> Self {
        Axes { outer: shape.count_before(axis), channels: shape.dims()[axis], inner: shape.count_from(axis + 1) }
    }

    /// The number of places, each with a value for every channel.
    pub fn places(&self) -> usize {
        self.outer * self.inner
    }
}

/// A label that is no class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadLabel {
    /// Its index among the labels.
    pub index: usize,
    /// Its value.
    pub value: f32,
}

/// y = eˣ / Σ eˣ, the sum over the channels; `y` may be the memory of `x`.
pub fn forward(device: Device, axes: Axes, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::forward(axes, x, y),
        Device::Cuda(card) => cuda::forward(card, axes, x, y),
    }
}

/// dx = y · (dy − Σ y·dy), the sum over the channels; `dx` may be the memory of `dy`.
pub fn backward(device: Device, axes: Axes, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::backward(axes, y, dy, dx),
        Device::Cuda(card) => cuda::backward(card, axes, y, dy, dx),
    }
}

/// loss = Σ -ln max(p(label), f32::MIN_POSITIVE) over the places whose label is not `ignore`, divided by the normalizer. Labels are
/// numbers with their fraction cut off.
///
/// # Errors
/// On the CPU when a label is no channel. On a card the loss is NaN then, and [`check_labels`] tells why.
pub fn loss_forward(
    device: Device,
    axes: Axes,
    [probabilities, labels]: [&Buffer; 2],
    ignore: Option<i32>,
    normalizer: Normalizer,
    total: &Total,
    loss: &Buffer,
) -> Result<(), BadLabel> {
    match device {
        Device::Cpu => {
            let (sum, counted) = cpu::loss_forward(axes, &probabilities.host(), &labels.host(), ignore)?;
            total.finish(sum, counted, normalizer, 1.0, loss);
        }
        Device::Cuda(card) => {
            cuda::loss_forward(card, axes, [probabilities, labels], ignore, normalizer, total, loss);
        }
    }
    Ok(())
}

/// Looks for labels that are no channel.
///
/// # Errors
/// Names the first.
pub fn check_labels(axes: Axes, labels: &Buffer, ignore: Option<i32>) -> Result<(), BadLabel> {
    let labels = labels.host();
    let is_bad = |label: f32| !is_ignored(label, ignore) && class(label, axes.channels).is_none();
    match labels.iter().position(|&label| is_bad(label)) {
        Some(index) => Err(BadLabel { index, value: labels[index] }),
        None => Ok(()),
    }
}

/// dx = v · (p − 1) for the label's channel, v · p for the others, 0 for ignored places; v is the loss's own gradient / normalizer. The
/// labels must have passed [`loss_forward`].
pub fn loss_backward(
    device: Device,
    axes: Axes,
    [probabilities, labels, loss_diff]: [&Buffer; 3],
    ignore: Option<i32>,
    total: &Total,
    dx: &Buffer,
) {
    match device {
        Device::Cpu => {
            let weight = total.weight(loss_diff);
            elementwise::scale(device, weight, probabilities, dx);
            cpu::loss_backward(axes, &probabilities.host(), &labels.host(), ignore, weight, &mut dx.host_mut());
        }
        Device::Cuda(card) => cuda::loss_backward(card, axes, [probabilities, labels, loss_diff], ignore, total, dx),
    }
}
