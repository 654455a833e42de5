//! Normalisation over neighbouring channels. s is computed in both directions: behind the divisions that takes no time, and memory none.

use rayon::prelude::*;

use super::{
    super::Normalization,
    LANES,
    passes::{Forward, Gradient, InversePower, Scales},
    plane_of, with_scratch,
};
use crate::{
    ops::{disjoint::Disjoint, elementwise::cpu::operand, vector::widest},
    tensor::Blob,
};

/// Values per task of the gradient across channels, about: what is summed stays in the second cache.
const TASK: usize = 32 * 1024;

/// Neighbouring channels, and how s comes from them: s = k + weight · (sum of x² over the channels).
struct Neighbours<'a> {
    k: f32,
    weight: f32,
    /// Planes of `area` values each.
    planes: &'a [f32],
    area: usize,
    /// The place in each plane that counts as the first.
    first: usize,
}

impl Scales for Neighbours<'_> {
    #[inline(always)]
    fn block(&self, place: usize) -> [f32; LANES] {
        let mut sums = [0.0; LANES];
        // Not by chunks of planes: their number would be a division for each vector.
        let mut rest = &self.planes[self.first + place..];
        while let Some(x) = rest.first_chunk::<LANES>() {
            rest = rest.get(self.area..).unwrap_or_default();
            for lane in 0..LANES {
                sums[lane] += x[lane] * x[lane];
            }
        }
        sums.map(
            #[inline(always)]
            |sum| self.k + self.weight * sum,
        )
    }

    fn one(&self, place: usize) -> f32 {
        let column = self.planes[self.first + place..].iter().step_by(self.area);
        self.k + self.weight * column.fold(0.0, |sum, x| sum + x * x)
    }
}

/// The planes of the neighbourhood of a channel.
fn neighbours(channel: usize, channels: usize, size: usize) -> std::ops::Range<usize> {
    channel.saturating_sub(size / 2)..(channel + size / 2 + 1).min(channels)
}

pub(in crate::ops::lrn) fn across_channels_forward(options: Normalization, x: &Blob, y: &Blob) {
    let (area, channels) = (plane_of(x), x.dim(1));
    let weight = options.alpha / options.size as f32;
    let power = InversePower::of(options.beta);
    let (x, mut y) = (x.data().host(), y.data().host_mut());
    let x = &*x;
    y.par_chunks_mut(area).enumerate().for_each(|(plane, y)| {
        let (image, around) = (plane / channels * channels, neighbours(plane % channels, channels, options.size));
        let around = &x[(image + around.start) * area..(image + around.end) * area];
        let scales = Neighbours { k: options.k, weight, planes: around, area, first: 0 };
        power.with(Forward { scales, x: &x[plane * area..][..area], y });
    });
}

pub(in crate::ops::lrn) fn across_channels_backward(options: Normalization, x: &Blob, y: &Blob) {
    let (area, channels) = (plane_of(x), x.dim(1));
    let weight = options.alpha / options.size as f32;
    let factor = -2.0 * options.beta * options.alpha / options.size as f32;
    let power = InversePower::of(options.beta);
    let images = x.dim(0);
    let y_diff = operand(y.diff(), x.diff());
    let (mut x_diff, x, y_diff) = (x.diff().host_mut(), x.data().host(), y_diff.as_deref());
    let (x, x_diff) = (&*x, Disjoint::new(&mut x_diff));
    if x.is_empty() {
        return;
    }
    // Some places of all channels of an image are a task.
    let places = (TASK / channels.max(1)).max(1).next_multiple_of(LANES).min(area);
    let blocks = area.div_ceil(places);
    (0..images * blocks).into_par_iter().for_each(|task| {
        let (image, first) = (task / blocks, task % blocks * places);
        let places = places.min(area - first);
        let row = |channel: usize| {
            let start = (image * channels + channel) * area + first;
            start..start + places
        };
        // SAFETY: every task has places of its own, and lets a channel's row go before it asks for the next.
        let x_diff = |channel: usize| unsafe { x_diff.range(row(channel)) };
        let image = &x[image * channels * area..][..channels * area];
        with_scratch(channels * places, |through_s| {
            for (channel, through_s) in through_s.chunks_exact_mut(places).enumerate() {
                let around = neighbours(channel, channels, options.size);
                let planes = &image[around.start * area..around.end * area];
                let scales = Neighbours { k: options.k, weight, planes, area, first };
                let (x, y_diff) = (&x[row(channel)], y_diff.map(|y_diff| &y_diff[row(channel)]));
                power.with(Gradient { scales, x, y_diff, factor, x_diff: x_diff(channel), through_s });
            }
            for channel in 0..channels {
                let around = neighbours(channel, channels, options.size);
                let around = &through_s[around.start * places..around.end * places];
                widest(
                    #[inline(always)]
                    || add_products(x_diff(channel), &x[row(channel)], around),
                );
            }
        });
    });
}

/// dx += x · (sum of the rows of v), all rows as long as x.
#[inline(always)]
fn add_products(dx: &mut [f32], x: &[f32], v: &[f32]) {
    let whole = x.len() / LANES * LANES;
    let (blocks, rest) = dx.split_at_mut(whole);
    for (block, dx) in blocks.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut sums = [0.0; LANES];
        for row in v.chunks_exact(x.len()) {
            let v = &row[block * LANES..][..LANES];
            for lane in 0..LANES {
                sums[lane] += v[lane];
            }
        }
        let x = &x[block * LANES..][..LANES];
        for lane in 0..LANES {
            dx[lane] += x[lane] * sums[lane];
        }
    }
    for (place, dx) in rest.iter_mut().enumerate() {
        *dx += x[whole + place] * v[whole + place..].iter().step_by(x.len()).sum::<f32>();
    }
}
