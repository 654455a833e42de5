//! Losses on the host. Sums are added up in f32 from first to last where Caffe does so.

use crate::{
    ops::{elementwise::cpu::map2, math, reduce, softmax::is_ignored},
    tensor::Buffer,
};

pub(super) fn sum_of_squares(values: &Buffer) -> f32 {
    reduce::sum_of_squares(&values.host())
}

pub(super) fn sigmoid_cross_entropy(x: &[f32], targets: &[f32], ignore: Option<i32>) -> (f32, usize) {
    let (mut loss, mut counted) = (0.0_f32, 0);
    for (&x, &target) in x.iter().zip(targets) {
        if !is_ignored(target, ignore) {
            let positive = f32::from(x >= 0.0);
            loss -= x * (target - positive) - (1.0 + (x - 2.0 * x * positive).exp()).ln();
            counted += 1;
        }
    }
    (loss, counted)
}

pub(super) fn sigmoid_cross_entropy_backward(
    x: &Buffer,
    targets: &Buffer,
    ignore: Option<i32>,
    weight: f32,
    dx: &Buffer,
) {
    match ignore {
        None => map2(
            x,
            targets,
            dx,
            #[inline(always)]
            move |x, target| weight * (math::sigmoid(x) - target),
        ),
        _ => map2(
            x,
            targets,
            dx,
            move |x, target| {
                if is_ignored(target, ignore) { 0.0 } else { weight * (math::sigmoid(x) - target) }
            },
        ),
    }
}
