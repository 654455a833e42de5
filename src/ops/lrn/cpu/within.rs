//! Normalisation over a square of each channel. s is kept for the backward pass: its sums take longer than memory does.

use rayon::prelude::*;

use super::{
    super::Normalization,
    box_sum::{box_sum, scratch_of},
    passes::{Forward, Gradient, InversePower},
    plane_of, with_scratch,
};
use crate::{
    ops::{elementwise::cpu::operand, vector::widest},
    tensor::{Blob, Buffer},
};

pub(in crate::ops::lrn) fn within_channel_forward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let (area, width) = (plane_of(x), x.shape().legacy(3).max(1));
    let (weight, power) = (options.alpha / (options.size * options.size) as f32, InversePower::of(options.beta));
    let (x, mut y, mut scale) = (x.data().host(), y.data().host_mut(), scale.host_mut());
    let planes = y.par_chunks_mut(area).zip(scale.par_chunks_mut(area)).zip(x.par_chunks(area));
    let radius = options.size / 2;
    planes.for_each(|((y, s), x)| {
        with_scratch(scratch_of(area, width, radius), |scratch| {
            widest(
                #[inline(always)]
                || {
                    box_sum(x, |x| x * x, scratch, s, width, radius);
                    s.iter_mut().for_each(|s| *s = options.k + weight * *s);
                },
            );
        });
        power.with(Forward { scales: &*s, x, y });
    });
}

pub(in crate::ops::lrn) fn within_channel_backward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let (area, width) = (plane_of(x), x.shape().legacy(3).max(1));
    let power = InversePower::of(options.beta);
    let factor = -2.0 * options.beta * options.alpha / (options.size * options.size) as f32;
    let radius = options.size / 2;
    let y_diff = operand(y.diff(), x.diff());
    let (mut x_diff, x, y_diff) = (x.diff().host_mut(), x.data().host(), y_diff.as_deref());
    let scale = scale.host();
    let inputs = x.par_chunks(area).zip(scale.par_chunks(area));
    x_diff.par_chunks_mut(area).zip(inputs).enumerate().for_each(|(plane, (x_diff, (x, s)))| {
        let y_diff = y_diff.map(|y_diff| &y_diff[plane * area..][..x.len()]);
        with_scratch(2 * area + scratch_of(area, width, radius), |scratch| {
            let (planes, scratch) = scratch.split_at_mut(2 * area);
            let (through_s, sums) = planes.split_at_mut(area);
            power.with(Gradient { scales: s, x, y_diff, factor, x_diff, through_s });
            widest(
                #[inline(always)]
                || {
                    box_sum(through_s, |v| v, scratch, sums, width, radius);
                    x_diff.iter_mut().zip(x).zip(&*sums).for_each(|((dx, &x), &sum)| *dx += x * sum);
                },
            );
        });
    });
}
