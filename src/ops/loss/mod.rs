//! Losses: a sum over all values, and its gradient.

mod classes;
mod cpu;

pub use classes::{
    hinge, hinge_backward, infogain, infogain_backward, multinomial_logistic, multinomial_logistic_backward,
};

use crate::{
    ops::elementwise,
    tensor::{Buffer, Device},
};

/// difference = a − b; returns Σ difference².
pub fn squared_distance(device: Device, a: &Buffer, b: &Buffer, difference: &Buffer) -> f32 {
    elementwise::subtract(device, a, b, difference);
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::sum_of_squares(difference),
    }
}

/// Σ -t·ln σ(x) − (1−t)·ln(1−σ(x)) with σ the sigmoid, written so that nothing overflows, and the number of targets that are
/// not `ignore` (with their fraction cut off).
pub fn sigmoid_cross_entropy(device: Device, x: &Buffer, targets: &Buffer, ignore: Option<i32>) -> (f32, usize) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::sigmoid_cross_entropy(&x.host(), &targets.host(), ignore),
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
        Device::Cpu | Device::Cuda(_) => cpu::sigmoid_cross_entropy_backward(x, targets, ignore, weight, dx),
    }
}

/// How far apart a contrastive loss wants the members of a dissimilar pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// The distance from which on there is no loss.
    pub margin: f32,
    /// Caffe's first form: max(margin − d², 0) instead of max(margin − d, 0)².
    pub legacy: bool,
}

/// Σ d² over similar pairs (those whose entry of `similar` is not 0) and Σ max(margin − d, 0)² over others, with d the length
/// of a row of `difference` = a − b. `squares` gets d² for each pair.
pub fn contrastive(
    device: Device,
    margin: Margin,
    [a, b, similar]: [&Buffer; 3],
    difference: &Buffer,
    squares: &Buffer,
) -> f32 {
    elementwise::subtract(device, a, b, difference);
    match device {
        Device::Cpu | Device::Cuda(_) => {
            cpu::contrastive(margin, &similar.host(), &difference.host(), &mut squares.host_mut())
        }
    }
}

/// The gradient of one member of the pairs: `factor` · ∂/∂a of [`contrastive`] / 2; for b the factor's sign changes.
pub fn contrastive_backward(
    device: Device,
    margin: Margin,
    factor: f32,
    [similar, difference, squares]: [&Buffer; 3],
    gradient: &Buffer,
) {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            let (similar, difference, squares) = (similar.host(), difference.host(), squares.host());
            cpu::contrastive_backward(margin, factor, &similar, &difference, &squares, &mut gradient.host_mut());
        }
    }
}
