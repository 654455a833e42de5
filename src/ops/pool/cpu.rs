//! Pooling on the host, parallel over planes.
//!
//! A plane is taken apart ([`Layout`]), then position by position all of its windows are worked on at once, as vector code.
//! Positions are visited in Caffe's scan order, so that sums and ties come out as Caffe's.

use rayon::prelude::*;

use super::{
    Geometry, Mask,
    layout::{LANES, Layout, Position, Work, extent, with_scratch},
    windows,
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
    let layout = Layout::new(geometry);
    let tasks = x.par_chunks(group * input).zip(y.par_chunks_mut(group * output));
    tasks.zip(mask.par_chunks_mut(group * output)).for_each(|((x, y), mask)| {
        let planes = x.chunks_exact(input).zip(y.chunks_exact_mut(output)).zip(mask.chunks_exact_mut(output));
        let Some(layout) = layout else {
            return planes.for_each(|((x, y), mask)| windows::max_forward(geometry, x, y, mask));
        };
        with_scratch(&layout, f32::NEG_INFINITY, |mut work| {
            widest(
                #[inline(always)]
                || {
                    for ((x, y), mask) in planes {
                        max_plane(geometry, &layout, &mut work, x, y, mask);
                    }
                },
            );
        });
    });
}

#[inline(always)]
fn max_plane(geometry: &Geometry, layout: &Layout, work: &mut Work<'_>, x: &[f32], y: &mut [f32], mask: &mut [u32]) {
    layout.split(x, work.apart);
    let results = work.run.as_chunks_mut::<LANES>().0.iter_mut().zip(work.places.as_chunks_mut::<LANES>().0);
    for (block, results) in results.enumerate() {
        let (mut best, mut at) = ([-f32::MAX; LANES], [Mask::NONE; LANES]);
        for &Position { start, place } in work.positions {
            let values = &work.apart[start + block * LANES..][..LANES];
            for lane in 0..LANES {
                let larger = values[lane] > best[lane];
                best[lane] = if larger { values[lane] } else { best[lane] };
                at[lane] = if larger { place } else { at[lane] };
            }
        }
        (*results.0, *results.1) = (best, at);
    }
    let (height, width) = (geometry.height, geometry.width);
    let outputs = y.chunks_exact_mut(width.output).zip(mask.chunks_exact_mut(width.output));
    let runs = work.run.chunks_exact(layout.pitch()).zip(work.places.chunks_exact(layout.pitch()));
    for (ph, ((y, mask), (best, at))) in outputs.zip(runs).enumerate() {
        y.copy_from_slice(&best[..y.len()]);
        // Where position 0 of the row's first window would be, in front of the plane perhaps.
        let first = (ph * height.stride * width.input) as u32;
        let mut first = first.wrapping_sub((height.pad * width.input + width.pad) as u32);
        for (mask, &at) in mask.iter_mut().zip(at) {
            *mask = if at == Mask::NONE { Mask::NONE } else { at.wrapping_add(first) };
            first = first.wrapping_add(width.stride as u32);
        }
    }
}

pub(super) fn max_backward(geometry: &Geometry, dy: &[f32], mask: &[u32], dx: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    let tasks = dx.par_chunks_mut(group * input).zip(dy.par_chunks(group * output));
    tasks.zip(mask.par_chunks(group * output)).for_each(|((dx, dy), mask)| {
        let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output)).zip(mask.chunks_exact(output));
        for ((dx, dy), mask) in planes {
            dx.fill(0.0);
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
    let layout = Layout::new(geometry);
    x.par_chunks(group * input).zip(y.par_chunks_mut(group * output)).for_each(|(x, y)| {
        let planes = x.chunks_exact(input).zip(y.chunks_exact_mut(output));
        let Some(layout) = layout else {
            return widest(
                #[inline(always)]
                || {
                    for (x, y) in planes {
                        windows::average_forward(geometry, x, y);
                    }
                },
            );
        };
        with_scratch(&layout, 0.0, |mut work| {
            list_widths(geometry, work.row);
            widest(
                #[inline(always)]
                || {
                    for (x, y) in planes {
                        average_plane(geometry, &layout, &mut work, x, y);
                    }
                },
            );
        });
    });
}

/// The sizes of the windows along a row.
fn list_widths(geometry: &Geometry, widths: &mut [f32]) {
    let width = geometry.width;
    widths.iter_mut().enumerate().for_each(|(pw, wide)| *wide = extent(width, pw) as f32);
}

#[inline(always)]
fn average_plane(geometry: &Geometry, layout: &Layout, work: &mut Work<'_>, x: &[f32], y: &mut [f32]) {
    layout.split(x, work.apart);
    for (block, result) in work.run.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut sums = [0.0; LANES];
        for position in work.positions {
            let values = &work.apart[position.start + block * LANES..][..LANES];
            for lane in 0..LANES {
                sums[lane] += values[lane];
            }
        }
        *result = sums;
    }
    let outputs = y.chunks_exact_mut(geometry.width.output).zip(work.run.chunks_exact(layout.pitch()));
    for (ph, (y, sums)) in outputs.enumerate() {
        let high = extent(geometry.height, ph) as f32;
        y.iter_mut().zip(sums).zip(&*work.row).for_each(|((y, sum), wide)| *y = sum / (high * wide));
    }
}

pub(super) fn average_backward(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    let layout = Layout::new(geometry);
    dx.par_chunks_mut(group * input).zip(dy.par_chunks(group * output)).for_each(|(dx, dy)| {
        let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output));
        let Some(layout) = layout else {
            return widest(
                #[inline(always)]
                || {
                    for (dx, dy) in planes {
                        windows::average_backward(geometry, dy, dx);
                    }
                },
            );
        };
        with_scratch(&layout, 0.0, |mut work| {
            list_widths(geometry, work.row);
            // What lies between the rows of outputs gives nothing.
            work.run.fill(0.0);
            widest(
                #[inline(always)]
                || {
                    for (dx, dy) in planes {
                        average_plane_backward(geometry, &layout, &mut work, dy, dx);
                    }
                },
            );
        });
    });
}

#[inline(always)]
fn average_plane_backward(geometry: &Geometry, layout: &Layout, work: &mut Work<'_>, dy: &[f32], dx: &mut [f32]) {
    let outputs = dy.chunks_exact(geometry.width.output).zip(work.run.chunks_exact_mut(layout.pitch()));
    for (ph, (dy, shares)) in outputs.enumerate() {
        let high = extent(geometry.height, ph) as f32;
        shares.iter_mut().zip(dy).zip(&*work.row).for_each(|((share, dy), wide)| *share = dy / (high * wide));
    }
    work.apart.fill(0.0);
    // From the last position to the first, so that a value takes from its windows in their order.
    for position in work.positions.iter().rev() {
        let values = &mut work.apart[position.start..][..work.run.len()];
        values.iter_mut().zip(&*work.run).for_each(|(value, share)| *value += share);
    }
    layout.join(work.apart, dx);
}

pub(super) fn write_mask(mask: &[u32], values: &mut [f32]) {
    let number = |index: u32| if index == Mask::NONE { -1.0 } else { index as f32 };
    values.iter_mut().zip(mask).for_each(|(value, &index)| *value = number(index));
}
