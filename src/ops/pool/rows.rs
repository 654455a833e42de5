//! Poolings row by row with AVX-512: sixteen outputs of a row at a time, for windows one or two values apart.
//!
//! Forward, a vector of outputs takes position after position of its windows, read where they lie; what is padding is masked
//! out. Backward, a vector of inputs takes from the windows that hold it, in their order. So sums and ties come out as Caffe's.

use std::{
    arch::x86_64::{
        __m512, __m512i, __mmask16, _CMP_GT_OQ, _mm_mask_cmpeq_epi8_mask, _mm_mask_storeu_epi8, _mm_maskz_loadu_epi8,
        _mm_set1_epi8, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi8, _mm512_div_ps, _mm512_mask_add_ps,
        _mm512_mask_blend_ps, _mm512_mask_loadu_ps, _mm512_mask_mov_epi32, _mm512_mask_storeu_ps,
        _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_permutex2var_ps, _mm512_set_epi32, _mm512_set1_epi32,
        _mm512_set1_ps, _mm512_setzero_ps,
    },
    ops::Range,
};

use super::{
    Axis, Geometry, Mask,
    cpu::list_widths,
    layout::{extent, window},
};
use crate::ops::{gemm::scratch::with_scratch, vector::has_avx512};

/// Values of a vector.
const LANES: usize = 16;

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

/// Strips of a row that are planned at a time.
const STRIPS: usize = 16;

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

/// # Safety
/// The processor has the instructions; x, y and mask are whole planes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn largest<const KERNEL: usize, const STRIDE: usize>(
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
unsafe fn mean<const KERNEL: usize, const STRIDE: usize>(
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

/// shares = dy / window size.
///
/// # Safety
/// The processor has the instructions; dy and shares are whole planes of outputs, equally many, widths has a value for each output of a row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn share_out(geometry: &Geometry, dy: &[f32], widths: &[f32], shares: &mut [f32]) {
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
trait Give: Copy {
    /// Adds what those under the mask get, at position `place` of the windows, which lie side by side from `output` on.
    ///
    /// # Safety
    /// The processor has the instructions; windows under the mask are those of the plane.
    unsafe fn give(self, sum: __m512, windows: __mmask16, output: isize, place: u8) -> __m512;
}

/// The gradient goes to the value that was picked.
#[derive(Clone, Copy)]
struct Picked {
    dy: *const f32,
    mask: *const u8,
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
struct Shares {
    shares: *const f32,
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
unsafe fn collect<const KERNEL: usize, const STRIDE: usize>(geometry: &Geometry, given: impl Give, dx: &mut [f32]) {
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
