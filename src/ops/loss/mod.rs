//! Losses: a sum over all values, and its gradient.

mod classes;
mod cpu;
pub(in crate::ops) mod cuda;
mod total;

pub use classes::{
    hinge, hinge_backward, infogain, infogain_backward, multinomial_logistic, multinomial_logistic_backward,
};
pub use total::{Normalizer, Total};

use crate::{
    ops::elementwise,
    tensor::{Buffer, Device},
};

/// difference = a − b, loss = Σ difference² / images / 2.
pub fn squared_distance(
    device: Device,
    [a, b]: [&Buffer; 2],
    images: f32,
    difference: &Buffer,
    total: &Total,
    loss: &Buffer,
) {
    match device {
        Device::Cpu => {
            elementwise::subtract(device, a, b, difference);
            total.finish(cpu::sum_of_squares(difference), 0, Normalizer::Fixed(images), 2.0, loss);
        }
        Device::Cuda(card) => cuda::squared_distance(card, [a, b], images, difference, total, loss),
    }
}

/// dx = sign · w / images · difference, w the loss's own gradient.
pub fn squared_distance_backward(
    device: Device,
    sign: f32,
    images: f32,
    difference: &Buffer,
    loss_diff: &Buffer,
    dx: &Buffer,
) {
    match device {
        Device::Cpu => {
            let factor = sign * loss_diff.host()[0] / images;
            elementwise::scale(device, factor, difference, dx);
        }
        Device::Cuda(card) => cuda::distance_gradient(card, sign, images, [difference, loss_diff], dx),
    }
}

/// loss = Σ -t·ln σ(x) − (1−t)·ln(1−σ(x)) over the targets t that are not `ignore` (with their fraction cut off), divided by the
/// normalizer; σ is the sigmoid. Written so that nothing overflows.
pub fn sigmoid_cross_entropy(
    device: Device,
    [x, targets]: [&Buffer; 2],
    ignore: Option<i32>,
    normalizer: Normalizer,
    total: &Total,
    loss: &Buffer,
) {
    match device {
        Device::Cpu => {
            let (sum, counted) = cpu::sigmoid_cross_entropy(&x.host(), &targets.host(), ignore);
            total.finish(sum, counted, normalizer, 1.0, loss);
        }
        Device::Cuda(card) => cuda::sigmoid_cross_entropy(card, [x, targets], ignore, normalizer, total, loss),
    }
}

/// dx = w / normalizer · (σ(x) − t), 0 where the target is `ignore`; w is the loss's own gradient.
pub fn sigmoid_cross_entropy_backward(
    device: Device,
    [x, targets, loss_diff]: [&Buffer; 3],
    ignore: Option<i32>,
    total: &Total,
    dx: &Buffer,
) {
    match device {
        Device::Cpu => cpu::sigmoid_cross_entropy_backward(x, targets, ignore, total.weight(loss_diff), dx),
        Device::Cuda(card) => {
            cuda::sigmoid_cross_entropy_backward(card, [x, targets, loss_diff], ignore, total, dx);
        }
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
