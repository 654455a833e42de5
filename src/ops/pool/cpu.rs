//! Pooling on the host, parallel over planes.
//!
//! Positions of the windows are visited in Caffe's scan order, so that sums and ties come out as Caffe's; `LANES` neighbouring
//! outputs (backward: inputs) are worked on together, in registers, as vector code.

use rayon::prelude::*;

use super::{
    Geometry, Mask,
    phases::{LANES, Phases, extent, rows, with_scratch},
};
use crate::ops::vector::widest;

/// Input values per task, about; whole planes.
const TASK: usize = 32 * 1024;

/// Planes per task.
fn group(geometry: &Geometry) -> usize {
    (TASK / geometry.input_plane().max(1)).max(1)
}

pub(super) fn max_forward(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    let tasks = x.par_chunks(group * input).zip(y.par_chunks_mut(group * output));
    tasks.zip(mask.par_chunks_mut(group * output)).for_each(|((x, y), mask)| {
        let phases = Phases::new(geometry.width);
        with_scratch(geometry.height.input * phases.row(), f32::NEG_INFINITY, |split| {
            widest(
                #[inline(always)]
                || {
                    let planes =
                        x.chunks_exact(input).zip(y.chunks_exact_mut(output)).zip(mask.chunks_exact_mut(output));
                    planes.for_each(|((x, y), mask)| max_plane(geometry, phases, x, split, y, mask));
                },
            );
        });
    });
}

#[inline(always)]
fn max_plane(geometry: &Geometry, phases: Phases, x: &[f32], split: &mut [f32], y: &mut [f32], mask: &mut [u32]) {
    let (height, width) = (geometry.height, geometry.width);
    phases.split_plane(x, split);
    let outputs = y.chunks_exact_mut(width.output).zip(mask.chunks_exact_mut(width.output));
    for (ph, (y, mask)) in outputs.enumerate() {
        let blocks = y.chunks_mut(LANES).zip(mask.chunks_mut(LANES));
        for (block, (y, mask)) in blocks.enumerate() {
            // The maxima first, then where each occurs first: apart, both loops become plain vector code.
            let mut best = [-f32::MAX; LANES];
            for h in rows(height, ph) {
                let row = &split[h * phases.row()..][..phases.row()];
                for start in phases.runs() {
                    let run = &row[start + block * LANES..][..LANES];
                    (0..LANES)
                        .for_each(|lane| best[lane] = if run[lane] > best[lane] { run[lane] } else { best[lane] });
                }
            }
            let mut at = [Mask::NONE; LANES];
            for h in rows(height, ph) {
                let row = &split[h * phases.row()..][..phases.row()];
                for (kw, start) in phases.runs().enumerate() {
                    let run = &row[start + block * LANES..][..LANES];
                    // Counted from the row's padding; how far the output lies to the right is added below.
                    let place = (h * width.input + kw) as u32;
                    for lane in 0..LANES {
                        at[lane] = at[lane].min(if run[lane] == best[lane] { place } else { Mask::NONE });
                    }
                }
            }
            y.copy_from_slice(&best[..y.len()]);
            for (lane, (mask, at)) in mask.iter_mut().zip(at).enumerate() {
                let right = ((block * LANES + lane) * width.stride) as u32;
                let place = at.wrapping_add(right).wrapping_sub(width.pad as u32);
                *mask = if at == Mask::NONE { Mask::NONE } else { place };
            }
        }
    }
}

pub(super) fn max_backward(geometry: &Geometry, dy: &[f32], mask: &[u32], dx: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    let tasks = dx.par_chunks_mut(group * input).zip(dy.par_chunks(group * output));
    tasks.zip(mask.par_chunks(group * output)).for_each(|((dx, dy), mask)| {
        dx.fill(0.0);
        let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output)).zip(mask.chunks_exact(output));
        for ((dx, dy), mask) in planes {
            for (&dy, &index) in dy.iter().zip(mask) {
                // `Mask::NONE` is outside every plane.
                if let Some(dx) = dx.get_mut(index as usize) {
                    *dx += dy;
                }
            }
        }
    });
}

pub(super) fn average_forward(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    x.par_chunks(group * input).zip(y.par_chunks_mut(group * output)).for_each(|(x, y)| {
        let phases = Phases::new(geometry.width);
        with_scratch(geometry.height.input * phases.row(), 0.0, |split| {
            widest(
                #[inline(always)]
                || {
                    let planes = x.chunks_exact(input).zip(y.chunks_exact_mut(output));
                    planes.for_each(|(x, y)| average_plane(geometry, phases, x, split, y));
                },
            );
        });
    });
}

