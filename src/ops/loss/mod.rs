//! Losses: a sum over all values, and its gradient.

mod cpu;

use crate::{
    ops::elementwise,
    tensor::{Buffer, Device},
};

/// difference = a − b; returns Σ difference².
pub fn squared_distance(device: Device, a: &Buffer, b: &Buffer, difference: &Buffer) -> f32 {
    elementwise::subtract(device, a, b, difference);
    match device {
        Device::Cpu => cpu::sum_of_squares(difference),
    }
}

/// Σ -t·ln σ(x) − (1−t)·ln(1−σ(x)) with σ the sigmoid, written so that nothing overflows, and the number of targets that are
/// not `ignore` (with their fraction cut off).
pub fn sigmoid_cross_entropy(device: Device, x: &Buffer, targets: &Buffer, ignore: Option<i32>) -> (f32, usize) {
    match device {
        Device::Cpu => cpu::sigmoid_cross_entropy(&x.host(), &targets.host(), ignore),
    }
}

/// dx = weight · (σ(x) − t), 0 where the target is `ignore`.
pub fn sigmoid_cross_entropy_backward(
    device: Device,
    x: &Buffer,
    targets: &Buffer,
    ignore: Option<i32>,
    weight: f32,
    dx: &Buffer,
) {
    match device {
        Device::Cpu => cpu::sigmoid_cross_entropy_backward(x, targets, ignore, weight, dx),
    }
}
