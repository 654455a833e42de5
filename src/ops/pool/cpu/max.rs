//! MAX: the largest value of each window, and the gradient back to it.

use rayon::prelude::*;

use super::group;
#[cfg(target_arch = "x86_64")]
use crate::ops::pool::rows;
use crate::ops::{
    pool::{
        Axis, Geometry, Mask,
        layout::{LANES, Layout, Work, with_scratch},
        windows,
    },
    vector::widest,
};

/// In rows of up to so many values, gradients go faster one by one to where a maximum was.
#[cfg(target_arch = "x86_64")]
const NARROW: usize = 8;

/// MAX where windows have a place for each byte; `mask` takes the places.
pub(in crate::ops::pool) fn max_forward(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u8]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    let mask = mask[..y.len()].par_chunks_mut(group * output);
    let tasks = x.par_chunks(group * input).zip(y.par_chunks_mut(group * output));
    tasks.zip(mask).for_each(|((x, y), mask)| {
        #[cfg(target_arch = "x86_64")]
        if rows::suit(geometry) {
            return rows::max_forward(geometry, x, y, mask);
        }
        max_forward_task(geometry, x, y, mask);
    });
}

/// The same for some planes, with whatever vectors there are.
pub(super) fn max_forward_task(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u8]) {
    let (input, output) = (geometry.input_plane(), geometry.output_plane());
    let planes = x.chunks_exact(input).zip(y.chunks_exact_mut(output)).zip(mask.chunks_exact_mut(output));
    let Some(layout) = Layout::new(geometry) else {
        for ((x, y), mask) in planes {
            for (output, (y, mask)) in y.iter_mut().zip(mask).enumerate() {
                let (best, index) = windows::largest(geometry, x, output);
                (*y, *mask) = (best, place_in_window(geometry, output, index));
            }
        }
        return;
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
}

#[inline(always)]
fn max_plane(geometry: &Geometry, layout: &Layout, work: &mut Work<'_>, x: &[f32], y: &mut [f32], mask: &mut [u8]) {
    layout.split(x, work.apart);
    let results = work.run.as_chunks_mut::<LANES>().0.iter_mut().zip(work.places.as_chunks_mut::<LANES>().0);
    for (block, results) in results.enumerate() {
        let (mut best, mut at) = ([-f32::MAX; LANES], [Mask::NONE; LANES]);
        for (place, &start) in (0..).zip(work.positions) {
            let values = &work.apart[start + block * LANES..][..LANES];
            for lane in 0..LANES {
                let larger = values[lane] > best[lane];
                best[lane] = if larger { values[lane] } else { best[lane] };
                at[lane] = if larger { place } else { at[lane] };
            }
        }
        (*results.0, *results.1) = (best, at);
    }
    let outputs = y.chunks_exact_mut(geometry.width.output).zip(mask.chunks_exact_mut(geometry.width.output));
    let runs = work.run.chunks_exact(layout.pitch()).zip(work.places.chunks_exact(layout.pitch()));
    for ((y, mask), (best, at)) in outputs.zip(runs) {
        y.copy_from_slice(&best[..y.len()]);
        // None becomes none.
        mask.iter_mut().zip(at).for_each(|(mask, &at)| *mask = at as u8);
    }
}

/// MAX where windows have more values: `mask` takes indices in planes.
pub(in crate::ops::pool) fn max_forward_large(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u32]) {
    let planes = y.par_chunks_mut(geometry.output_plane()).zip(mask.par_chunks_mut(geometry.output_plane()));
    planes.zip(x.par_chunks(geometry.input_plane())).for_each(|((y, mask), x)| {
        for (output, (y, mask)) in y.iter_mut().zip(mask).enumerate() {
            (*y, *mask) = windows::largest(geometry, x, output);
        }
    });
}

/// The first row and column of a window, in the padding perhaps.
fn corner(geometry: &Geometry, output: usize) -> (isize, isize) {
    let first = |axis: Axis, position: usize| (position * axis.stride) as isize - axis.pad as isize;
    let Geometry { height, width, .. } = *geometry;
    (first(height, output / width.output), first(width, output % width.output))
}

