//! Resizing on the host, parallel over planes.

use rayon::prelude::*;

use super::{BadPlace, Bilinear};
use crate::ops::softmax::class;

pub(super) fn bilinear_forward(plan: &Bilinear, x: &[f32], y: &mut [f32]) {
    let Bilinear { source, width, rows, columns, .. } = plan;
    if y.is_empty() {
        return;
    }
    y.par_chunks_mut(rows.len() * columns.len()).zip(x.par_chunks(*source)).for_each(|(y, x)| {
        for (row, y) in rows.iter().zip(y.chunks_exact_mut(columns.len())) {
            let (upper, lower) = (&x[row.first * width..][..*width], &x[row.second * width..][..*width]);
            for (column, y) in columns.iter().zip(y) {
                let across =
                    |line: &[f32]| column.weights[0] * line[column.first] + column.weights[1] * line[column.second];
                *y = row.weights[0] * across(upper) + row.weights[1] * across(lower);
            }
        }
    });
}

pub(super) fn bilinear_backward(plan: &Bilinear, dy: &[f32], dx: &mut [f32]) {
    let Bilinear { source, width, rows, columns, .. } = plan;
    if dy.is_empty() {
        return dx.fill(0.0);
    }
    dx.par_chunks_mut(*source).zip(dy.par_chunks(rows.len() * columns.len())).for_each(|(dx, dy)| {
        dx.fill(0.0);
        for (row, dy) in rows.iter().zip(dy.chunks_exact(columns.len())) {
            for (line, weight) in [(row.first, row.weights[0]), (row.second, row.weights[1])] {
                let dx = &mut dx[line * width..][..*width];
                for (column, dy) in columns.iter().zip(dy) {
                    dx[column.first] += weight * column.weights[0] * dy;
                    dx[column.second] += weight * column.weights[1] * dy;
                }
            }
        }
    });
}

pub(super) fn unpool_forward(
    (small, large): (usize, usize),
    x: &[f32],
    mask: &[f32],
    y: &mut [f32],
) -> Result<(), BadPlace> {
    if let Some(index) = mask.par_iter().position_first(|&value| class(value, large).is_none()) {
        return Err(BadPlace { index, value: mask[index] });
    }
    y.fill(0.0);
    if !x.is_empty() {
        let sources = x.par_chunks(small).zip(mask.par_chunks(small));
        y.par_chunks_mut(large).zip(sources).for_each(|(y, (x, mask))| {
            for (x, &place) in x.iter().zip(mask) {
                y[place as usize] = *x;
            }
        });
    }
    Ok(())
}

pub(super) fn unpool_backward((small, large): (usize, usize), dy: &[f32], mask: &[f32], dx: &mut [f32]) {
    if dx.is_empty() {
        return;
    }
    let sources = dy.par_chunks(large).zip(mask.par_chunks(small));
    dx.par_chunks_mut(small).zip(sources).for_each(|(dx, (dy, mask))| {
        for (dx, &place) in dx.iter_mut().zip(mask) {
            *dx = dy.get(place as usize).copied().unwrap_or(0.0);
        }
    });
}
