//! Poolings row by row with AVX-512: sixteen outputs of a row at a time, for windows one or two values apart.
//!
//! Forward, a vector of outputs takes position after position of its windows, read where they lie; what is padding is masked
//! out. Backward, a vector of inputs takes from the windows that hold it, in their order. So sums and ties come out as Caffe's.

mod backward;
mod forward;

use std::arch::x86_64::__mmask16;

use super::{Geometry, Mask, layout::list_widths};
use crate::ops::{gemm::scratch::with_scratch, vector::has_avx512};
use backward::{Picked, Shares, collect, share_out};
use forward::{largest, mean};

/// Values of a vector.
const LANES: usize = 16;

/// Strips of a row that are planned at a time.
const STRIPS: usize = 16;

/// Fewer outputs in a row are not worth a vector.
const LEAST_OUTPUTS: usize = 4;

/// Whether this machine has the vectors, and they suit the windows.
pub(super) fn suit(geometry: &Geometry) -> bool {
    let width = geometry.width;
    has_avx512() && Mask::is_small(geometry) && width.stride <= 2 && width.output >= LEAST_OUTPUTS
}

/// Calls a function of (kernel, stride) across: both constants where windows are the usual ones, a kernel of 0 stands for any.
macro_rules! by_windows {
    ($function:ident, $geometry:expr, $($argument:expr),*) => {
        match ($geometry.width.kernel, $geometry.width.stride) {
            (2, 2) => $function::<2, 2>($geometry, $($argument),*),
            (3, 2) => $function::<3, 2>($geometry, $($argument),*),
            (3, 1) => $function::<3, 1>($geometry, $($argument),*),
            (_, 2) => $function::<0, 2>($geometry, $($argument),*),
            _ => $function::<0, 1>($geometry, $($argument),*),
        }
    };
}

/// y and mask of whole planes.
pub(super) fn max_forward(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u8]) {
    check(geometry, x.len(), y.len());
    assert!(suit(geometry) && mask.len() == y.len(), "one byte for each output");
    // SAFETY: the processor has the instructions, as `suit` says; x, y and mask are whole planes.
    unsafe { by_windows!(largest, geometry, x, y, mask) }
}

/// dx of whole planes.
pub(super) fn max_backward(geometry: &Geometry, dy: &[f32], mask: &[u8], dx: &mut [f32]) {
    check(geometry, dx.len(), dy.len());
    assert!(suit(geometry) && mask.len() == dy.len(), "one byte for each output");
    let picked = Picked { dy: dy.as_ptr(), mask: mask.as_ptr() };
    // SAFETY: the processor has the instructions, as `suit` says; all are whole planes, equally many.
    unsafe { by_windows!(collect, geometry, picked, dx) }
}

/// y of whole planes.
pub(super) fn average_forward(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
    check(geometry, x.len(), y.len());
    assert!(suit(geometry));
    with_scratch(|scratch| {
        let widths = scratch.take(geometry.width.output);
        list_widths(geometry, widths);
        // SAFETY: the processor has the instructions, as `suit` says; x and y are whole planes, widths is a row of outputs.
        unsafe { by_windows!(mean, geometry, x, y, widths) }
    });
}

/// dx of whole planes.
pub(super) fn average_backward(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
    check(geometry, dx.len(), dy.len());
    assert!(suit(geometry));
    with_scratch(|scratch| {
        let (shares, widths) = scratch.take(dy.len() + geometry.width.output).split_at_mut(dy.len());
        list_widths(geometry, widths);
        // SAFETY: the processor has the instructions, as `suit` says; all are whole planes, equally many, but for `widths`.
        unsafe {
            share_out(geometry, dy, widths, shares);
            by_windows!(collect, geometry, Shares { shares: shares.as_ptr() }, dx);
        }
    });
}

/// Asserts that inputs and outputs are those of the same whole planes.
fn check(geometry: &Geometry, inputs: usize, outputs: usize) {
    let planes = inputs / geometry.input_plane();
    let fit = planes * geometry.input_plane() == inputs && planes * geometry.output_plane() == outputs;
    assert!(fit, "{inputs} inputs and {outputs} outputs are not the planes of {geometry:?}");
}

/// The lanes from `start` to before `end`, cut to those that exist.
#[inline(always)]
fn lanes(start: isize, end: isize) -> __mmask16 {
    let below = |lane: isize| (1_u32 << lane.clamp(0, LANES as isize)) - 1;
    (below(end) & !below(start)) as __mmask16
}

/// Which of sixteen columns lie in the row, and which of the next sixteen.
#[derive(Clone, Copy, Default)]
struct Inside(__mmask16, __mmask16);

impl Inside {
    #[inline(always)]
    fn new(column: isize, len: usize) -> Self {
        let inside = |column: isize| lanes(-column, len as isize - column);
        Inside(inside(column), inside(column + LANES as isize))
    }
}
