//! Tiles of 8 × 48 with AVX-512: 24 accumulators, three vectors of columns, one broadcast.

use std::arch::x86_64::{
    __m512, __mmask16, _mm_loadu_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps128_ps512,
    _mm512_fmadd_ps, _mm512_insertf32x4, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_i32gather_ps,
    _mm512_mask_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_permutex2var_ps, _mm512_permutexvar_ps,
    _mm512_set_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::{
    gather::{self, Gather, Lay, NO_ROW, Part, Spread, Transpose, parts, transpose_from},
    kernel::{IN_PLACE, Kernel, LISTED, LISTED_IN_PLACE, Tile, tile_table},
};

/// The kernel.
pub(super) static KERNEL: Kernel = Kernel {
    name: "avx512",
    rows: 8,
    lanes: LANES,
    tiles: tile_table!(tile, 8),
    gather,
    transpose,
    lay,
    spread,
    available: || is_x86_feature_detected!("avx512f"),
};

const LANES: usize = 16;

/// A tile of `ROWS` × `VECTORS`·16.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[target_feature(enable = "avx512f")]
unsafe fn tile<const ROWS: usize, const VECTORS: usize, const MODE: usize>(tile: &Tile) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
        for step in 0..tile.len {
            let position = match MODE {
                LISTED | LISTED_IN_PLACE => *tile.positions.add(step) as usize,
                IN_PLACE => step,
                _ => step * tile.step,
            };
            let mut column = [_mm512_setzero_ps(); VECTORS];
            for (vector, value) in column.iter_mut().enumerate() {
                let address = match MODE {
                    IN_PLACE | LISTED_IN_PLACE => tile.columns[vector].add(*tile.offsets.add(step) as usize),
                    _ => tile.columns[0].add((step * VECTORS + vector) * LANES),
                };
                *value = _mm512_loadu_ps(address);
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = _mm512_set1_ps(*tile.rows[row].add(position));
                for (sum, column) in sums.iter_mut().zip(column) {
                    *sum = _mm512_fmadd_ps(factor, column, *sum);
                }
            }
        }
        store(tile, sums);
    }
}

/// Writes or adds the sums, with the bias.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[inline(always)]
unsafe fn store<const ROWS: usize, const VECTORS: usize>(tile: &Tile, sums: [[__m512; VECTORS]; ROWS]) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                let address = tile.output.add(row * tile.output_stride + vector * LANES);
                let mut value = sum;
                if tile.accumulate {
                    value = _mm512_add_ps(_mm512_loadu_ps(address), value);
                }
                if !tile.bias.is_null() {
                    value = _mm512_add_ps(value, _mm512_set1_ps(*tile.bias.add(row)));
                }
                _mm512_storeu_ps(address, value);
            }
        }
    }
}

/// As [`super::gather::GatherFunction`]: each vector is loaded part by part under masks.
///
/// # Safety
/// As [`super::gather::GatherFunction`].
#[target_feature(enable = "avx512f")]
unsafe fn gather(gather: &Gather<'_>) {
    for vector in 0..gather.vectors {
        let mut list = [Part::default(); LANES];
        let count = parts(gather.segments, vector, &mut list);
        // SAFETY: passed on to the caller.
        unsafe {
            match count {
                1 => gather_vector::<1>(gather, vector, &list[..1]),
                2 => gather_vector::<2>(gather, vector, &list[..2]),
                3 => gather_vector::<3>(gather, vector, &list[..3]),
                4 => gather_vector::<4>(gather, vector, &list[..4]),
                _ => gather_vector::<LANES>(gather, vector, &list[..count]),
            }
        }
    }
}

/// One vector of every row, of at most `PARTS` parts.
///
/// # Safety
/// As [`super::gather::GatherFunction`].
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn gather_vector<const PARTS: usize>(gather: &Gather<'_>, vector: usize, parts: &[Part]) {
    let mut origins = [0isize; PARTS];
    let mut masks: [__mmask16; PARTS] = [0; PARTS];
    for ((origin, mask), part) in origins.iter_mut().zip(&mut masks).zip(parts) {
        *origin = part.origin;
        *mask = lanes(part.start, part.end);
    }
    let count = parts.len().min(PARTS);
    for (number, offset) in gather.offsets.iter().enumerate() {
        let row = gather.source.wrapping_add(*offset as usize);
        // SAFETY: lanes under the masks are places that the caller vouches for, other lanes are not read.
        unsafe {
            let mut value = _mm512_maskz_loadu_ps(masks[0], row.wrapping_offset(origins[0]));
            // A constant number of parts but for the last resort, where it is as many as there are.
            for part in 1..if PARTS == LANES { count } else { PARTS } {
                value = _mm512_mask_loadu_ps(value, masks[part], row.wrapping_offset(origins[part]));
            }
            _mm512_storeu_ps(gather.packed.add((number * gather.vectors + vector) * LANES), value);
        }
    }
}

