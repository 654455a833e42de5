//! Several operands into one, on the host.

use rayon::prelude::*;

use crate::{
    ops::{
        activation::cpu::through_relu,
        elementwise::cpu::{CHUNK, for_chunks, map, map2, operand},
        stream::Stream,
        vector::widest,
    },
    tensor::Buffer,
};

/// The least values of a result that goes past the caches: the next layer reads it, but begins with what was written first.
const LARGE: usize = 1 << 20;

/// Results that are held before they are written.
const BLOCK: usize = 128;

pub(super) fn weighted_sum(factors: [f32; 2], a: &Buffer, b: &Buffer, is_relu: bool, y: &Buffer) {
    let [first, second] = factors;
    let relu = |y: f32| if y < 0.0 { 0.0 } else { y };
    match (factors == [1.0, 1.0], is_relu) {
        (true, true) => both(a, b, y, move |a, b| relu(a + b)),
        (true, false) => both(a, b, y, |a, b| a + b),
        (false, true) => both(a, b, y, move |a, b| relu(first * a + second * b)),
        (false, false) => both(a, b, y, move |a, b| first * a + second * b),
    }
}

/// y = f(a, b). Three streams through memory are all that it does, so a large y is not read before it is written.
#[inline(always)]
fn both(a: &Buffer, b: &Buffer, y: &Buffer, f: impl Fn(f32, f32) -> f32 + Sync + Copy) {
    if a.is_same(y) || b.is_same(y) {
        return map2(a, b, y, f);
    }
    let (a, b, mut y) = (a.host(), b.host(), y.host_mut());
    let (a, b, count) = (&*a, &*b, y.len());
    for_chunks(&mut y, |start, y| {
        let stream = Stream::new(count >= LARGE);
        let range = start..start + y.len();
        let (a, b) = (&a[range.clone()], &b[range]);
        widest(
            #[inline(always)]
            || {
                let mut block = [0.0; BLOCK];
                for ((y, a), b) in y.chunks_mut(BLOCK).zip(a.chunks(BLOCK)).zip(b.chunks(BLOCK)) {
                    let block = &mut block[..y.len()];
                    block.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| *y = f(a, b));
                    stream.copy(block, y);
                }
            },
        );
    });
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
        [Some(a), Some(b)] if b.is_same(dy) => to_both([second, first], y, dy, [b, a]),
        [Some(a), Some(b)] => to_both([first, second], y, dy, [a, b]),
        [a, b] => [(first, a), (second, b)].into_iter().for_each(|(factor, dx)| {
            if let Some(dx) = dx {
                one(factor, dx);
            }
        }),
    }
}

/// The gradients of both operands; that of the first may be the memory of `dy`.
fn to_both(factors: [f32; 2], y: Option<&Buffer>, dy: &Buffer, [a, b]: [&Buffer; 2]) {
    let (dy, y) = (operand(dy, a), y.map(Buffer::host));
    let (dy, y) = (dy.as_deref(), y.as_deref());
    let (mut a, mut b) = (a.host_mut(), b.host_mut());
    a.par_chunks_mut(CHUNK).zip(b.par_chunks_mut(CHUNK)).enumerate().for_each(|(chunk, (a, b))| {
        let range = chunk * CHUNK..chunk * CHUNK + a.len();
        let (dy, y) = (dy.map(|dy| &dy[range.clone()]), y.map(|y| &y[range]));
        let [first, second] = factors;
        let scaled = move |dy: f32| [first * dy, second * dy];
        widest(
            #[inline(always)]
            || match (dy, y) {
                (Some(dy), Some(y)) => {
                    for ((a, b), (dy, y)) in a.iter_mut().zip(b).zip(dy.iter().zip(y)) {
                        [*a, *b] = scaled(through_relu(*dy, *y));
                    }
                }
                (None, Some(y)) => {
                    for ((a, b), y) in a.iter_mut().zip(b).zip(y) {
                        [*a, *b] = scaled(through_relu(*a, *y));
                    }
                }
                (Some(dy), None) => {
                    for ((a, b), dy) in a.iter_mut().zip(b).zip(dy) {
                        [*a, *b] = scaled(*dy);
                    }
                }
                (None, None) if first == 1.0 => {
                    for (a, b) in a.iter().zip(b) {
                        *b = second * a;
                    }
                }
                (None, None) => {
                    for (a, b) in a.iter_mut().zip(b) {
                        [*a, *b] = scaled(*a);
                    }
                }
            },
        );
    });
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
