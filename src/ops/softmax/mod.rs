//! Softmax over one axis: y = eˣ / Σ eˣ, and the loss -ln y of a label.

mod cpu;

pub use cpu::{class, is_ignored};

use crate::{
    ops::elementwise,
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
        Device::Cpu | Device::Cuda(_) => cpu::forward(axes, x, y),
    }
}

/// dx = y · (dy − Σ y·dy), the sum over the channels; `dx` may be the memory of `dy`.
pub fn backward(device: Device, axes: Axes, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::backward(axes, y, dy, dx),
    }
}

/// Σ -ln max(p(label), f32::MIN_POSITIVE) over the places, and the number of places whose label is not `ignore`. Labels are
/// numbers with their fraction cut off.
///
/// # Errors
/// When a label is no channel.
pub fn loss_forward(
    device: Device,
    axes: Axes,
    probabilities: &Buffer,
    labels: &Buffer,
    ignore: Option<i32>,
) -> Result<(f32, usize), BadLabel> {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::loss_forward(axes, &probabilities.host(), &labels.host(), ignore),
    }
}

/// dx = weight · (p − 1) for the label's channel, weight · p for the others, 0 for ignored places. The labels must have passed
/// [`loss_forward`].
pub fn loss_backward(
    device: Device,
    axes: Axes,
    probabilities: &Buffer,
    labels: &Buffer,
    ignore: Option<i32>,
    weight: f32,
    dx: &Buffer,
) {
    elementwise::scale(device, weight, probabilities, dx);
    match device {
        Device::Cpu | Device::Cuda(_) => {
            cpu::loss_backward(axes, &probabilities.host(), &labels.host(), ignore, weight, &mut dx.host_mut());
        }
    }
}