/// The place in its window of the value with this index in its plane.
fn place_in_window(geometry: &Geometry, output: usize, index: u32) -> u8 {
    if index == Mask::NONE {
        return Mask::NO_PLACE;
    }
    let ((top, left), width, index) = (corner(geometry, output), geometry.width, index as usize);
    let (row, column) = ((index / width.input) as isize - top, (index % width.input) as isize - left);
    (row as usize * width.kernel + column as usize) as u8
}

/// The index in its plane of a place in a window; none for a window without a maximum.
fn index_in_plane(geometry: &Geometry, output: usize, place: u8) -> Option<usize> {
    let ((top, left), width, place) = (corner(geometry, output), geometry.width, usize::from(place));
    let (row, column) = (top + (place / width.kernel) as isize, left + (place % width.kernel) as isize);
    (place != usize::from(Mask::NO_PLACE)).then(|| row as usize * width.input + column as usize)
}

/// The gradient of MAX, from the places in windows.
pub(in crate::ops::pool) fn max_backward(geometry: &Geometry, dy: &[f32], mask: &[u8], dx: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    let mask = mask[..dy.len()].par_chunks(group * output);
    let tasks = dx.par_chunks_mut(group * input).zip(dy.par_chunks(group * output));
    tasks.zip(mask).for_each(|((dx, dy), mask)| {
        #[cfg(target_arch = "x86_64")]
        if rows::suit(geometry) && geometry.width.input > NARROW {
            return rows::max_backward(geometry, dy, mask, dx);
        }
        max_backward_task(geometry, dy, mask, dx);
    });
}

/// The same for some planes, value by value.
pub(super) fn max_backward_task(geometry: &Geometry, dy: &[f32], mask: &[u8], dx: &mut [f32]) {
    let (input, output) = (geometry.input_plane(), geometry.output_plane());
    let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output)).zip(mask.chunks_exact(output));
    let Geometry { height, width, .. } = *geometry;
    // How far each place lies behind the window's corner; nowhere for the windows without a maximum.
    let mut places = [usize::MAX / 2; 1 << u8::BITS];
    for (place, behind) in places[..height.kernel * width.kernel].iter_mut().enumerate() {
        *behind = place / width.kernel * width.input + place % width.kernel;
    }
    for ((dx, dy), mask) in planes {
        dx.fill(0.0);
        let rows = dy.chunks_exact(width.output).zip(mask.chunks_exact(width.output));
        for (ph, (dy, mask)) in rows.enumerate() {
            let (top, left) = corner(geometry, ph * width.output);
            let mut corner = (top * width.input as isize + left) as usize;
            for (dy, place) in dy.iter().zip(mask) {
                if let Some(dx) = dx.get_mut(corner.wrapping_add(places[usize::from(*place)])) {
                    *dx += dy;
                }
                corner = corner.wrapping_add(width.stride);
            }
        }
    }
}

/// The same from indices in planes.
pub(in crate::ops::pool) fn backward_by_index(geometry: &Geometry, dy: &[f32], mask: &[u32], dx: &mut [f32]) {
    let planes = dx.par_chunks_mut(geometry.input_plane()).zip(dy.par_chunks(geometry.output_plane()));
    planes.zip(mask.par_chunks(geometry.output_plane())).for_each(|((dx, dy), mask)| {
        dx.fill(0.0);
        for (&dy, &index) in dy.iter().zip(mask) {
            // `Mask::NONE` is outside every plane.
            if let Some(dx) = dx.get_mut(index as usize) {
                *dx += dy;
            }
        }
    });
}

/// The indices in planes, from places in windows.
pub(in crate::ops::pool) fn write_mask(geometry: &Geometry, mask: &[u8], values: &mut [f32]) {
    let planes = values.chunks_exact_mut(geometry.output_plane()).zip(mask.chunks_exact(geometry.output_plane()));
    for (values, mask) in planes {
        for (output, (value, place)) in values.iter_mut().zip(mask).enumerate() {
            *value = index_in_plane(geometry, output, *place).map_or(-1.0, |index| index as f32);
        }
    }
}

/// The indices, from those of [`max_forward_large`].
pub(in crate::ops::pool) fn write_indices(mask: &[u32], values: &mut [f32]) {
    let number = |index: u32| if index == Mask::NONE { -1.0 } else { index as f32 };
    values.iter_mut().zip(mask).for_each(|(value, &index)| *value = number(index));
}
