//! The parametric rectifier: y = x where x > 0, slope·x elsewhere, a slope for each value of a vector laid along x.

mod cpu;
mod cuda;

use crate::{
    ops::broadcast::Spans,
    tensor::{Buffer, Device},
};

/// y = x where x > 0, slope·x elsewhere; `y` may be the memory of `x`.
pub fn forward(device: Device, spans: Spans, x: &Buffer, slopes: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::forward(spans, x, slopes, y),
        Device::Cuda(card) => cuda::forward(card, spans, x, slopes, y),
    }
}

/// dx = dy where x > 0, slope·dy elsewhere; `dx` may be the memory of `dy`.
pub fn backward(device: Device, spans: Spans, x: &Buffer, slopes: &Buffer, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::backward(spans, x, slopes, dy, dx),
        Device::Cuda(card) => cuda::backward(card, spans, [x, slopes, dy], dx),
    }
}

/// Adds Σ dy·x over the values with x ≤ 0 to each slope's gradient; `sums` is scratch memory, outer·dim values.
pub fn slope_gradient(device: Device, spans: Spans, x: &Buffer, dy: &Buffer, sums: &Buffer, gradient: &Buffer) {
    match device {
        Device::Cpu => cpu::slope_gradient(spans, &x.host(), &dy.host(), sums, gradient),
        Device::Cuda(card) => cuda::slope_gradient(card, spans, [x, dy], sums, gradient),
    }
}
