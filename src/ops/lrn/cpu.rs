//! Normalisation on the host's cores: planes in parallel, sums over neighbourhoods as sums of shifted rows.

use std::cell::RefCell;

use rayon::prelude::*;

use super::Normalization;
use crate::{
    ops::vector::widest,
    tensor::{Blob, Buffer},
};

thread_local! {
    /// Two planes of scratch memory for [`box_sum`]; they grow to the largest plane and stay.
    static PLANES: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
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

/// Values of one channel of one image.
fn plane_of(x: &Blob) -> usize {
    x.shape().count_from(2).max(1)
}

/// The planes of the neighbourhood of `plane`, which lie in the same image.
fn neighbours(plane: usize, channels: usize, size: usize) -> std::ops::Range<usize> {
    let (image, channel, radius) = (plane / channels, plane % channels, size / 2);
    image * channels + channel.saturating_sub(radius)..image * channels + (channel + radius + 1).min(channels)
}

pub(super) fn across_channels_forward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let (area, channels) = (plane_of(x), x.dim(1));
    let weight = options.alpha / options.size as f32;
    let power = InversePower::of(options.beta);
    let (x, mut y, mut scale) = (x.data().host(), y.data().host_mut(), scale.host_mut());
    let x = &*x;
    let planes = y.par_chunks_mut(area).zip(scale.par_chunks_mut(area)).enumerate();
    planes.for_each(|(plane, (y, s))| {
        widest(
            #[inline(always)]
            || {
                s.fill(0.0);
                for neighbour in neighbours(plane, channels, options.size) {
                    let x = &x[neighbour * area..][..area];
                    s.iter_mut().zip(x).for_each(|(s, &x)| *s += x * x);
                }
                s.iter_mut().for_each(|s| *s = options.k + weight * *s);
            },
        );
        power.with(Scale { x: &x[plane * area..][..area], s, y });
    });
}

pub(super) fn across_channels_backward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer, ratio: &Buffer) {
    let (area, channels) = (plane_of(x), x.dim(1));
    let factor = -options.beta * options.alpha / options.size as f32;
    let power = InversePower::of(options.beta);
    let (mut x_diff, x) = (x.diff().host_mut(), x.data().host());
    let (scale, y_diff, mut ratio) = (scale.host(), y.diff().host(), ratio.host_mut());
    let (x, scale, y_diff) = (&*x, &*scale, &*y_diff);
    let planes = x_diff.par_chunks_mut(area).zip(ratio.par_chunks_mut(area)).enumerate();
    planes.for_each(|(plane, (x_diff, through_s))| {
        let range = plane * area..(plane + 1) * area;
        let (x, s, y_diff) = (&x[range.clone()], &scale[range.clone()], &y_diff[range]);
        power.with(Gradient { x, s, y_diff, factor, x_diff, through_s });
    });
    let ratio = &*ratio;
    x_diff.par_chunks_mut(area).enumerate().for_each(|(plane, x_diff)| {
        let x = &x[plane * area..][..area];
        widest(
            #[inline(always)]
            || {
                for neighbour in neighbours(plane, channels, options.size) {
                    let v = &ratio[neighbour * area..][..area];
                    x_diff.iter_mut().zip(x).zip(v).for_each(|((dx, &x), &v)| *dx += 2.0 * x * v);
                }
            },
        );
    });
}

pub(super) fn within_channel_forward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let (area, width) = (plane_of(x), x.shape().legacy(3).max(1));
    let (count, power) = ((options.size * options.size) as f32, InversePower::of(options.beta));
    let (x, mut y, mut scale) = (x.data().host(), y.data().host_mut(), scale.host_mut());
    let planes = y.par_chunks_mut(area).zip(scale.par_chunks_mut(area)).zip(x.par_chunks(area));
    planes.for_each(|((y, s), x)| {
        with_planes(area, |squares, rows| {
            widest(
                #[inline(always)]
                || {
                    squares.iter_mut().zip(x).for_each(|(square, &x)| *square = x * x);
                    box_sum(squares, rows, s, width, options.size / 2);
                    s.iter_mut().for_each(|s| *s = options.k + options.alpha * (*s / count));
                },
            );
        });
        power.with(Scale { x, s, y });
    });
}

