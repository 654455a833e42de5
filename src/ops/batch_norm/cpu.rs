//! Batch normalisation on the host: statistics in parallel over channels, values in parallel over runs of one channel.

use rayon::prelude::*;

use crate::{
    ops::{
        broadcast::{Spans, Sums, cpu::total},
        vector::widest,
    },
    tensor::Buffer,
};

pub(super) fn batch_statistics(spans: Spans, x: &[f32], mean: &mut [f32], variance: &mut [f32]) {
    let count = (spans.outer * spans.inner) as f64;
    spans.for_groups(mean, variance, |begin, mean, variance| {
        let sums = spans.totals(begin, mean.len(), |_, run| [total(&x[run], |x| x)]);
        mean.iter_mut().zip(sums).for_each(|(mean, [sum])| *mean = (sum / count) as f32);
        let squares = spans.totals(begin, mean.len(), |place, run| {
            let mean = mean[place];
            [total(&x[run], |x| (x - mean) * (x - mean))]
        });
        variance.iter_mut().zip(squares).for_each(|(variance, [sum])| *variance = (sum / count) as f32);
    });
}

pub(super) fn move_average(fraction: f32, weight: f32, x: &[f32], average: &mut [f32]) {
    average.iter_mut().zip(x).for_each(|(average, x)| *average = weight * x + fraction * *average);
}

pub(super) fn read_average(average: &Buffer, count: &Buffer, x: &mut [f32]) {
    let count = count.host()[0];
    let factor = if count == 0.0 { 0.0 } else { 1.0 / count };
    x.iter_mut().zip(&*average.host()).for_each(|(x, average)| *x = factor * average);
}

pub(super) fn normalize(spans: Spans, x: &Buffer, [mean, deviation]: [&[f32]; 2], y: &Buffer, kept: Option<&Buffer>) {
    let x = (!x.is_same(y)).then(|| x.host());
    let x = x.as_deref();
    let mut kept = kept.map(Buffer::host_mut);
    let task = spans.task();
    let work = |index: usize, y: &mut [f32], mut kept: Option<&mut [f32]>| {
        let start = index * task;
        widest(
            #[inline(always)]
            || {
                spans.for_runs(start, y.len(), |channel, run| {
                    let (mean, deviation) = (mean[channel], deviation[channel]);
                    let y = &mut y[run.clone()];
                    match x {
                        None => y.iter_mut().for_each(|y| *y = (*y - mean) / deviation),
                        Some(x) => {
                            let x = &x[start..][run.clone()];
                            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) / deviation);
                        }
                    }
                    if let Some(kept) = &mut kept {
                        kept[run].copy_from_slice(y);
                    }
                });
            },
        );
    };
    let mut y = y.host_mut();
    let parts = y.par_chunks_mut(task).enumerate();
    match &mut kept {
        None => parts.for_each(|(index, y)| work(index, y, None)),
        Some(kept) => {
            parts.zip(kept.par_chunks_mut(task)).for_each(|((index, y), kept)| work(index, y, Some(kept)));
        }
    }
}

/// The gradient; through the statistics too when the output and the sums of dy and dy·y are given.
pub(super) fn backward(spans: Spans, dy: &Buffer, through: Option<(&Buffer, &Sums)>, deviation: &[f32], dx: &Buffer) {
    let dy = (!dy.is_same(dx)).then(|| dy.host());
    let dy = dy.as_deref();
    let through = through.map(|(y, sums)| (y.host(), sums.plain.host(), sums.products.host()));
    let through = through.as_ref().map(|(y, sum, product)| (&**y, &**sum, &**product));
    let count = (spans.outer * spans.inner) as f32;
    let task = spans.task();
    dx.host_mut().par_chunks_mut(task).enumerate().for_each(|(index, dx)| {
        let start = index * task;
        widest(
            #[inline(always)]
            || {
                spans.for_runs(start, dx.len(), |channel, run| {
                    let deviation = deviation[channel];
                    let dx = &mut dx[run.clone()];
                    if let Some(dy) = dy {
                        dx.copy_from_slice(&dy[start..][run.clone()]);
                    }
                    match through {
                        None => dx.iter_mut().for_each(|dx| *dx /= deviation),
                        Some((y, sum, product)) => {
                            let (mean, slope) = (sum[channel] / count, product[channel] / count);
                            let y = &y[start..][run];
                            dx.iter_mut().zip(y).for_each(|(dx, y)| *dx = (*dx - mean - slope * y) / deviation);
                        }
                    }
                });
            },
        );
    });
}
