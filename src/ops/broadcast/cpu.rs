//! Broadcasts and their sums on the host.
//!
//! Values are worked on in parallel by runs of `inner` values that share one value of the vector; sums in parallel by groups
//! of vector values, each run in f32 and the runs added up in f64, always in the same order.

use std::{array::from_fn, ops::Range};

use rayon::prelude::*;

use super::{Spans, Sums};
use crate::{
    ops::{elementwise::cpu::CHUNK, vector::widest},
    tensor::Buffer,
};

/// The most vector values that one task sums for.
const GROUP: usize = 64;
/// Partial sums side by side, for vector registers.
const LANES: usize = 16;

impl Spans {
    /// Values of one task: whole runs.
    pub(crate) fn task(&self) -> usize {
        (CHUNK / self.inner.max(1)).max(1) * self.inner.max(1)
    }

    /// Calls `work` for each run of the values `start..start + len` of the blob, which are whole runs: with the place in the
    /// vector, and the run's place counted from `start`.
    #[inline(always)]
    pub(crate) fn for_runs(&self, start: usize, len: usize, mut work: impl FnMut(usize, Range<usize>)) {
        let mut place = start / self.inner % self.dim;
        for run in (0..len).step_by(self.inner) {
            work(place, run..run + self.inner);
            place = if place + 1 == self.dim { 0 } else { place + 1 };
        }
    }

    /// The place of a run.
    #[inline(always)]
    pub(crate) fn run(&self, outer: usize, place: usize) -> Range<usize> {
        let start = (outer * self.dim + place) * self.inner;
        start..start + self.inner
    }

    /// The run at the same place so many images ahead, if there is one.
    #[inline(always)]
    pub(crate) fn ahead(&self, run: &Range<usize>, images: usize) -> Option<Range<usize>> {
        let start = run.start + images * self.dim * self.inner;
        (start < self.count()).then(|| start..start + self.inner)
    }

    /// Calls `work` for groups of vector values in parallel, each with its first value's place and its part of both results.
    pub(crate) fn for_groups(
        &self,
        first: &mut [f32],
        second: &mut [f32],
        work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
    ) {
        let group = (512 / self.inner.max(1)).clamp(1, GROUP);
        let parts = first.par_chunks_mut(group).zip(second.par_chunks_mut(group)).enumerate();
        parts.for_each(|(index, (first, second))| {
            widest(
                #[inline(always)]
                || work(index * group, first, second),
            )
        });
    }

    /// Adds up what `sum` gives for the runs of up to [`GROUP`] vector values from `begin` on; `sum` is told the place in the
    /// group and the run's place in the blob.
    #[inline(always)]
    pub(crate) fn totals<const K: usize>(
        &self,
        begin: usize,
        group: usize,
        sum: impl Fn(usize, Range<usize>) -> [f32; K],
    ) -> [[f64; K]; GROUP] {
        let mut totals = [[0.0; K]; GROUP];
        for outer in 0..self.outer {
            for (place, totals) in totals[..group].iter_mut().enumerate() {
                let sums = sum(place, self.run(outer, begin + place));
                totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(sum));
            }
        }
        totals
    }
}

pub(super) fn affine(spans: Spans, x: &Buffer, factors: Option<&Buffer>, shifts: Option<&Buffer>, y: &Buffer) {
    let (factors, shifts) = (factors.map(Buffer::host), shifts.map(Buffer::host));
    match (factors.as_deref(), shifts.as_deref()) {
        (Some(factors), Some(shifts)) => map(spans, x, y, |x, place| x * factors[place] + shifts[place]),
        (Some(factors), None) => map(spans, x, y, |x, place| x * factors[place]),
        (None, Some(shifts)) => map(spans, x, y, |x, place| x + shifts[place]),
        (None, None) => map(spans, x, y, |x, _| x),
    }
}

/// y = f(x, place in the vector); `y` may be the memory of `x`.
#[inline(always)]
fn map(spans: Spans, x: &Buffer, y: &Buffer, f: impl Fn(f32, usize) -> f32 + Sync) {
    let x = (!x.is_same(y)).then(|| x.host());
    let x = x.as_deref();
    let task = spans.task();
    y.host_mut().par_chunks_mut(task).enumerate().for_each(|(index, y)| {
        let start = index * task;
        widest(
            #[inline(always)]
            || {
                spans.for_runs(start, y.len(), |place, run| {
                    let y = &mut y[run.clone()];
                    match x {
                        None => y.iter_mut().for_each(|y| *y = f(*y, place)),
                        Some(x) => {
                            let x = &x[start..][run];
                            y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x, place));
                        }
                    }
                });
            },
        );
    });
}

pub(super) fn sums(spans: Spans, a: &Buffer, b: Option<&Buffer>, sums: &Sums) {
    let (a, b) = (a.host(), b.map(Buffer::host));
    let (a, b) = (&*a, b.as_deref());
    let (mut plain, mut products) = (sums.plain.host_mut(), sums.products.host_mut());
    spans.for_groups(&mut plain, &mut products, |begin, plain, products| {
        let both = |_, run: Range<usize>| match b {
            None => [total(&a[run], |a| a), 0.0],
            Some(b) => [total(&a[run.clone()], |a| a), total_of([&a[run.clone()], &b[run]], |[a, b]| a * b)],
        };
        let totals = spans.totals(begin, plain.len(), both);
        for ((plain, product), total) in plain.iter_mut().zip(products).zip(totals) {
            (*plain, *product) = (total[0] as f32, total[1] as f32);
        }
    });
}

/// Σ f(x).
#[inline(always)]
pub(crate) fn total(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|&x| f(x)).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &x)| *lane += f(x));
    }
    lanes.iter().sum::<f32>() + rest
}

/// Σ f(values at the same place of all slices), which are of one length. Two sums in one loop would not become vector code.
#[inline(always)]
pub(crate) fn total_of<const N: usize>(slices: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    let count = slices[0].len();
    let slices = slices.map(|slice| slice[..count].as_chunks::<LANES>());
    let mut lanes = [0.0f32; LANES];
    for chunk in 0..count / LANES {
        let chunks = slices.map(|slice| &slice.0[chunk]);
        lanes = from_fn(|lane| lanes[lane] + f(from_fn(|slice| chunks[slice][lane])));
    }
    let mut rest = 0.0;
    for place in 0..count % LANES {
        rest += f(from_fn(|slice| slices[slice].1[place]));
    }
    lanes.iter().sum::<f32>() + rest
}
