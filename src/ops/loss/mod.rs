//! Losses: a sum over all values, and its gradient.

mod classes;
mod cpu;
pub(in crate::ops) mod cuda;
mod cuda_classes;
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

/// loss = Σ (d² of similar pairs, whose entry of `similar` is not 0; max(margin − d, 0)² of others) / (2 · pairs), with d the length of a row
/// of `difference` = a − b. `squares` gets d² for each pair.
pub fn contrastive(
    device: Device,
    margin: Margin,
    [a, b, similar]: [&Buffer; 3],
    [difference, squares]: [&Buffer; 2],
    total: &Total,
    loss: &Buffer,
) {
    match device {
        Device::Cpu => {
            elementwise::subtract(device, a, b, difference);
            let sum = cpu::contrastive(margin, &similar.host(), &difference.host(), &mut squares.host_mut());
            total.finish(sum, 0, Normalizer::Fixed(squares.len() as f32), 2.0, loss);
        }
        Device::Cuda(card) => {
            cuda_classes::contrastive(card, margin, [a, b, similar], [difference, squares], total, loss);
        }
    }
}

/// The gradient of one member of the pairs, a for `sign` 1 and b for −1; the last operand is the loss's own gradient.
pub fn contrastive_backward(
    device: Device,
    margin: Margin,
    sign: f32,
    [similar, difference, squares, loss_diff]: [&Buffer; 4],
    total: &Total,
    gradient: &Buffer,
) {
    match device {
        Device::Cpu => {
            let factor = sign * total.weight(loss_diff);
            let (similar, difference, squares) = (similar.host(), difference.host(), squares.host());
            cpu::contrastive_backward(margin, factor, &similar, &difference, &squares, &mut gradient.host_mut());
        }
        Device::Cuda(card) => {
            let operands = [similar, difference, squares, loss_diff];
            cuda_classes::contrastive_backward(card, margin, sign, operands, total, gradient);
        }
    }
}
