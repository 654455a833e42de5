//! Forward: what sixteen windows side by side make of their values.

use std::{
    arch::x86_64::{
        __m512, __m512i, __mmask16, _CMP_GT_OQ, _mm_mask_storeu_epi8, _mm512_add_ps, _mm512_cmp_ps_mask,
        _mm512_cvtepi32_epi8, _mm512_div_ps, _mm512_mask_blend_ps, _mm512_mask_loadu_ps, _mm512_mask_mov_epi32,
        _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_permutex2var_ps, _mm512_set_epi32,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    },
    ops::Range,
};

use super::{Inside, LANES, STRIPS, lanes};
use crate::ops::pool::{
    Axis, Geometry, Mask,
    layout::{extent, window},
};

/// What sixteen windows make of their values.
trait Fold: Copy {
    /// What stands for padding.
    const PADDING: f32;

    fn start() -> Self;

    /// Takes the values at one position of the windows.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn take(self, values: __m512, place: i32) -> Self;
}

/// The first of the largest values, and where it stood.
#[derive(Clone, Copy)]
struct Largest {
    best: __m512,
    at: __m512i,
}

impl Fold for Largest {
    const PADDING: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn start() -> Self {
        // SAFETY: made by functions that have the instructions.
        unsafe { Largest { best: _mm512_set1_ps(-f32::MAX), at: _mm512_set1_epi32(i32::from(Mask::NO_PLACE)) } }
    }

    #[inline(always)]
    unsafe fn take(self, values: __m512, place: i32) -> Self {
        // SAFETY: passed on to the caller.
        unsafe {
            let larger = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(values, self.best);
            Largest {
                best: _mm512_mask_blend_ps(larger, self.best, values),
                at: _mm512_mask_mov_epi32(self.at, larger, _mm512_set1_epi32(place)),
            }
        }
    }
}

/// The sum.
#[derive(Clone, Copy)]
struct Sum(__m512);

impl Fold for Sum {
    const PADDING: f32 = 0.0;

