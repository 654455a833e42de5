//! Backward: what sixteen inputs side by side get from the windows that hold them.

use std::{
    arch::x86_64::{
        __m512, __mmask16, _mm_mask_cmpeq_epi8_mask, _mm_maskz_loadu_epi8, _mm_set1_epi8, _mm512_add_ps, _mm512_div_ps,
        _mm512_mask_add_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_permutex2var_ps,
        _mm512_set_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    },
    ops::Range,
};

use super::{Inside, LANES, STRIPS, lanes};
use crate::ops::pool::{Axis, Geometry, layout::extent};

/// shares = dy / window size.
///
/// # Safety
/// The processor has the instructions; dy and shares are whole planes of outputs, equally many, widths has a value for each output of a row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn share_out(geometry: &Geometry, dy: &[f32], widths: &[f32], shares: &mut [f32]) {
    let width = geometry.width.output;
    for (row, dy) in dy.chunks_exact(width).enumerate() {
        let high = extent(geometry.height, row % geometry.height.output) as f32;
        for pw in (0..width).step_by(LANES) {
            let there = lanes(0, (width - pw) as isize);
            // SAFETY: lanes under the mask lie in the row of outputs and of widths.
            unsafe {
                let wide = _mm512_maskz_loadu_ps(there, widths.as_ptr().add(pw));
                let dy = _mm512_maskz_loadu_ps(there, dy.as_ptr().add(pw));
                let share = _mm512_div_ps(dy, _mm512_mul_ps(_mm512_set1_ps(high), wide));
                _mm512_mask_storeu_ps(shares.as_mut_ptr().add(row * width + pw), there, share);
            }
        }
    }
}

/// What sixteen inputs get from a window each.
pub(super) trait Give: Copy {
    /// Adds what those under the mask get, at position `place` of the windows, which lie side by side from `output` on.
    ///
    /// # Safety
    /// The processor has the instructions; windows under the mask are those of the plane.
    unsafe fn give(self, sum: __m512, windows: __mmask16, output: isize, place: u8) -> __m512;
}

/// The gradient goes to the value that was picked.
#[derive(Clone, Copy)]
pub(super) struct Picked {
    pub dy: *const f32,
    pub mask: *const u8,
}

impl Give for Picked {
    #[inline(always)]
    unsafe fn give(self, sum: __m512, windows: __mmask16, output: isize, place: u8) -> __m512 {
        // SAFETY: passed on to the caller.
        unsafe {
            let picked = _mm_maskz_loadu_epi8(windows, self.mask.wrapping_offset(output).cast());
            let here = _mm_mask_cmpeq_epi8_mask(windows, picked, _mm_set1_epi8(place as i8));
            _mm512_mask_add_ps(sum, here, sum, _mm512_maskz_loadu_ps(windows, self.dy.wrapping_offset(output)))
        }
    }
}

/// All values of a window get the same.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    pub shares: *const f32,
}

impl Give for Shares {
    #[inline(always)]
    unsafe fn give(self, sum: __m512, windows: __mmask16, output: isize, _: u8) -> __m512 {
        // SAFETY: passed on to the caller.
        unsafe { _mm512_add_ps(sum, _mm512_maskz_loadu_ps(windows, self.shares.wrapping_offset(output))) }
    }
}

/// `STRIDE` times sixteen neighbouring inputs of a row.
#[derive(Clone, Copy)]
struct Takers<const KERNEL: usize> {
    /// The first column, in front of the row perhaps.
    column: isize,
    /// Position 0 of this window, which need not exist, is the first column.
    pw: isize,
    /// Which of the columns lie in the row.
    columns: Inside,
    /// For each position across, unless they are any number: which windows there are.
    windows: [__mmask16; KERNEL],
}

