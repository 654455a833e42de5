//! Normalisation on the host's cores: one pass over memory in each direction. What is summed over neighbours stays in the cache.

mod across;
mod box_sum;

use std::cell::RefCell;

use rayon::prelude::*;

pub(super) use self::across::{across_channels_backward, across_channels_forward};
use self::box_sum::{box_sum, scratch_of};
use super::Normalization;
use crate::{
    ops::{elementwise::cpu::operand, vector::widest},
    tensor::{Blob, Buffer},
};

/// Values that a vector holds.
const LANES: usize = 16;

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

/// dx = dy · s^(-β), v = factor · dy · x · s^(-β) / s.
struct Gradient<'a> {
    x: &'a [f32],
    s: &'a [f32],
    /// None where they are in `x_diff`.
    y_diff: Option<&'a [f32]>,
    factor: f32,
    x_diff: &'a mut [f32],
    through_s: &'a mut [f32],
}

impl PowerLoop for Gradient<'_> {
    #[inline(always)]
    fn run(&mut self, power: impl Fn(f32) -> f32) {
        let results = self.x_diff.iter_mut().zip(self.through_s.iter_mut());
        let operands = results.zip(self.x.iter().zip(self.s));
        match self.y_diff {
            Some(y_diff) => {
                for (((dx, v), (&x, &s)), &dy) in operands.zip(y_diff) {
                    *dx = dy * power(s);
                    *v = self.factor * *dx * x / s;
                }
            }
            None => {
                for ((dx, v), (&x, &s)) in operands {
                    *dx *= power(s);
                    *v = self.factor * *dx * x / s;
                }
            }
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
    let y_diff = operand(y.diff(), x.diff());
    let (mut x_diff, x, y_diff) = (x.diff().host_mut(), x.data().host(), y_diff.as_deref());
    let scale = scale.host();
    let inputs = x.par_chunks(area).zip(scale.par_chunks(area));
    x_diff.par_chunks_mut(area).zip(inputs).enumerate().for_each(|(plane, (x_diff, (x, s)))| {
        let y_diff = y_diff.map(|y_diff| &y_diff[plane * area..][..x.len()]);
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
