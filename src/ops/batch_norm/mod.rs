//! Batch normalisation: y = (x − mean) / √(variance + ε), channel by channel (Ioffe and Szegedy, *Batch Normalization*,
//! arXiv 1502.03167).
//!
//! Blobs are seen as images × channels × values of a channel: `outer`×`dim`×`inner` of [`Spans`].

mod cpu;

use crate::{
    ops::broadcast::{Spans, Sums},
    tensor::{Buffer, Device},
};

/// Where mean and variance come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the batch: they are computed, and the gradient goes through them.
    Batch,
    /// They are given.
    Given,
}

/// What follows the normalisation value by value, in the same pass over memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// γ of every channel: y = γ·x̂ + β.
    pub factors: Option<&'a Buffer>,
    /// β of every channel, 0 when not given.
    pub shifts: Option<&'a Buffer>,
    /// y = max(0, y) at last.
    pub is_relu: bool,
}

/// average = fraction·average + weight·x: a sum in which older terms count less and less.
pub fn move_average(device: Device, fraction: f32, weight: f32, x: &Buffer, average: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::move_average(fraction, weight, &x.host(), &mut average.host_mut()),
    }
}

/// Divides a moving average by the weight that it has gathered, `count`; all 0 when that is 0.
pub fn read_average(device: Device, average: &Buffer, count: &Buffer, x: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::read_average(average, count, &mut x.host_mut()),
    }
}

/// Turns variances into deviations, √(variance + ε).
pub fn deviate(device: Device, epsilon: f32, variance: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            variance.host_mut().iter_mut().for_each(|value| *value = (*value + epsilon).sqrt())
        }
    }
}

/// How a blob is normalised.
#[derive(Debug, Clone, Copy)]
pub struct Normalization<'a> {
    /// Images, channels, and values of a channel.
    pub spans: Spans,
    /// Where mean and variance come from.
    pub source: Source,
    /// ε.
    pub epsilon: f32,
    /// What follows.
    pub epilogue: Epilogue<'a>,
}

/// x̂ = (x − mean) / √(variance + ε), y = what the epilogue makes of it; x̂ is written to `kept` when that is given. The variance is
/// the mean of (x − mean)². `y` may be the memory of `x`.
pub fn forward(
    device: Device,
    normalization: Normalization<'_>,
    x: &Buffer,
    [mean, variance]: [&Buffer; 2],
    y: &Buffer,
    kept: Option<&Buffer>,
) {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            cpu::forward(normalization, x, [&mut mean.host_mut(), &mut variance.host_mut()], y, kept);
        }
    }
}

/// What the gradient of [`forward`] is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// The output's gradient.
    pub dy: &'a Buffer,
    /// The output.
    pub y: &'a Buffer,
    /// x̂ as forward kept it: needed for [`Source::Batch`], and for the sums.
    pub normalized: Option<&'a Buffer>,
    /// √(variance + ε).
    pub deviation: &'a Buffer,
}

/// The gradient of [`forward`]. With g the gradient behind the ReLU, Σ g and Σ g·x̂ of every channel go to `sums` when x̂ is
/// given: those of β and γ. dx = γ·(g − mean(g) − mean(g·x̂)·x̂) / deviation, means over the batch; γ·g / deviation when the
/// statistics were given. `dx` may be the memory of `dy`, or not be asked for.
pub fn backward(device: Device, normalization: Normalization<'_>, of: Operands<'_>, sums: &Sums, dx: Option<&Buffer>) {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            let epilogue = normalization.epilogue;
            let y = epilogue.is_relu.then(|| of.y.host());
            let (normalized, factors) = (of.normalized.map(Buffer::host), epilogue.factors.map(Buffer::host));
            let of = cpu::Operands {
                dy: of.dy,
                y: y.as_deref(),
                normalized: normalized.as_deref(),
                deviation: &of.deviation.host(),
                factors: factors.as_deref(),
            };
            cpu::backward(normalization, &of, sums, dx);
        }
    }
}
