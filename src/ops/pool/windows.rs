//! Poolings of few windows, one plane at a time, window by window.

use std::ops::Range;

use super::{
    Geometry, Mask,
    layout::{extent, window},
};

/// Partial sums side by side, for vector registers.
const LANES: usize = 16;

/// The first of the largest values of a window, and its index in the plane.
pub(super) fn largest(geometry: &Geometry, x: &[f32], output: usize) -> (f32, u32) {
    let mut best = (-f32::MAX, Mask::NONE);
    for_rows(geometry, output, |range| {
        for (place, &x) in range.clone().zip(&x[range]) {
            if x > best.0 {
                best = (x, place as u32);
            }
        }
    });
    best
}

#[inline(always)]
pub(super) fn average_forward(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
    for (output, y) in y.iter_mut().enumerate() {
        let mut sum = 0.0;
        for_rows(geometry, output, |range| sum += total(&x[range]));
        *y = sum / size(geometry, output);
    }
}

#[inline(always)]
pub(super) fn average_backward(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
    dx.fill(0.0);
    for (output, dy) in dy.iter().enumerate() {
        let share = dy / size(geometry, output);
        for_rows(geometry, output, |range| dx[range].iter_mut().for_each(|dx| *dx += share));
    }
}

/// Calls `work` with the places of each row of a window; with those of all rows at once where they lie one behind the other.
#[inline(always)]
fn for_rows(geometry: &Geometry, output: usize, mut work: impl FnMut(Range<usize>)) {
    let Geometry { height, width, .. } = *geometry;
    let (rows, columns) = (window(height, output / width.output), window(width, output % width.output));
    // A window that begins behind the plane has none of its values.
    if rows.is_empty() || columns.is_empty() {
        return;
    }
    let (runs, length) =
        if columns.len() == width.input { (1, rows.len() * width.input) } else { (rows.len(), columns.len()) };
    for run in 0..runs {
        let start = (rows.start + run) * width.input + columns.start;
        work(start..start + length);
    }
}

fn size(geometry: &Geometry, output: usize) -> f32 {
    let Geometry { height, width, .. } = *geometry;
    (extent(height, output / width.output) * extent(width, output % width.output)) as f32
}

#[inline(always)]
fn total(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += x);
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
