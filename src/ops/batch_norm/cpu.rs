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
        stream::{Stream, prefetch},
    },
    tensor::Buffer,
};

/// Normalised values that are held before they are kept: no more than a processor has stores past its caches under way.
const BLOCK: usize = 128;

/// The least values of x̂ that are kept past the caches: backward, which reads it, comes after many other layers.
const LARGE: usize = 1 << 17;

/// Images ahead of the one that is summed up, whose values are asked for: runs of one channel lie too far apart for a processor to guess.
const AHEAD: usize = 2;

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
            let stream = Stream::new(spans.count() >= LARGE);
            let mut block = [0.0; BLOCK];
            for outer in 0..spans.outer {
                for (place, (&mean, &variance)) in mean.iter().zip(&*variance).enumerate() {
                    let deviation = (variance + epsilon).sqrt();
                    let normalize = |x: f32| (x - mean) / deviation;
                    let channel = begin + place;
                    let ending = Ending { affine: affine(factors, shifts, channel), is_relu: epilogue.is_relu };
                    let run = spans.run(outer, channel);
                    let Some(kept) = &kept else {
                        let y = y(run.clone());
                        map(apart.map(|x| &x[run]), y, normalize);
                        ending.apply(None, y);
                        continue;
                    };
                    for start in run.clone().step_by(BLOCK) {
                        let part = start..run.end.min(start + BLOCK);
                        let block = &mut block[..part.len()];
                        map(Some(x(part.clone())), block, normalize);
                        ending.apply(Some(block), y(part.clone()));
                        // SAFETY: as above.
                        stream.copy(block, unsafe { kept.range(part) });
                    }
                }
            }
        },
    );
}

/// γ and β of a channel.
#[inline(always)]
fn affine(factors: Option<&[f32]>, shifts: Option<&[f32]>, channel: usize) -> Option<(f32, f32)> {
    factors.map(|factors| (factors[channel], shifts.map_or(0.0, |shifts| shifts[channel])))
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
        |_, run| {
            if let Some(ahead) = spans.ahead(&run, AHEAD) {
                prefetch(x(ahead));
            }
            [total(x(run), |x| x)]
        },
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
    pub shifts: Option<&'a [f32]>,
}

/// What a channel's gradient passes on its way back to the normalised values.
#[derive(Clone, Copy)]
enum Gate {
    Open,
    /// A ReLU, whose input is x̂·factor + shift as in the forward pass: x̂ is read anyway, y need not be.
    Relu {
        factor: f32,
        shift: f32,
    },
}

impl Operands<'_> {
    fn gate(&self, channel: usize) -> Gate {
        let (factor, shift) = affine(self.factors, self.shifts, channel).unwrap_or((1.0, 0.0));
        if self.y.is_some() { Gate::Relu { factor, shift } } else { Gate::Open }
    }
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
            let dy = |run: Range<usize>| match apart {
                Some(dy) => &dy[run],
                None => dx(run).map_or(&[][..], |dx| &*dx),
            };
            if let Some(normalized) = of.normalized {
                let totals = spans.totals(
                    begin,
                    plain.len(),
                    #[inline(always)]
                    |place, run| {
                        if let Some(ahead) = spans.ahead(&run, AHEAD) {
                            prefetch(&normalized[ahead.clone()]);
                            prefetch(dy(ahead));
                        }
                        gradient_sums(of.gate(begin + place), dy(run.clone()), &normalized[run])
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
                    let dy = apart.map(|dy| &dy[run.clone()]);
                    let (factor, deviation) =
                        (of.factors.map_or(1.0, |factors| factors[channel]), of.deviation[channel]);
                    match of.normalized.filter(|_| source == Source::Batch) {
                        None => through_given(dy, of.y.map(|y| &y[run]), [factor, deviation], dx),
                        Some(x) => {
                            let means = [factor * sum / count, factor * product / count];
                            through_batch(of.gate(channel), dy, &x[run], [factor, deviation], means, dx);
                        }
                    }
                }
            }
        },
    );
}

/// Σ g and Σ g·x̂ of a run, g the gradient behind the gate.
#[inline(always)]
fn gradient_sums(gate: Gate, dy: &[f32], x: &[f32]) -> [f32; 2] {
    match gate {
        Gate::Open => [total(dy, |dy| dy), total_of([dy, x], |[dy, x]| dy * x)],
        Gate::Relu { factor, shift } => {
            let sum = total_of([dy, x], |[dy, x]| through_relu(dy, x * factor + shift));
            [sum, total_of([dy, x], |[dy, x]| through_relu(dy, x * factor + shift) * x)]
        }
    }
}

/// dx = (scale·g − mean − slope·x̂) / deviation, g the gradient behind the gate; dy is dx itself when not given.
#[inline(always)]
fn through_batch(
    gate: Gate,
    dy: Option<&[f32]>,
    x: &[f32],
    [scale, deviation]: [f32; 2],
    [mean, slope]: [f32; 2],
    dx: &mut [f32],
) {
    match gate {
        Gate::Open => map2(
            dy,
            x,
            dx,
            #[inline(always)]
            |dy, x| (dy * scale - mean - slope * x) / deviation,
        ),
        Gate::Relu { factor, shift } => map2(
            dy,
            x,
            dx,
            #[inline(always)]
            |dy, x| (through_relu(dy, x * factor + shift) * scale - mean - slope * x) / deviation,
        ),
    }
}

/// y = f(a, x), or f(y, x) without a.
#[inline(always)]
fn map2(a: Option<&[f32]>, x: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    match a {
        Some(a) => {
            for ((y, &a), &x) in y.iter_mut().zip(a).zip(x) {
                *y = f(a, x);
            }
        }
        None => {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = f(*y, x);
            }
        }
    }
}

/// dx = factor · dy / deviation, where there is a `y` only behind values above 0; dy is dx itself when not given.
#[inline(always)]
fn through_given(dy: Option<&[f32]>, y: Option<&[f32]>, [factor, deviation]: [f32; 2], dx: &mut [f32]) {
    match y {
        None => map(
            dy,
            dx,
            #[inline(always)]
            |dy| dy * factor / deviation,
        ),
        Some(y) => map2(
            dy,
            y,
            dx,
            #[inline(always)]
            |dy, y| through_relu(dy, y) * factor / deviation,
        ),
    }
}
