//! Pooling on the host, parallel over planes.
//!
//! Row by row where vectors for that are there (`rows/`). Otherwise a plane is taken apart ([`Layout`]), then position by
//! position all of its windows are worked on at once, in loops that the compiler makes vector code of. Positions are visited in
//! Caffe's scan order, so that sums and ties come out as Caffe's.

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::rows;
use super::{
    Axis, Geometry, Mask,
    layout::{LANES, Layout, Work, extent, with_scratch},
    windows,
};
use crate::ops::vector::widest;

/// Input values per task, about; whole planes.
const TASK: usize = 32 * 1024;

/// In rows of up to so many values, gradients go faster one by one to where a maximum was.
#[cfg(target_arch = "x86_64")]
const NARROW: usize = 8;

/// Planes per task.
fn group(geometry: &Geometry) -> usize {
    (TASK / geometry.input_plane().max(1)).max(1)
}

/// MAX where windows have a place for each byte; `mask` takes the places.
pub(super) fn max_forward(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u8]) {
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
fn max_forward_task(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u8]) {
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
pub(super) fn max_forward_large(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u32]) {
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
pub(super) fn max_backward(geometry: &Geometry, dy: &[f32], mask: &[u8], dx: &mut [f32]) {
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
fn max_backward_task(geometry: &Geometry, dy: &[f32], mask: &[u8], dx: &mut [f32]) {
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
pub(super) fn backward_by_index(geometry: &Geometry, dy: &[f32], mask: &[u32], dx: &mut [f32]) {
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

pub(super) fn average_forward(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    x.par_chunks(group * input).zip(y.par_chunks_mut(group * output)).for_each(|(x, y)| {
        #[cfg(target_arch = "x86_64")]
        if rows::suit(geometry) {
            return rows::average_forward(geometry, x, y);
        }
        average_forward_task(geometry, x, y);
    });
}

/// The same for some planes, with whatever vectors there are.
fn average_forward_task(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
    let planes = x.chunks_exact(geometry.input_plane()).zip(y.chunks_exact_mut(geometry.output_plane()));
    let Some(layout) = Layout::new(geometry) else {
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
}

/// The sizes of the windows along a row.
pub(super) fn list_widths(geometry: &Geometry, widths: &mut [f32]) {
    let width = geometry.width;
    widths.iter_mut().enumerate().for_each(|(pw, wide)| *wide = extent(width, pw) as f32);
}

#[inline(always)]
fn average_plane(geometry: &Geometry, layout: &Layout, work: &mut Work<'_>, x: &[f32], y: &mut [f32]) {
    layout.split(x, work.apart);
    for (block, result) in work.run.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut sums = [0.0; LANES];
        for start in work.positions {
            let values = &work.apart[start + block * LANES..][..LANES];
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
    dx.par_chunks_mut(group * input).zip(dy.par_chunks(group * output)).for_each(|(dx, dy)| {
        #[cfg(target_arch = "x86_64")]
        if rows::suit(geometry) {
            return rows::average_backward(geometry, dy, dx);
        }
        average_backward_task(geometry, dy, dx);
    });
}

/// The same for some planes, with whatever vectors there are.
fn average_backward_task(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
    let planes = dx.chunks_exact_mut(geometry.input_plane()).zip(dy.chunks_exact(geometry.output_plane()));
    let Some(layout) = Layout::new(geometry) else {
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
    for &start in work.positions.iter().rev() {
        let values = &mut work.apart[start..][..work.run.len()];
        values.iter_mut().zip(&*work.run).for_each(|(value, share)| *value += share);
    }
    layout.join(work.apart, dx);
}

/// The indices in planes, from places in windows.
pub(super) fn write_mask(geometry: &Geometry, mask: &[u8], values: &mut [f32]) {
    let planes = values.chunks_exact_mut(geometry.output_plane()).zip(mask.chunks_exact(geometry.output_plane()));
    for (values, mask) in planes {
        for (output, (value, place)) in values.iter_mut().zip(mask).enumerate() {
            *value = index_in_plane(geometry, output, *place).map_or(-1.0, |index| index as f32);
        }
    }
}

/// The indices, from those of [`max_forward_large`].
pub(super) fn write_indices(mask: &[u32], values: &mut [f32]) {
    let number = |index: u32| if index == Mask::NONE { -1.0 } else { index as f32 };
    values.iter_mut().zip(mask).for_each(|(value, &index)| *value = number(index));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axes() -> impl Strategy<Value = (Axis, Axis)> {
        let axis = |most: usize| {
            (1..most, 1_usize..8, 1_usize..4, 0_usize..7).prop_map(|(input, kernel, stride, pad)| {
                let pad = pad % kernel;
                let kernel = kernel.min(input + 2 * pad);
                let pad = pad.min(kernel - 1);
                // Some windows stick out, some begin behind the plane.
                let output = (input + 2 * pad).saturating_sub(kernel).div_ceil(stride) + 1;
                Axis { input, output, kernel, stride, pad }
            })
        };
        (axis(12), axis(70))
    }

    /// Few values, so that many are equal, and some that are no numbers.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let value = |place: usize| match (place * 7919 + seed * 104_729) % 23 {
            0 => f32::NAN,
            1..4 => f32::NEG_INFINITY,
            4 => -0.0,
            number => (number % 5) as f32 * 0.37,
        };
        (0..count).map(value).collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// Both ways of a machine, of vectors laid out by hand and by the compiler, give the same bits.
    fn check_both_ways(geometry: &Geometry, seed: usize) {
        let (inputs, outputs) = (2 * geometry.input_plane(), 2 * geometry.output_plane());
        let (x, dy) = (values(inputs, seed), values(outputs, seed + 1).iter().map(|v| v.max(-3.0)).collect::<Vec<_>>());
        let finite: Vec<f32> = x.iter().map(|x| x.max(-2.0)).collect();
        let [by_hand, by_compiler] = [true, false].map(|by_hand| {
            let (mut y, mut mask, mut dx) = (vec![7.0; outputs], vec![9; outputs], vec![7.0; inputs]);
            let (mut mean, mut mean_dx) = (vec![7.0; outputs], vec![7.0; inputs]);
            if by_hand {
                max_forward(geometry, &x, &mut y, &mut mask);
                max_backward(geometry, &dy, &mask, &mut dx);
                average_forward(geometry, &finite, &mut mean);
                average_backward(geometry, &dy, &mut mean_dx);
            } else {
                max_forward_task(geometry, &x, &mut y, &mut mask);
                max_backward_task(geometry, &dy, &mask, &mut dx);
                average_forward_task(geometry, &finite, &mut mean);
                average_backward_task(geometry, &dy, &mut mean_dx);
            }
            ((bits(&y), mask, bits(&dx), bits(&mean_dx)), mean)
        });
        assert_eq!(by_hand.0, by_compiler.0, "{geometry:?}");
        if Layout::new(geometry).is_some() {
            assert_eq!(bits(&by_hand.1), bits(&by_compiler.1), "{geometry:?}");
        } else {
            // `windows.rs` sums up the rows of a window in several sums side by side.
            for (mine, theirs) in by_hand.1.iter().zip(&by_compiler.1) {
                // A window without values has the mean 0 / 0.
                let is_near = mine.is_nan() && theirs.is_nan() || (mine - theirs).abs() <= 1e-6;
                assert!(is_near, "{mine} is not {theirs}: {geometry:?}");
            }
        }
    }

    #[test]
    fn windows_almost_as_large_as_their_plane_are_summed_up_either_way() {
        let height = Axis { input: 2, output: 1, kernel: 2, stride: 1, pad: 0 };
        let width = Axis { input: 9, output: 4, kernel: 6, stride: 1, pad: 0 };
        check_both_ways(&Geometry { planes: 2, height, width }, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn both_ways_give_the_same_bits((height, width) in axes(), seed in 0_usize..1000) {
            check_both_ways(&Geometry { planes: 2, height, width }, seed);
        }

        /// A place in a window and an index in the plane are two names of a value.
        #[test]
        fn places_and_indices_are_the_same((height, width) in axes(), seed in 0_usize..1000) {
            let geometry = Geometry { planes: 1, height, width };
            let x = values(geometry.input_plane(), seed);
            for output in 0..geometry.output_plane() {
                let (_, index) = windows::largest(&geometry, &x, output);
                let place = place_in_window(&geometry, output, index);
                prop_assert_eq!(index_in_plane(&geometry, output, place), (index != Mask::NONE).then_some(index as usize));
            }
        }
    }
}