pub(super) fn within_channel_backward(options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let (area, width) = (plane_of(x), x.shape().legacy(3).max(1));
    let power = InversePower::of(options.beta);
    let factor = -options.beta * options.alpha / (options.size * options.size) as f32;
    let (mut x_diff, x) = (x.diff().host_mut(), x.data().host());
    let (scale, y_diff) = (scale.host(), y.diff().host());
    let inputs = x.par_chunks(area).zip(scale.par_chunks(area)).zip(y_diff.par_chunks(area));
    x_diff.par_chunks_mut(area).zip(inputs).for_each(|(x_diff, ((x, s), y_diff))| {
        with_planes(2 * area, |through_s, rows| {
            let (through_s, sums) = through_s.split_at_mut(area);
            power.with(Gradient { x, s, y_diff, factor, x_diff, through_s });
            widest(
                #[inline(always)]
                || {
                    box_sum(through_s, &mut rows[..area], sums, width, options.size / 2);
                    x_diff.iter_mut().zip(x).zip(&*sums).for_each(|((dx, &x), &sum)| *dx += 2.0 * x * sum);
                },
            );
        });
    });
}

/// Calls `work` with two pieces of scratch memory of this thread.
fn with_planes(len: usize, work: impl FnOnce(&mut [f32], &mut [f32])) {
    PLANES.with_borrow_mut(|(first, second)| {
        for plane in [&mut *first, &mut *second] {
            if plane.len() < len {
                plane.resize(len, 0.0);
            }
        }
        work(&mut first[..len], &mut second[..len]);
    });
}

/// `sums[i]` = sum of `values` over the square of `2·radius + 1` rows and columns around i, zero beyond the edges. First along
/// the rows, then down the columns; every row is `width` values.
#[inline(always)]
fn box_sum(values: &[f32], rows: &mut [f32], sums: &mut [f32], width: usize, radius: usize) {
    if radius > WIDE {
        return wide_box_sum(values, rows, sums, width, radius);
    }
    rows.copy_from_slice(values);
    for (row, values) in rows.chunks_exact_mut(width).zip(values.chunks_exact(width)) {
        for shift in 1..=radius.min(width - 1) {
            add(&mut row[..width - shift], &values[shift..]);
            add(&mut row[shift..], &values[..width - shift]);
        }
    }
    sums.copy_from_slice(rows);
    let area = sums.len();
    for shift in (1..=radius).map(|shift| shift * width).take_while(|&shift| shift < area) {
        add(&mut sums[..area - shift], &rows[shift..]);
        add(&mut sums[shift..], &rows[..area - shift]);
    }
}

/// Above this radius, running sums take less time than sums by shifts.
const WIDE: usize = 16;

/// The same as [`box_sum`] in a time that does not depend on the radius: running sums, in f64 to stay exact.
fn wide_box_sum(values: &[f32], rows: &mut [f32], sums: &mut [f32], width: usize, radius: usize) {
    for (row, values) in rows.chunks_exact_mut(width).zip(values.chunks_exact(width)) {
        run_sum(|at| values[at], width, radius, |at, sum| row[at] = sum);
    }
    let height = values.len() / width;
    for column in 0..width {
        run_sum(|at| rows[at * width + column], height, radius, |at, sum| sums[at * width + column] = sum);
    }
}

/// Writes for each of `count` places the sum of the values at most `radius` away.
fn run_sum(value: impl Fn(usize) -> f32, count: usize, radius: usize, mut write: impl FnMut(usize, f32)) {
    let mut sum: f64 = (0..count.min(radius)).map(|at| f64::from(value(at))).sum();
    for at in 0..count {
        if at + radius < count {
            sum += f64::from(value(at + radius));
        }
        write(at, sum as f32);
        if at >= radius {
            sum -= f64::from(value(at - radius));
        }
    }
}

#[inline(always)]
fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
}
