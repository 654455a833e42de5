//! AVE: the mean of each window, and the gradient in equal shares.

use rayon::prelude::*;

use super::group;
#[cfg(target_arch = "x86_64")]
use crate::ops::pool::rows;
use crate::ops::{
    pool::{
        Geometry,
        layout::{LANES, Layout, Work, extent, list_widths, with_scratch},
        windows,
    },
    vector::widest,
};

pub(in crate::ops::pool) fn average_forward(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
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
pub(super) fn average_forward_task(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
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

pub(in crate::ops::pool) fn average_backward(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
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
pub(super) fn average_backward_task(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
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
