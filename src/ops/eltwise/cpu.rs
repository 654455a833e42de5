//! Several operands into one, on the host.

use rayon::prelude::*;

use crate::{
    ops::{
        activation::cpu::through_relu,
        elementwise::cpu::{CHUNK, for_chunks, map, map2},
        vector::widest,
    },
    tensor::Buffer,
};

pub(super) fn weighted_sum(factors: [f32; 2], a: &Buffer, b: &Buffer, is_relu: bool, y: &Buffer) {
    let [first, second] = factors;
    let relu = |y: f32| if y < 0.0 { 0.0 } else { y };
    match (factors == [1.0, 1.0], is_relu) {
        (true, true) => map2(a, b, y, move |a, b| relu(a + b)),
        (true, false) => map2(a, b, y, |a, b| a + b),
        (false, true) => map2(a, b, y, move |a, b| relu(first * a + second * b)),
        (false, false) => map2(a, b, y, move |a, b| first * a + second * b),
    }
}

pub(super) fn weighted_sum_backward(
    [first, second]: [f32; 2],
    y: Option<&Buffer>,
    dy: &Buffer,
    dx: [Option<&Buffer>; 2],
) {
    let one = |factor: f32, dx: &Buffer| match y {
        Some(y) => map2(y, dy, dx, move |y, dy| factor * through_relu(dy, y)),
        None => map(dy, dx, move |dy| factor * dy),
    };
    match dx {
        [Some(a), Some(b)] => {
            let (y, dy, mut a, mut b) = (y.map(Buffer::host), dy.host(), a.host_mut(), b.host_mut());
            let (y, dy) = (y.as_deref(), &*dy);
            a.par_chunks_mut(CHUNK).zip(b.par_chunks_mut(CHUNK)).enumerate().for_each(|(chunk, (a, b))| {
                let range = chunk * CHUNK..chunk * CHUNK + a.len();
                let (y, dy) = (y.map(|y| &y[range.clone()]), &dy[range]);
                widest(
                    #[inline(always)]
                    || match y {
                        Some(y) => to_both([a, b], [dy, y], move |[dy, y]| {
                            [first, second].map(|factor| factor * through_relu(dy, y))
                        }),
                        None => to_both([a, b], [dy, dy], move |[dy, _]| [first * dy, second * dy]),
                    },
                );
            });
        }
        [a, b] => [(first, a), (second, b)].into_iter().for_each(|(factor, dx)| {
            if let Some(dx) = dx {
                one(factor, dx);
            }
        }),
    }
}

/// Writes the two results of f at each place.
#[inline(always)]
fn to_both([a, b]: [&mut [f32]; 2], [x, y]: [&[f32]; 2], f: impl Fn([f32; 2]) -> [f32; 2]) {
    for ((a, b), (x, y)) in a.iter_mut().zip(b).zip(x.iter().zip(y)) {
        [*a, *b] = f([*x, *y]);
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
