//! Batch normalisation on the host, parallel over groups of channels: what a pass over a group reads, the next finds in the cache.

use std::ops::Range;

use super::{Averages, Normalization, Source, Statistics};
use crate::{
    ops::{
        activation::cpu::through_relu,
        broadcast::{
            Spans, Sums,
            cpu::{total, total_of},
        },
        disjoint::Disjoint,
    },
    tensor::Buffer,
};

pub(super) fn move_averages(spans: Spans, statistics: &Statistics, averages: Averages<'_>) {
    let count = spans.outer * spans.inner;
    let move_average = |weight: f32, x: &[f32], average: &Buffer| {
        let mut average = average.host_mut();
        average.iter_mut().zip(x).for_each(|(average, x)| *average = weight * x + averages.fraction * *average);
    };
    move_average(1.0, &statistics.mean.host(), averages.mean);
    move_average(unbiased(count), &statistics.variance.host(), averages.variance);
    move_average(1.0, &[1.0], averages.weight);
}

/// m / (m − 1).
pub(super) fn unbiased(count: usize) -> f32 {
    if count > 1 { count as f32 / (count - 1) as f32 } else { 1.0 }
}

pub(super) fn deviate(epsilon: f32, variance: &[f32], deviation: &mut [f32]) {
    deviation.iter_mut().zip(variance).for_each(|(deviation, variance)| *deviation = (variance + epsilon).sqrt());
}

pub(super) fn read_average(average: &Buffer, count: &Buffer, x: &mut [f32]) {
    let count = count.host()[0];
    let factor = if count == 0.0 { 0.0 } else { 1.0 / count };
    x.iter_mut().zip(&*average.host()).for_each(|(x, average)| *x = factor * average);
}

/// What follows the normalisation of one channel.
#[derive(Clone, Copy)]
struct Ending {
    /// γ and β.
    affine: Option<(f32, f32)>,
    is_relu: bool,
}

impl Ending {
    /// y from the normalised values, which lie in y or elsewhere.
    #[inline(always)]
    fn apply(self, normalized: Option<&[f32]>, y: &mut [f32]) {
        let relu = |y: f32| if y < 0.0 { 0.0 } else { y };
        match (self.affine, self.is_relu) {
            (Some((factor, shift)), true) => map(
                normalized,
                y,
                #[inline(always)]
                |x| relu(x * factor + shift),
            ),
            (Some((factor, shift)), false) => map(
                normalized,
                y,
                #[inline(always)]
                |x| x * factor + shift,
            ),
            (None, true) => map(normalized, y, relu),
            (None, false) => {
                if let Some(normalized) = normalized {
                    y.copy_from_slice(normalized);
                }
            }
        }
    }
}

/// y = f(x), or f(y) without x.
#[inline(always)]
fn map(x: Option<&[f32]>, y: &mut [f32], f: impl Fn(f32) -> f32) {
    match x {
        Some(x) => y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x)),
        None => y.iter_mut().for_each(|y| *y = f(*y)),
    }
}

pub(super) fn forward(
    normalization: Normalization<'_>,
    x: &Buffer,
    [mean, variance]: [&mut [f32]; 2],
    y: &Buffer,
    kept: Option<&Buffer>,
) {
    let Normalization { spans, source, epsilon, epilogue } = normalization;
    let apart = (!x.is_same(y)).then(|| x.host());
    let (mut y, mut kept) = (y.host_mut(), kept.map(Buffer::host_mut));
    let (y, kept) = (Disjoint::new(&mut y), kept.as_deref_mut().map(Disjoint::new));
    let (factors, shifts) = (epilogue.factors.map(Buffer::host), epilogue.shifts.map(Buffer::host));
    let (factors, shifts) = (factors.as_deref(), shifts.as_deref());
    let apart = apart.as_deref();
    spans.for_groups(
        mean,
        variance,
        #[inline(always)]
        |begin, mean, variance| {
            // SAFETY: a channel belongs to one task, which holds one reference to a run of it at a time.
            let y = |run: Range<usize>| unsafe { y.range(run) };
            let x = |run: Range<usize>| match apart {
                Some(x) => &x[run],
                None => &*y(run),
            };
            if source == Source::Batch {
                statistics(spans, begin, x, mean, variance);
            }
            for outer in 0..spans.outer {
                for (place, (&mean, &variance)) in mean.iter().zip(&*variance).enumerate() {
                    let deviation = (variance + epsilon).sqrt();
                    let normalize = |x: f32| (x - mean) / deviation;
                    let channel = begin + place;
                    let affine =
                        factors.map(|factors| (factors[channel], shifts.map_or(0.0, |shifts| shifts[channel])));
                    let ending = Ending { affine, is_relu: epilogue.is_relu };
                    let run = spans.run(outer, channel);
                    match &kept {
                        Some(kept) => {
                            // SAFETY: as above.
                            let kept = unsafe { kept.range(run.clone()) };
                            map(Some(x(run.clone())), kept, normalize);
                            ending.apply(Some(kept), y(run));
                        }
                        None => {
                            let y = y(run.clone());
                            map(apart.map(|x| &x[run]), y, normalize);
                            ending.apply(None, y);
                        }
                    }
                }
            }
        },
    );
}