impl<const KERNEL: usize> Takers<KERNEL> {
    #[inline(always)]
    fn new(width: Axis, stride: usize, number: usize) -> Self {
        // Counted from the edge of the padding, in whole steps.
        let pw = (width.pad / stride + number * LANES) as isize;
        let column = pw * stride as isize - width.pad as isize;
        let windows = std::array::from_fn(|kw| windows(width, pw - (kw / stride) as isize));
        Takers { column, pw, columns: Inside::new(column, width.input), windows }
    }
}

/// Which of sixteen windows there are, from one on that need not exist.
#[inline(always)]
fn windows(width: Axis, pw: isize) -> __mmask16 {
    lanes(-pw, width.output as isize - pw)
}

/// So many whole steps.
#[inline(always)]
fn steps(distance: usize, stride: usize) -> usize {
    match stride {
        1 => distance,
        2 => distance / 2,
        _ => distance / stride,
    }
}

/// dx: what each value gets from the windows that hold it.
///
/// # Safety
/// The processor has the instructions; `given` is of as many planes of outputs as dx has planes of inputs.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn collect<const KERNEL: usize, const STRIDE: usize>(
    geometry: &Geometry,
    given: impl Give,
    dx: &mut [f32],
) {
    let Geometry { height, width, .. } = *geometry;
    let count = (width.input + width.pad % STRIDE).div_ceil(LANES * STRIDE);
    for block in (0..count).step_by(STRIPS) {
        let takers: [Takers<KERNEL>; STRIPS] = std::array::from_fn(|strip| Takers::new(width, STRIDE, block + strip));
        for (row, dx) in dx.chunks_exact_mut(width.input).enumerate() {
            let (plane, padded) = (row / height.input, row % height.input + height.pad);
            let first = if padded < height.kernel { 0 } else { steps(padded - height.kernel, height.stride) + 1 };
            let rows = first..(steps(padded, height.stride) + 1).min(height.output);
            for takers in &takers[..STRIPS.min(count - block)] {
                let (Inside(near, far), dx) = (takers.columns, dx.as_mut_ptr().wrapping_offset(takers.column));
                // SAFETY: `given` is passed on to the caller; lanes under the masks lie in the row.
                unsafe {
                    let sums = collect_step::<KERNEL, STRIDE>(geometry, given, plane, padded, &rows, takers);
                    if STRIDE == 1 {
                        _mm512_mask_storeu_ps(dx, near, sums[0]);
                        continue;
                    }
                    let low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
                    let high = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
                    _mm512_mask_storeu_ps(dx, near, _mm512_permutex2var_ps(sums[0], low, sums[1]));
                    let more = _mm512_permutex2var_ps(sums[0], high, sums[1]);
                    _mm512_mask_storeu_ps(dx.wrapping_add(LANES), far, more);
                }
            }
        }
    }
}

/// What the takers get in a row, counted from the edge of the padding, from the windows of some rows: every second of them in
/// each vector where windows are two values apart.
///
/// # Safety
/// As [`collect`].
#[inline(always)]
unsafe fn collect_step<const KERNEL: usize, const STRIDE: usize>(
    geometry: &Geometry,
    given: impl Give,
    plane: usize,
    padded: usize,
    rows: &Range<usize>,
    takers: &Takers<KERNEL>,
) -> [__m512; STRIDE] {
    let Geometry { height, width, .. } = *geometry;
    let kernel = if KERNEL == 0 { width.kernel } else { KERNEL };
    // SAFETY: passed on to the caller.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); STRIDE];
        for ph in rows.clone() {
            let place = (padded - ph * height.stride) * kernel;
            for kw in (0..kernel).rev() {
                let pw = takers.pw - (kw / STRIDE) as isize;
                let windows = if KERNEL == 0 { windows(width, pw) } else { takers.windows[kw] };
                let output = ((plane * height.output + ph) * width.output) as isize + pw;
                sums[kw % STRIDE] = given.give(sums[kw % STRIDE], windows, output, (place + kw) as u8);
            }
        }
        sums
    }
}
