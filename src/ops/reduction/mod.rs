//! Each row of a blob into one value.

mod cpu;
mod cuda;

use crate::tensor::{Buffer, Device};

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Σ x.
    Sum,
    /// Σ |x|.
    AbsoluteSum,
    /// Σ x².
    SumOfSquares,
}

/// y\[i\] = factor · the reduction of row i; `y` has one value for each row of `x`.
pub fn forward(device: Device, reduction: Reduction, factor: f32, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::forward(reduction, factor, &x.host(), &mut y.host_mut()),
        Device::Cuda(card) => cuda::forward(card, reduction, factor, x, y),
    }
}

/// dx = factor · dy\[i\] · the derivative, for all values of row i.
pub fn backward(device: Device, reduction: Reduction, factor: f32, x: &Buffer, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::backward(reduction, factor, &x.host(), &dy.host(), &mut dx.host_mut()),
        Device::Cuda(card) => cuda::backward(card, reduction, factor, [x, dy], dx),
    }
}
