//! Normalisation on the host's cores: one pass over memory in each direction. What is summed over neighbours stays in the cache.

mod box_sum;

use std::cell::RefCell;

use rayon::prelude::*;

use self::box_sum::{box_sum, scratch_of};
use super::Normalization;
use crate::{
    ops::{disjoint::Disjoint, vector::widest},
    tensor::{Blob, Buffer},
};

/// Values that a vector holds.
const LANES: usize = 16;

/// Values per task of the gradient across channels, about: what is summed stays in the second cache.
const TASK: usize = 32 * 1024;

thread_local! {
    /// Scratch memory of a thread; it grows to what the largest plane takes and stays.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// A power that does not change from value to value; the usual exponents are products of square roots, which are vector
/// instructions.
#[derive(Clone, Copy)]
enum InversePower {
    ThreeQuarters,
    Half,
    One,
    Any(f32),
}

impl InversePower {
    fn of(beta: f32) -> Self {
        match beta {
            0.75 => InversePower::ThreeQuarters,
            0.5 => InversePower::Half,
            1.0 => InversePower::One,
            beta => InversePower::Any(beta),
        }
    }

    /// Calls `work` with the function s ↦ s^(-β), each exponent compiled by itself.
    #[inline(always)]
    fn with(self, mut work: impl PowerLoop) {
        match self {
            InversePower::ThreeQuarters => widest(
                #[inline(always)]
                || {
                    work.run(|s: f32| {
                        let root = s.sqrt();
                        1.0 / (root * root.sqrt())
                    })
                },
            ),
            InversePower::Half => widest(
                #[inline(always)]
                || work.run(|s: f32| 1.0 / s.sqrt()),
            ),
            InversePower::One => widest(
                #[inline(always)]
                || work.run(|s: f32| 1.0 / s),
            ),
            InversePower::Any(beta) => work.run(|s: f32| s.powf(-beta)),
        }
    }
}

/// A loop over values that raises some of them to a power.
trait PowerLoop {
    fn run(&mut self, power: impl Fn(f32) -> f32);
}

/// s = k + weight · (sum of the neighbours' x²), y = x · s^(-β), for a plane: `around` are the neighbouring planes.
struct AcrossForward<'a> {
    k: f32,
    weight: f32,
    around: &'a [f32],
    x: &'a [f32],
    s: &'a mut [f32],
    y: &'a mut [f32],
}

impl PowerLoop for AcrossForward<'_> {
    #[inline(always)]
    fn run(&mut self, power: impl Fn(f32) -> f32) {
        let area = self.x.len();
        let whole = area / LANES * LANES;
        let (s, rest) = self.s.split_at_mut(whole);
        for (block, s) in s.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut sums = [0.0; LANES];
            for plane in self.around.chunks_exact(area) {
                let x = &plane[block * LANES..][..LANES];
                for lane in 0..LANES {
                    sums[lane] += x[lane] * x[lane];
                }
            }
            *s = sums.map(
                #[inline(always)]
                |sum| self.k + self.weight * sum,
            );
        }
        for (place, s) in rest.iter_mut().enumerate() {
            let column = self.around[whole + place..].iter().step_by(area);
            *s = self.k + self.weight * column.fold(0.0, |sum, x| sum + x * x);
        }
        self.y.iter_mut().zip(self.x).zip(&*self.s).for_each(|((y, x), &s)| *y = x * power(s));
    }
}

/// dx = dy · s^(-β), v = factor · dy · x · s^(-β) / s.
struct Gradient<'a> {
    x: &'a [f32],
    s: &'a [f32],
    y_diff: &'a [f32],
    factor: f32,
    x_diff: &'a mut [f32],
    through_s: &'a mut [f32],
}

impl PowerLoop for Gradient<'_> {
    #[inline(always)]
    fn run(&mut self, power: impl Fn(f32) -> f32) {
        let results = self.x_diff.iter_mut().zip(self.through_s.iter_mut());
        for (((dx, v), &x), (&s, &dy)) in results.zip(self.x).zip(self.s.iter().zip(self.y_diff)) {
            *dx = dy * power(s);
            *v = self.factor * *dx * x / s;
        }
    }
}