    #[inline(always)]
    fn start() -> Self {
        // SAFETY: made by functions that have the instructions.
        Sum(unsafe { _mm512_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn take(self, values: __m512, _: i32) -> Self {
        // SAFETY: passed on to the caller.
        Sum(unsafe { _mm512_add_ps(self.0, values) })
    }
}

/// Sixteen neighbouring outputs of a row.
#[derive(Clone, Copy)]
struct Strip<const KERNEL: usize> {
    /// The first output.
    pw: usize,
    /// The column at position 0 of its window, in front of the row perhaps.
    column: isize,
    /// The outputs that there are.
    outputs: __mmask16,
    /// For each position across, unless they are any number: which of sixteen columns from there on lie in the row.
    inside: [Inside; KERNEL],
}

impl<const KERNEL: usize> Strip<KERNEL> {
    #[inline(always)]
    fn new(width: Axis, pw: usize) -> Self {
        let column = (pw * width.stride) as isize - width.pad as isize;
        let outputs = lanes(0, width.output as isize - pw as isize);
        let inside = std::array::from_fn(|kw| Inside::new(column + kw as isize, width.input));
        Strip { pw, column, outputs, inside }
    }
}

/// Calls `work` with each strip of each row of outputs, the row's number, and the row's windows: rows of the plane.
#[inline(always)]
fn for_strips<const KERNEL: usize>(
    geometry: &Geometry,
    planes: usize,
    mut work: impl FnMut(usize, usize, &Range<usize>, &Strip<KERNEL>),
) {
    let Geometry { height, width, .. } = *geometry;
    for block in (0..width.output).step_by(STRIPS * LANES) {
        let count = (width.output - block).div_ceil(LANES).min(STRIPS);
        let strips: [Strip<KERNEL>; STRIPS] = std::array::from_fn(|strip| Strip::new(width, block + strip * LANES));
        for plane in 0..planes {
            for ph in 0..height.output {
                let rows = window(height, ph);
                for strip in &strips[..count] {
                    work(plane, ph, &rows, strip);
                }
            }
        }
    }
}

/// What the windows of a strip of row `ph` make of their values.
///
/// # Safety
/// The processor has the instructions; `plane` is a plane of the geometry.
#[inline(always)]
unsafe fn fold<F: Fold, const KERNEL: usize, const STRIDE: usize>(
    geometry: &Geometry,
    plane: *const f32,
    ph: usize,
    rows: &Range<usize>,
    strip: &Strip<KERNEL>,
) -> F {
    let Geometry { height, width, .. } = *geometry;
    let kernel = if KERNEL == 0 { width.kernel } else { KERNEL };
    let mut fold = F::start();
    let mut row = plane.wrapping_add(rows.start * width.input).wrapping_offset(strip.column);
    let mut place = ((rows.start + height.pad - ph * height.stride) * kernel) as i32;
    for _ in rows.clone() {
        for kw in (0..kernel).step_by(STRIDE) {
            let inside =
                if KERNEL == 0 { Inside::new(strip.column + kw as isize, width.input) } else { strip.inside[kw] };
            // SAFETY: columns outside the row are masked out; the instructions are there.
            unsafe {
                let padding = _mm512_set1_ps(F::PADDING);
                let values = _mm512_mask_loadu_ps(padding, inside.0, row.wrapping_add(kw));
                if STRIDE == 1 {
                    fold = fold.take(values, place + kw as i32);
                    continue;
                }
                let more = _mm512_mask_loadu_ps(padding, inside.1, row.wrapping_add(kw + LANES));
                fold = fold.take(_mm512_permutex2var_ps(values, evens(), more), place + kw as i32);
                if kw + 1 < kernel {
                    fold = fold.take(_mm512_permutex2var_ps(values, odds(), more), place + kw as i32 + 1);
                }
            }
        }
        row = row.wrapping_add(width.input);
        place += kernel as i32;
    }
    fold
}

/// # Safety
/// The processor has the instructions; x, y and mask are whole planes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn largest<const KERNEL: usize, const STRIDE: usize>(
    geometry: &Geometry,
    x: &[f32],
    y: &mut [f32],
    mask: &mut [u8],
) {
    let (input, output) = (geometry.input_plane(), geometry.output_plane());
    for_strips(geometry, x.len() / input, |plane, ph, rows, strip| {
        let place = plane * output + ph * geometry.width.output + strip.pw;
        // SAFETY: x has so many planes, as have y and mask; lanes under the mask lie in the row of outputs.
        unsafe {
            let plane = x.as_ptr().add(plane * input);
            let Largest { best, at } = fold::<Largest, KERNEL, STRIDE>(geometry, plane, ph, rows, strip);
            _mm512_mask_storeu_ps(y.as_mut_ptr().add(place), strip.outputs, best);
            _mm_mask_storeu_epi8(mask.as_mut_ptr().add(place).cast(), strip.outputs, _mm512_cvtepi32_epi8(at));
        }
    });
}

/// # Safety
/// The processor has the instructions; x and y are whole planes, widths has a value for each output of a row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn mean<const KERNEL: usize, const STRIDE: usize>(
    geometry: &Geometry,
    x: &[f32],
    y: &mut [f32],
    widths: &[f32],
) {
    let (input, output) = (geometry.input_plane(), geometry.output_plane());
    for_strips(geometry, x.len() / input, |plane, ph, rows, strip| {
        let place = plane * output + ph * geometry.width.output + strip.pw;
        let high = extent(geometry.height, ph) as f32;
        // SAFETY: x has so many planes, as has y; lanes under the mask lie in the row of outputs and of widths.
        unsafe {
            let plane = x.as_ptr().add(plane * input);
            let Sum(sum) = fold::<Sum, KERNEL, STRIDE>(geometry, plane, ph, rows, strip);
            let wide = _mm512_maskz_loadu_ps(strip.outputs, widths.as_ptr().add(strip.pw));
            let mean = _mm512_div_ps(sum, _mm512_mul_ps(_mm512_set1_ps(high), wide));
            _mm512_mask_storeu_ps(y.as_mut_ptr().add(place), strip.outputs, mean);
        }
    });
}
/// The even lanes of two vectors.
#[inline(always)]
unsafe fn evens() -> __m512i {
    // SAFETY: passed on to the caller.
    unsafe { _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0) }
}

/// The odd lanes of two vectors.
#[inline(always)]
unsafe fn odds() -> __m512i {
    // SAFETY: passed on to the caller.
    unsafe { _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1) }
}
