//! Several operands into one, on the host.

use rayon::prelude::*;

use crate::{
    ops::{
        elementwise::cpu::{CHUNK, for_chunks, map2},
        vector::widest,
    },
    tensor::Buffer,
};

pub(super) fn weighted_sum(factors: [f32; 2], a: &Buffer, b: &Buffer, y: &Buffer) {
    let [first, second] = factors;
    if factors == [1.0, 1.0] {
        map2(a, b, y, |a, b| a + b);
    } else {
        map2(a, b, y, move |a, b| first * a + second * b);
    }
}

pub(super) fn maximum(a: &[f32], b: &[f32], y: &mut [f32], winners: &mut [u32]) {
    let operands = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    let results = y.par_chunks_mut(CHUNK).zip(winners.par_chunks_mut(CHUNK));
    operands.zip(results).for_each(|((a, b), (y, winners))| {
        widest(
            #[inline(always)]
            || {
                for ((a, b), (y, winner)) in a.iter().zip(b).zip(y.iter_mut().zip(winners)) {
                    let first = a > b;
                    *y = if first { *a } else { *b };
                    *winner = u32::from(!first);
                }
            },
        );
    });
}

pub(super) fn raise(x: &[f32], operand: u32, y: &mut [f32], winners: &mut [u32]) {
    let results = y.par_chunks_mut(CHUNK).zip(winners.par_chunks_mut(CHUNK));
    x.par_chunks(CHUNK).zip(results).for_each(|(x, (y, winners))| {
        widest(
            #[inline(always)]
            || {
                for (x, (y, winner)) in x.iter().zip(y.iter_mut().zip(winners)) {
                    let larger = *x > *y;
                    *y = if larger { *x } else { *y };
                    *winner = if larger { operand } else { *winner };
                }
            },
        );
    });
}

pub(super) fn winner_gradient(winners: &[u32], operand: u32, dy: &[f32], dx: &mut [f32]) {
    for_chunks(dx, |start, dx| {
        let range = start..start + dx.len();
        widest(
            #[inline(always)]
            || {
                let sources = winners[range.clone()].iter().zip(&dy[range]);
                dx.iter_mut()
                    .zip(sources)
                    .for_each(|(dx, (&winner, &dy))| *dx = if winner == operand { dy } else { 0.0 });
            },
        );
    });
}