#[inline(always)]
fn average_plane(geometry: &Geometry, phases: Phases, x: &[f32], split: &mut [f32], y: &mut [f32]) {
    let (height, width) = (geometry.height, geometry.width);
    phases.split_plane(x, split);
    for (ph, y) in y.chunks_exact_mut(width.output).enumerate() {
        let high = extent(height, ph);
        for (block, y) in y.chunks_mut(LANES).enumerate() {
            let mut sum = [0.0; LANES];
            for h in rows(height, ph) {
                let row = &split[h * phases.row()..][..phases.row()];
                for start in phases.runs() {
                    let run = &row[start + block * LANES..][..LANES];
                    (0..LANES).for_each(|lane| sum[lane] += run[lane]);
                }
            }
            for (lane, (y, sum)) in y.iter_mut().zip(sum).enumerate() {
                *y = sum / (high * extent(width, block * LANES + lane)) as f32;
            }
        }
    }
}

pub(super) fn average_backward(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    dx.par_chunks_mut(group * input).zip(dy.par_chunks(group * output)).for_each(|(dx, dy)| {
        // Few wide windows (global pooling): window by window is less work than value by value.
        if geometry.width.output * geometry.width.stride < geometry.width.kernel {
            let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output));
            return planes.for_each(|(dx, dy)| average_windows_backward(geometry, dy, dx));
        }
        let shares = Shares::new(geometry);
        let count = geometry.height.output * shares.row;
        with_scratch(count + shares.phases.row(), 0.0, |scratch| {
            let (spread, split) = scratch.split_at_mut(count);
            widest(
                #[inline(always)]
                || {
                    let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output));
                    planes.for_each(|(dx, dy)| average_plane_backward(geometry, shares, dy, spread, split, dx));
                },
            );
        });
    });
}

fn average_windows_backward(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
    let (height, width) = (geometry.height, geometry.width);
    dx.fill(0.0);
    for (index, dy) in dy.iter().enumerate() {
        let (ph, pw) = (index / width.output, index % width.output);
        let share = dy / (extent(height, ph) * extent(width, pw)) as f32;
        for h in rows(height, ph) {
            // A window that begins behind the plane has none of its values.
            let row = dx[h * width.input..].get_mut(rows(width, pw)).unwrap_or_default();
            row.iter_mut().for_each(|dx| *dx += share);
        }
    }
}

/// Rows of dy / window size with zeros at both ends: what each window gives to each of its values.
#[derive(Clone, Copy)]
struct Shares {
    phases: Phases,
    /// Zeros in front of output 0.
    front: usize,
    /// Values of a row.
    row: usize,
}

impl Shares {
    fn new(geometry: &Geometry) -> Self {
        let width = geometry.width;
        let front = width.kernel.div_ceil(width.stride);
        let reach = width.output.max((width.input + width.pad) / width.stride + 1);
        Shares { phases: Phases::new(width), front, row: front + reach + LANES }
    }
}

#[inline(always)]
fn average_plane_backward(
    geometry: &Geometry,
    shares: Shares,
    dy: &[f32],
    spread: &mut [f32],
    split: &mut [f32],
    dx: &mut [f32],
) {
    let (height, width) = (geometry.height, geometry.width);
    for (ph, (dy, row)) in dy.chunks_exact(width.output).zip(spread.chunks_exact_mut(shares.row)).enumerate() {
        let high = extent(height, ph);
        for (pw, (dy, share)) in dy.iter().zip(&mut row[shares.front..]).enumerate() {
            *share = dy / (high * extent(width, pw)) as f32;
        }
    }
    for (h, dx) in dx.chunks_exact_mut(width.input).enumerate() {
        // The windows that hold the row: ph·stride ≤ h + pad < ph·stride + kernel.
        let reach = h + height.pad;
        let first = (reach + 1).saturating_sub(height.kernel).div_ceil(height.stride);
        let windows = first..(reach / height.stride + 1).min(height.output);
        for (phase, split) in split.chunks_exact_mut(shares.phases.length()).enumerate().take(width.stride) {
            // In this phase, column j is at position kw = offset + t·stride of window j + ahead - t, for t = 0, 1, ...
            let (ahead, offset) = ((phase + width.pad) / width.stride, (phase + width.pad) % width.stride);
            let positions = width.kernel.saturating_sub(offset).div_ceil(width.stride);
            let columns = &mut split[shares.phases.front()..][..width.input.div_ceil(width.stride)];
            for (block, columns) in columns.chunks_mut(LANES).enumerate() {
                let mut sum = [0.0; LANES];
                for ph in windows.clone() {
                    let row = &spread[ph * shares.row..][..shares.row];
                    for t in (0..positions).rev() {
                        let run = &row[shares.front + ahead - t + block * LANES..][..LANES];
                        (0..LANES).for_each(|lane| sum[lane] += run[lane]);
                    }
                }
                columns.copy_from_slice(&sum[..columns.len()]);
            }
        }
        shares.phases.join(split, dx);
    }
}

pub(super) fn write_mask(mask: &[u32], values: &mut [f32]) {
    let number = |index: u32| if index == Mask::NONE { -1.0 } else { index as f32 };
    values.iter_mut().zip(mask).for_each(|(value, &index)| *value = number(index));
}
