//! Losses on the host. Sums are added up in f32 from first to last where Caffe does so.

use super::Margin;
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

/// Whether a pair's entry, with its fraction cut off as in Caffe, is not 0.
fn is_similar(value: f32) -> bool {
    value as i32 != 0
}

pub(super) fn contrastive(margin: Margin, similar: &[f32], difference: &[f32], squares: &mut [f32]) -> f32 {
    let length = difference.len() / squares.len().max(1);
    let mut loss = 0.0_f32;
    for (pair, (square, &similar)) in squares.iter_mut().zip(similar).enumerate() {
        *square = reduce::sum_of_squares(&difference[pair * length..][..length]);
        loss += if is_similar(similar) {
            *square
        } else if margin.legacy {
            (margin.margin - *square).max(0.0)
        } else {
            let short = (margin.margin - square.sqrt()).max(0.0);
            short * short
        };
    }
    loss
}

pub(super) fn contrastive_backward(
    margin: Margin,
    factor: f32,
    similar: &[f32],
    difference: &[f32],
    squares: &[f32],
    gradient: &mut [f32],
) {
    let length = gradient.len() / squares.len().max(1);
    for (pair, (&square, &similar)) in squares.iter().zip(similar).enumerate() {
        let slope = if is_similar(similar) {
            factor
        } else if margin.legacy {
            if margin.margin > square { -factor } else { 0.0 }
        } else {
            // Caffe's 1e-4 keeps pairs that coincide from dividing by 0.
            let distance = square.sqrt();
            let short = margin.margin - distance;
            if short > 0.0 { -factor * short / (distance + 1e-4) } else { 0.0 }
        };
        let range = pair * length..(pair + 1) * length;
        gradient[range.clone()].iter_mut().zip(&difference[range]).for_each(|(gradient, x)| *gradient = slope * x);
    }
}
