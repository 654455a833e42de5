//! The parametric rectifier on the host, parallel over runs of one slope.

use rayon::prelude::*;

use crate::{
    ops::{broadcast::Spans, elementwise::cpu::CHUNK, vector::widest},
    tensor::Buffer,
};

pub(super) fn forward(spans: Spans, x: &Buffer, slopes: &Buffer, y: &Buffer) {
    let (slopes, apart) = (slopes.host(), (!x.is_same(y)).then(|| x.host()));
    let (slopes, x) = (&*slopes, apart.as_deref());
    for_runs(spans, &mut y.host_mut(), |run, y| {
        let slope = slopes[run % spans.dim];
        let activate = move |x: f32| if x < 0.0 { slope * x } else { x };
        widest(
            #[inline(always)]
            || match x {
                None => y.iter_mut().for_each(|y| *y = activate(*y)),
                Some(x) => y.iter_mut().zip(&x[run * spans.inner..]).for_each(|(y, &x)| *y = activate(x)),
            },
        );
    });
}

pub(super) fn backward(spans: Spans, x: &Buffer, slopes: &Buffer, dy: &Buffer, dx: &Buffer) {
    let (x, slopes, apart) = (x.host(), slopes.host(), (!dy.is_same(dx)).then(|| dy.host()));
    let (x, slopes, dy) = (&*x, &*slopes, apart.as_deref());
    for_runs(spans, &mut dx.host_mut(), |run, dx| {
        let slope = slopes[run % spans.dim];
        let factor = move |x: f32| if x > 0.0 { 1.0 } else { slope };
        let x = &x[run * spans.inner..];
        widest(
            #[inline(always)]
            || match dy {
                None => dx.iter_mut().zip(x).for_each(|(dx, &x)| *dx *= factor(x)),
                Some(dy) => {
                    let sources = x.iter().zip(&dy[run * spans.inner..]);
                    dx.iter_mut().zip(sources).for_each(|(dx, (&x, dy))| *dx = dy * factor(x));
                }
            },
        );
    });
}

pub(super) fn slope_gradient(spans: Spans, x: &[f32], dy: &[f32], sums: &Buffer, gradient: &Buffer) {
    let mut sums = sums.host_mut();
    sums.par_iter_mut().enumerate().with_min_len(least(spans)).for_each(|(run, sum)| {
        let range = run * spans.inner..(run + 1) * spans.inner;
        let terms = x[range.clone()].iter().zip(&dy[range]).map(|(&x, dy)| if x <= 0.0 { dy * x } else { 0.0 });
        *sum = terms.sum();
    });
    let mut gradient = gradient.host_mut();
    for sums in sums.chunks_exact(spans.dim.max(1)) {
        gradient.iter_mut().zip(sums).for_each(|(gradient, sum)| *gradient += sum);
    }
}

/// Calls `work` with each run of values that share a slope.
fn for_runs(spans: Spans, y: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    if spans.inner > 0 {
        y.par_chunks_mut(spans.inner).enumerate().with_min_len(least(spans)).for_each(|(run, y)| work(run, y));
    }
}

/// Runs per task.
fn least(spans: Spans) -> usize {
    CHUNK.div_ceil(spans.inner.max(1))
}