/// Mean and variance of some channels over the batch.
#[inline(always)]
fn statistics<'a>(
    spans: Spans,
    begin: usize,
    x: impl Fn(Range<usize>) -> &'a [f32],
    mean: &mut [f32],
    variance: &mut [f32],
) {
    let count = (spans.outer * spans.inner) as f64;
    let sums = spans.totals(
        begin,
        mean.len(),
        #[inline(always)]
        |_, run| [total(x(run), |x| x)],
    );
    mean.iter_mut().zip(sums).for_each(|(mean, [sum])| *mean = (sum / count) as f32);
    let squares = spans.totals(
        begin,
        mean.len(),
        #[inline(always)]
        |place, run| {
            let mean = mean[place];
            [total(x(run), |x| (x - mean) * (x - mean))]
        },
    );
    variance.iter_mut().zip(squares).for_each(|(variance, [sum])| *variance = (sum / count) as f32);
}

/// What the gradient is computed from; see [`super::backward`].
pub(super) struct Operands<'a> {
    pub dy: &'a Buffer,
    /// The output, when a ReLU made it.
    pub y: Option<&'a [f32]>,
    pub normalized: Option<&'a [f32]>,
    pub deviation: &'a [f32],
    pub factors: Option<&'a [f32]>,
}

pub(super) fn backward(normalization: Normalization<'_>, of: &Operands<'_>, sums: &Sums, dx: Option<&Buffer>) {
    let Normalization { spans, source, .. } = normalization;
    let in_place = dx.is_some_and(|dx| dx.is_same(of.dy));
    let apart = (!in_place).then(|| of.dy.host());
    let apart = apart.as_deref();
    let mut dx = dx.map(Buffer::host_mut);
    let dx = dx.as_deref_mut().map(Disjoint::new);
    let (mut plain, mut products) = (sums.plain.host_mut(), sums.products.host_mut());
    let count = (spans.outer * spans.inner) as f32;
    spans.for_groups(
        &mut plain,
        &mut products,
        #[inline(always)]
        |begin, plain, products| {
            // SAFETY: a channel belongs to one task, which holds one reference to a run of it at a time.
            let dx = |run: Range<usize>| dx.as_ref().map(|dx| unsafe { dx.range(run) });
            if let Some(normalized) = of.normalized {
                let totals = spans.totals(
                    begin,
                    plain.len(),
                    #[inline(always)]
                    |_, run| {
                        let dy = match apart {
                            Some(dy) => &dy[run.clone()],
                            None => dx(run.clone()).map_or(&[][..], |dx| &*dx),
                        };
                        let x = &normalized[run.clone()];
                        match of.y {
                            Some(y) => {
                                let y = &y[run];
                                let sum = total_of([dy, y], |[dy, y]| through_relu(dy, y));
                                [sum, total_of([dy, x, y], |[dy, x, y]| through_relu(dy, y) * x)]
                            }
                            None => [total(dy, |dy| dy), total_of([dy, x], |[dy, x]| dy * x)],
                        }
                    },
                );
                for ((plain, product), total) in plain.iter_mut().zip(&mut *products).zip(totals) {
                    (*plain, *product) = (total[0] as f32, total[1] as f32);
                }
            }
            for outer in 0..spans.outer {
                for (place, (sum, product)) in plain.iter().zip(&*products).enumerate() {
                    let channel = begin + place;
                    let run = spans.run(outer, channel);
                    let Some(dx) = dx(run.clone()) else { return };
                    let factor = of.factors.map_or(1.0, |factors| factors[channel]);
                    let y = of.y.map(|y| &y[run.clone()]);
                    through_epilogue(apart.map(|dy| &dy[run.clone()]), y, factor, dx);
                    let deviation = of.deviation[channel];
                    match of.normalized.filter(|_| source == Source::Batch) {
                        None => dx.iter_mut().for_each(|dx| *dx /= deviation),
                        Some(x) => {
                            let (mean, slope) = (factor * sum / count, factor * product / count);
                            dx.iter_mut().zip(&x[run]).for_each(|(dx, x)| *dx = (*dx - mean - slope * x) / deviation);
                        }
                    }
                }
            }
        },
    );
}

/// dx = factor · dy, where there is a `y` only behind values above 0; dy is dx itself when not given.
#[inline(always)]
fn through_epilogue(dy: Option<&[f32]>, y: Option<&[f32]>, factor: f32, dx: &mut [f32]) {
    match (dy, y) {
        (None, None) => dx.iter_mut().for_each(|dx| *dx *= factor),
        (None, Some(y)) => dx.iter_mut().zip(y).for_each(|(dx, &y)| *dx = through_relu(*dx, y) * factor),
        (Some(dy), None) => dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy * factor),
        (Some(dy), Some(y)) => {
            dx.iter_mut().zip(dy.iter().zip(y)).for_each(|(dx, (&dy, &y))| *dx = through_relu(dy, y) * factor);
        }
    }
}
