//! Softmax on the host, parallel over the outer axes.

use rayon::prelude::*;

use super::{Axes, BadLabel};
use crate::{
    ops::{elementwise::cpu::CHUNK, math, vector::widest},
    tensor::Buffer,
};

/// Places behind the axis that are worked on together: their maxima and sums fit in a few vector registers.
const BLOCK: usize = 64;

/// Calls `work` for each index of the outer axes with the result's values and, unless they are the same memory, the operand's.
fn for_outer(axes: Axes, x: &Buffer, y: &Buffer, work: impl Fn(usize, &mut [f32]) + Sync) {
    let dim = axes.channels * axes.inner;
    if dim == 0 || axes.outer == 0 {
        return;
    }
    let x = (!x.is_same(y)).then(|| x.host());
    let x = x.as_deref();
    let mut y = y.host_mut();
    y.par_chunks_mut(dim).enumerate().with_min_len(CHUNK.div_ceil(dim)).for_each(|(outer, y)| {
        if let Some(x) = x {
            y.copy_from_slice(&x[outer * dim..][..dim]);
        }
        work(outer, y);
    });
}

pub(super) fn forward(axes: Axes, x: &Buffer, y: &Buffer) {
    for_outer(axes, x, y, |_, y| {
        if axes.inner == 1 {
            widest(
                #[inline(always)]
                || forward_row(y),
            );
        } else {
            (0..axes.inner).step_by(BLOCK).for_each(|start| {
                widest(
                    #[inline(always)]
                    || forward_block(axes.inner, start, y),
                )
            });
        }
    });
}

#[inline(always)]
fn forward_row(y: &mut [f32]) {
    let largest = y.iter().fold(f32::NEG_INFINITY, |largest, &y| if largest < y { y } else { largest });
    y.iter_mut().for_each(|y| *y = math::exp_nearest(*y - largest));
    let sum: f32 = y.iter().sum();
    y.iter_mut().for_each(|y| *y /= sum);
}

#[inline(always)]
fn forward_block(inner: usize, start: usize, y: &mut [f32]) {
    let length = BLOCK.min(inner - start);
    let (mut largest, mut sum) = ([f32::NEG_INFINITY; BLOCK], [0.0; BLOCK]);
    let (largest, sum) = (&mut largest[..length], &mut sum[..length]);
    for y in y.chunks_exact(inner) {
        largest
            .iter_mut()
            .zip(&y[start..])
            .for_each(|(largest, &y)| *largest = if *largest < y { y } else { *largest });
    }
    for y in y.chunks_exact_mut(inner) {
        for ((y, largest), sum) in y[start..].iter_mut().zip(&*largest).zip(&mut *sum) {
            *y = math::exp_nearest(*y - largest);
            *sum += *y;
        }
    }
    for y in y.chunks_exact_mut(inner) {
        y[start..].iter_mut().zip(&*sum).for_each(|(y, sum)| *y /= sum);
    }
}

pub(super) fn backward(axes: Axes, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    let y = y.host();
    let y = &*y;
    let dim = axes.channels * axes.inner;
    for_outer(axes, dy, dx, |outer, dx| {
        let y = &y[outer * dim..][..dim];
        (0..axes.inner).step_by(BLOCK).for_each(|start| {
            widest(
                #[inline(always)]
                || backward_block(axes.inner, start, y, dx),
            )
        });
    });
}

#[inline(always)]
fn backward_block(inner: usize, start: usize, y: &[f32], dx: &mut [f32]) {
    let length = BLOCK.min(inner - start);
    let mut dot = [0.0; BLOCK];
    let dot = &mut dot[..length];
    for (dx, y) in dx.chunks_exact(inner).zip(y.chunks_exact(inner)) {
        dot.iter_mut().zip(&dx[start..]).zip(&y[start..]).for_each(|((dot, dx), y)| *dot += dx * y);
    }
    for (dx, y) in dx.chunks_exact_mut(inner).zip(y.chunks_exact(inner)) {
        dx[start..].iter_mut().zip(&y[start..]).zip(&*dot).for_each(|((dx, y), dot)| *dx = (*dx - dot) * y);
    }
}

/// The class a label means; None when it means none of them.
pub fn class(label: f32, classes: usize) -> Option<usize> {
    // A cast would make 0 of NaN.
    let class = if label.is_nan() { -1 } else { label as i64 };
    usize::try_from(class).ok().filter(|class| *class < classes)
}

/// Whether a label says that its place does not count.
pub fn is_ignored(label: f32, ignore: Option<i32>) -> bool {
    !label.is_nan() && ignore == Some(label as i32)
}

pub(super) fn loss_forward(
    axes: Axes,
    probabilities: &[f32],
    labels: &[f32],
    ignore: Option<i32>,
) -> Result<(f32, usize), BadLabel> {
    let (mut loss, mut counted) = (0.0_f32, 0);
    for (index, &value) in labels.iter().enumerate() {
        if is_ignored(value, ignore) {
            continue;
        }
        let class = class(value, axes.channels).ok_or(BadLabel { index, value })?;
        let probability = probabilities[place(axes, index, class)];
        // NaN is not replaced.
        let probability = if probability < f32::MIN_POSITIVE { f32::MIN_POSITIVE } else { probability };
        loss -= probability.ln();
        counted += 1;
    }
    Ok((loss, counted))
}

/// The index of a label's place in a blob with channels.
fn place(axes: Axes, label: usize, channel: usize) -> usize {
    let (outer, inner) = (label / axes.inner, label % axes.inner);
    (outer * axes.channels + channel) * axes.inner + inner
}

pub(super) fn loss_backward(
    axes: Axes,
    probabilities: &[f32],
    labels: &[f32],
    ignore: Option<i32>,
    weight: f32,
    dx: &mut [f32],
) {
    for (index, &label) in labels.iter().enumerate() {
        if is_ignored(label, ignore) {
            (0..axes.channels).for_each(|channel| dx[place(axes, index, channel)] = 0.0);
        } else if let Some(class) = class(label, axes.channels) {
            let place = place(axes, index, class);
            dx[place] = weight * (probabilities[place] - 1.0);
        }
    }
}
