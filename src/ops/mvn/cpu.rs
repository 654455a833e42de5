//! Mean-variance normalization on the host, parallel over rows.

use rayon::prelude::*;

use crate::{ops::reduce, tensor::Buffer};

pub(super) fn forward((rows, eps): (usize, f32), x: &[f32], y: &mut [f32], deviations: Option<&Buffer>) {
    let length = x.len() / rows.max(1);
    if length == 0 {
        return;
    }
    y.par_chunks_mut(length).zip(x.par_chunks(length)).for_each(|(y, x)| {
        let mean = reduce::total(x) / length as f32;
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x - mean);
    });
    let Some(deviations) = deviations else { return };
    let mut deviations = deviations.host_mut();
    y.par_chunks_mut(length).zip(deviations.par_iter_mut()).for_each(|(y, deviation)| {
        *deviation = (reduce::sum_of_squares(y) / length as f32).sqrt() + eps;
        y.iter_mut().for_each(|y| *y /= *deviation);
    });
}

pub(super) fn backward(rows: usize, y: &[f32], dy: &[f32], deviations: Option<&Buffer>, dx: &mut [f32]) {
    let length = dx.len() / rows.max(1);
    if length == 0 {
        return;
    }
    let deviations = deviations.map(Buffer::host);
    let deviations = deviations.as_deref();
    let sources = y.par_chunks(length).zip(dy.par_chunks(length));
    dx.par_chunks_mut(length).zip(sources).enumerate().for_each(|(row, (dx, (y, dy)))| {
        let mean = reduce::total(dy) / length as f32;
        match deviations {
            None => dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy - mean),
            Some(deviations) => {
                let product = reduce::dot(y, dy) / length as f32;
                let values = y.iter().zip(dy).map(|(y, dy)| (dy - mean - y * product) / deviations[row]);
                dx.iter_mut().zip(values).for_each(|(dx, value)| *dx = value);
            }
        }
    });
}
