//! Reductions of rows on the host, parallel over rows.

use rayon::prelude::*;

use super::Reduction;
use crate::ops::{elementwise::cpu::CHUNK, reduce};

pub(super) fn forward(reduction: Reduction, factor: f32, x: &[f32], y: &mut [f32]) {
    let length = x.len() / y.len().max(1);
    y.par_iter_mut().enumerate().with_min_len(CHUNK.div_ceil(length.max(1))).for_each(|(row, y)| {
        let x = &x[row * length..][..length];
        let sum = match reduction {
            Reduction::Sum => reduce::total(x),
            Reduction::AbsoluteSum => reduce::absolute_sum(x),
            Reduction::SumOfSquares => reduce::sum_of_squares(x),
        };
        *y = factor * sum;
    });
}

pub(super) fn backward(reduction: Reduction, factor: f32, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let length = x.len() / dy.len().max(1);
    if length == 0 {
        return;
    }
    dx.par_chunks_mut(length).enumerate().with_min_len(CHUNK.div_ceil(length)).for_each(|(row, dx)| {
        let (slope, x) = (factor * dy[row], &x[row * length..]);
        let sign = |x: f32| f32::from(x > 0.0) - f32::from(x < 0.0);
        match reduction {
            Reduction::Sum => dx.fill(slope),
            Reduction::AbsoluteSum => dx.iter_mut().zip(x).for_each(|(dx, &x)| *dx = sign(x) * slope),
            Reduction::SumOfSquares => dx.iter_mut().zip(x).for_each(|(dx, &x)| *dx = 2.0 * slope * x),
        }
    });
}