/// As [`super::gather::TransposeFunction`]: four positions of sixteen rows at a time.
///
/// # Safety
/// As [`super::gather::TransposeFunction`].
#[target_feature(enable = "avx512f")]
unsafe fn transpose(transpose: &Transpose) {
    let row = |lane: usize| transpose.source.wrapping_add(lane.min(transpose.lanes - 1) * transpose.stride);
    let rows: [*const f32; LANES] = std::array::from_fn(row);
    let whole = transpose.len / 4 * 4;
    for position in (0..whole).step_by(4) {
        // SAFETY: the caller vouches for all rows and for the room.
        unsafe {
            // In each quarter of a vector four neighbours of one row; then 4 × 4 transposes within the quarters.
            let load = |lane: usize| _mm_loadu_ps(rows[lane].add(position));
            let quarters = |lane: usize| {
                let value = _mm512_castps128_ps512(load(lane));
                let value = _mm512_insertf32x4::<1>(value, load(lane + 4));
                let value = _mm512_insertf32x4::<2>(value, load(lane + 8));
                _mm512_insertf32x4::<3>(value, load(lane + 12))
            };
            let (a, b, c, d) = (quarters(0), quarters(1), quarters(2), quarters(3));
            let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            let low = |x, y| _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)));
            let high = |x, y| _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(x), _mm512_castps_pd(y)));
            let columns = [low(ab_low, cd_low), high(ab_low, cd_low), low(ab_high, cd_high), high(ab_high, cd_high)];
            for (index, column) in columns.into_iter().enumerate() {
                _mm512_storeu_ps(transpose.packed.add((position + index) * transpose.width), column);
            }
        }
    }
    // SAFETY: passed on to the caller.
    unsafe { transpose_from(transpose, whole) }
}

/// A mask of the lanes from `start` to before `end`, cut to those that exist.
fn lanes(start: usize, end: usize) -> __mmask16 {
    let below = |lane: usize| (1u32 << lane.min(LANES)) - 1;
    (below(end) & !below(start)) as __mmask16
}

/// The first eight lanes of a mask at the places 0, 2, 4 and so on.
fn every_other(mask: __mmask16) -> __mmask16 {
    (0..LANES / 2).fold(0, |spread, lane| spread | (mask >> lane & 1) << (2 * lane))
}

/// As [`super::gather::LayFunction`]: vector after vector of all rows.
///
/// # Safety
/// As [`super::gather::LayFunction`].
#[target_feature(enable = "avx512f")]
unsafe fn lay(lay: &Lay<'_>) {
    let steps: [i32; LANES] = std::array::from_fn(|lane| (lane * lay.step) as i32);
    let evens = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    for first in (0..lay.len).step_by(LANES) {
        let written = lanes(0, lay.len - first);
        let end = (lay.before + lay.count).saturating_sub(first);
        let read = lanes(lay.before.saturating_sub(first), end);
        let origin = (first as isize - lay.before as isize) * lay.step as isize;
        let (near_mask, far_mask) = (every_other(read), every_other(read >> 8));
        for (number, row) in lay.rows.iter().enumerate() {
            let source = lay.source.wrapping_add(*row as usize).wrapping_offset(origin);
            // SAFETY: lanes under the masks are values and places that the caller vouches for, no other is touched; `steps` is
            // a vector long.
            unsafe {
                let value = if *row == NO_ROW || read == 0 {
                    _mm512_setzero_ps()
                } else if lay.step == 1 {
                    _mm512_maskz_loadu_ps(read, source)
                } else if lay.step == 2 {
                    let near = _mm512_maskz_loadu_ps(near_mask, source);
                    let far = _mm512_maskz_loadu_ps(far_mask, source.wrapping_add(LANES));
                    _mm512_permutex2var_ps(near, evens, far)
                } else {
                    let places = _mm512_loadu_si512(steps.as_ptr().cast());
                    _mm512_mask_i32gather_ps::<4>(_mm512_setzero_ps(), read, places, source)
                };
                _mm512_mask_storeu_ps(lay.copy.add(number * lay.pitch + first), written, value);
            }
        }
    }
}

/// As [`super::gather::SpreadFunction`]: vectors under masks where places follow each other, or every other one is taken.
///
/// # Safety
/// As [`super::gather::SpreadFunction`].
#[target_feature(enable = "avx512f")]
unsafe fn spread(spread: &Spread) {
    // SAFETY: lanes under the masks are values and places that the caller vouches for, no other is touched.
    unsafe {
        let put = |place: *mut f32, mask: __mmask16, value: __m512| {
            let there = if spread.accumulate { _mm512_maskz_loadu_ps(mask, place) } else { _mm512_setzero_ps() };
            let value = if spread.accumulate { _mm512_add_ps(there, value) } else { value };
            _mm512_mask_storeu_ps(place, mask, value);
        };
        let near = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
        let far = _mm512_set_epi32(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8);
        match spread.step {
            1 | 2 => {
                for first in (0..spread.count).step_by(LANES) {
                    let mask = lanes(0, spread.count - first);
                    let (near_mask, far_mask) = (every_other(mask), every_other(mask >> 8));
                    for row in 0..spread.rows {
                        let value = _mm512_maskz_loadu_ps(mask, spread.values.add(row * spread.width + first));
                        let place = spread.result.wrapping_add(row * spread.pitch + first * spread.step);
                        if spread.step == 1 {
                            put(place, mask, value);
                        } else {
                            put(place, near_mask, _mm512_permutexvar_ps(near, value));
                            put(place.wrapping_add(LANES), far_mask, _mm512_permutexvar_ps(far, value));
                        }
                    }
                }
            }
            _ => gather::spread(spread),
        }
    }
}