/// y = x · s^(-β).
struct Scale<'a> {
    x: &'a [f32],
    s: &'a [f32],
    y: &'a mut [f32],
}

impl PowerLoop for Scale<'_> {
    #[inline(always)]
    fn run(&mut self, power: impl Fn(f32) -> f32) {
        for ((y, &x), &s) in self.y.iter_mut().zip(self.x).zip(self.s) {
            *y = x * power(s);
        }
    }
}

/// Values of one channel of one image.
fn plane_of(x: &Blob) -> usize {
    x.shape().count_from(2).max(1)
}

/// The planes of the neighbourhood of a channel.
fn neighbours(channel: usize, channels: usize, size: usize) -> std::ops::Range<usize> {
    channel.saturating_sub(size / 2)..(channel + size / 2 + 1).min(channels)
}

pub(super) fn across_channels_forward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let (area, channels) = (plane_of(x), x.dim(1));
    let weight = options.alpha / options.size as f32;
    let power = InversePower::of(options.beta);
    let (x, mut y, mut scale) = (x.data().host(), y.data().host_mut(), scale.host_mut());
    let x = &*x;
    let planes = y.par_chunks_mut(area).zip(scale.par_chunks_mut(area)).enumerate();
    planes.for_each(|(plane, (y, s))| {
        let (image, around) = (plane / channels * channels, neighbours(plane % channels, channels, options.size));
        let around = &x[(image + around.start) * area..(image + around.end) * area];
        power.with(AcrossForward { k: options.k, weight, around, x: &x[plane * area..][..area], s, y });
    });
}

pub(super) fn across_channels_backward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let (area, channels) = (plane_of(x), x.dim(1));
    let factor = -2.0 * options.beta * options.alpha / options.size as f32;
    let power = InversePower::of(options.beta);
    let images = x.dim(0);
    let (mut x_diff, x) = (x.diff().host_mut(), x.data().host());
    let (scale, y_diff) = (scale.host(), y.diff().host());
    let (x, scale, y_diff, x_diff) = (&*x, &*scale, &*y_diff, Disjoint::new(&mut x_diff));
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
        with_scratch(channels * places, |through_s| {
            for (channel, through_s) in through_s.chunks_exact_mut(places).enumerate() {
                let (x, s, y_diff) = (&x[row(channel)], &scale[row(channel)], &y_diff[row(channel)]);
                power.with(Gradient { x, s, y_diff, factor, x_diff: x_diff(channel), through_s });
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

pub(super) fn within_channel_forward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
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
        power.with(Scale { x, s, y });
    });
}

pub(super) fn within_channel_backward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let (area, width) = (plane_of(x), x.shape().legacy(3).max(1));
    let power = InversePower::of(options.beta);
    let factor = -2.0 * options.beta * options.alpha / (options.size * options.size) as f32;
    let radius = options.size / 2;
    let (mut x_diff, x) = (x.diff().host_mut(), x.data().host());
    let (scale, y_diff) = (scale.host(), y.diff().host());
    let inputs = x.par_chunks(area).zip(scale.par_chunks(area)).zip(y_diff.par_chunks(area));
    x_diff.par_chunks_mut(area).zip(inputs).for_each(|(x_diff, ((x, s), y_diff))| {
        with_scratch(2 * area + scratch_of(area, width, radius), |scratch| {
            let (planes, scratch) = scratch.split_at_mut(2 * area);
            let (through_s, sums) = planes.split_at_mut(area);
            power.with(Gradient { x, s, y_diff, factor, x_diff, through_s });
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

/// Calls `work` with scratch memory of this thread.
fn with_scratch(len: usize, work: impl FnOnce(&mut [f32])) {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len, 0.0);
        }
        work(&mut scratch[..len]);
    });
}
