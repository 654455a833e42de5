//! Stochastic pooling on the host, parallel over planes. Windows are without padding.

use std::ops::Range;

use rayon::prelude::*;

use super::{Axis, Geometry, Mask};

/// The values of a window along one axis.
fn window(axis: Axis, output: usize) -> Range<usize> {
    let start = output * axis.stride;
    start..(start + axis.kernel).min(axis.input)
}

/// The places of all values of a window, in scan order.
fn places(geometry: &Geometry, output: usize) -> impl Iterator<Item = usize> + Clone + use<> {
    let Geometry { height, width, .. } = *geometry;
    let columns = window(width, output % width.output);
    window(height, output / width.output).flat_map(move |row| columns.clone().map(move |w| row * width.input + w))
}

pub(super) fn forward(geometry: &Geometry, x: &[f32], draws: &[f32], y: &mut [f32], mask: &mut [u32]) {
    let (input, output) = (geometry.input_plane(), geometry.output_plane());
    let planes = y.par_chunks_mut(output).zip(mask.par_chunks_mut(output));
    planes.zip(x.par_chunks(input)).zip(draws.par_chunks(output)).for_each(|(((y, mask), x), draws)| {
        for (index, (y, mask)) in y.iter_mut().zip(mask).enumerate() {
            let places = places(geometry, index);
            let sum: f32 = places.clone().map(|place| x[place]).sum();
            let threshold = draws[index] * sum;
            let mut reached = 0.0;
            let picked = places.clone().find(|&place| {
                reached += x[place];
                reached >= threshold
            });
            // None: a NaN in the window, which then shows.
            *mask = picked.map_or(Mask::NONE, |place| place as u32);
            *y = picked.map_or(f32::NAN, |place| x[place]);
        }
    });
}

/// Σ x and Σ x² over a window.
fn sums(geometry: &Geometry, x: &[f32], output: usize) -> (f32, f32) {
    places(geometry, output).fold((0.0, 0.0), |(sum, squares), place| (sum + x[place], squares + x[place] * x[place]))
}

pub(super) fn expected(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
    let (input, output) = (geometry.input_plane(), geometry.output_plane());
    y.par_chunks_mut(output).zip(x.par_chunks(input)).for_each(|(y, x)| {
        for (index, y) in y.iter_mut().enumerate() {
            let (sum, squares) = sums(geometry, x, index);
            *y = if sum > 0.0 { squares / sum } else { 0.0 };
        }
    });
}

pub(super) fn expected_backward(geometry: &Geometry, x: &[f32], [y, dy]: [&[f32]; 2], dx: &mut [f32]) {
    let (input, output) = (geometry.input_plane(), geometry.output_plane());
    let planes = dx.par_chunks_mut(input).zip(x.par_chunks(input));
    planes.zip(y.par_chunks(output)).zip(dy.par_chunks(output)).for_each(|(((dx, x), y), dy)| {
        dx.fill(0.0);
        for index in 0..output {
            let (sum, _) = sums(geometry, x, index);
            if sum > 0.0 {
                for place in places(geometry, index) {
                    dx[place] += dy[index] * (2.0 * x[place] - y[index]) / sum;
                }
            }
        }
    });
}
