//! Batch normalisation: y = (x − mean) / √(variance + ε), channel by channel (Ioffe and Szegedy, *Batch Normalization*,
//! arXiv 1502.03167).
//!
//! Blobs are seen as images × channels × values of a channel: `outer`×`dim`×`inner` of [`Spans`].

mod cpu;

use crate::{
    ops::broadcast::{Spans, Sums, sums},
    tensor::{Buffer, Device},
};

/// Mean and variance of every channel over the batch; the variance is the mean of (x − mean)².
pub fn batch_statistics(device: Device, spans: Spans, x: &Buffer, mean: &Buffer, variance: &Buffer) {
    match device {
        Device::Cpu => cpu::batch_statistics(spans, &x.host(), &mut mean.host_mut(), &mut variance.host_mut()),
    }
}

/// average = fraction·average + weight·x: a sum in which older terms count less and less.
pub fn move_average(device: Device, fraction: f32, weight: f32, x: &Buffer, average: &Buffer) {
    match device {
        Device::Cpu => cpu::move_average(fraction, weight, &x.host(), &mut average.host_mut()),
    }
}

/// Divides a moving average by the weight that it has gathered, `count`; all 0 when that is 0.
pub fn read_average(device: Device, average: &Buffer, count: &Buffer, x: &Buffer) {
    match device {
        Device::Cpu => cpu::read_average(average, count, &mut x.host_mut()),
    }
}

/// Turns variances into deviations, √(variance + ε).
pub fn deviate(device: Device, epsilon: f32, variance: &Buffer) {
    match device {
        Device::Cpu => variance.host_mut().iter_mut().for_each(|value| *value = (*value + epsilon).sqrt()),
    }
}

/// y = (x − mean) / deviation, written to `kept` as well when that is given. `y` may be the memory of `x`.
pub fn normalize(
    device: Device,
    spans: Spans,
    x: &Buffer,
    [mean, deviation]: [&Buffer; 2],
    y: &Buffer,
    kept: Option<&Buffer>,
) {
    match device {
        Device::Cpu => cpu::normalize(spans, x, [&mean.host(), &deviation.host()], y, kept),
    }
}

/// dx = dy / deviation: the gradient when mean and deviation do not depend on x. `dx` may be the memory of `dy`.
pub fn scale_back(device: Device, spans: Spans, dy: &Buffer, deviation: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::backward(spans, dy, None, &deviation.host(), dx),
    }
}

/// dx = (dy − mean(dy) − mean(dy·y)·y) / deviation, means over the batch: the gradient through [`batch_statistics`]. `dx` may
/// be the memory of `dy`; `scratch` holds the sums of every channel.
pub fn backward(
    device: Device,
    spans: Spans,
    y: &Buffer,
    dy: &Buffer,
    deviation: &Buffer,
    dx: &Buffer,
    scratch: &Sums,
) {
    sums(device, spans, dy, Some(y), scratch);
    match device {
        Device::Cpu => cpu::backward(spans, dy, Some((y, scratch)), &deviation.host(), dx),
    }
}
