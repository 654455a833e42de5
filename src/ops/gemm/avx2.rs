//! Tiles of 4 × 24 with AVX2 and FMA: twelve accumulators, three vectors of columns, one broadcast.

use std::arch::x86_64::{
    __m256, __m256i, _mm_loadu_ps, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_castps128_ps256,
    _mm256_fmadd_ps, _mm256_insertf128_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskload_ps,
    _mm256_maskstore_ps, _mm256_or_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_storeu_ps,
    _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
};

use super::{
    gather::{self, Gather, Lay, NO_ROW, Part, Transpose, parts, transpose_from},
    kernel::{IN_PLACE, Kernel, LISTED, LISTED_IN_PLACE, Tile, tile_table},
};

/// The kernel.
pub(super) static KERNEL: Kernel = Kernel {
    name: "avx2",
    rows: 4,
    lanes: LANES,
    tiles: tile_table!(tile, 4),
    gather,
    transpose,
    lay,
    spread: gather::spread,
    available: || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
};

const LANES: usize = 8;

/// A tile of `ROWS` × `VECTORS`·8.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const ROWS: usize, const VECTORS: usize, const MODE: usize>(tile: &Tile) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); VECTORS]; ROWS];
        for step in 0..tile.len {
            let position = match MODE {
                LISTED | LISTED_IN_PLACE => *tile.positions.add(step) as usize,
                IN_PLACE => step,
                _ => step * tile.step,
            };
            let mut column = [_mm256_setzero_ps(); VECTORS];
            for (vector, value) in column.iter_mut().enumerate() {
                let address = match MODE {
                    IN_PLACE | LISTED_IN_PLACE => tile.columns[vector].add(*tile.offsets.add(step) as usize),
                    _ => tile.columns[0].add((step * VECTORS + vector) * LANES),
                };
                *value = _mm256_loadu_ps(address);
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = _mm256_set1_ps(*tile.rows[row].add(position));
                for (sum, column) in sums.iter_mut().zip(column) {
                    *sum = _mm256_fmadd_ps(factor, column, *sum);
                }
            }
        }
        // A copy, so that the sums above have no address and stay in registers.
        let result = sums;
        store(tile, &result);
    }
}

/// Writes or adds the sums, with the bias.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn store<const ROWS: usize, const VECTORS: usize>(tile: &Tile, sums: &[[__m256; VECTORS]; ROWS]) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                let address = tile.output.add(row * tile.output_stride + vector * LANES);
                let mut value = *sum;
                if tile.accumulate {
                    value = _mm256_add_ps(_mm256_loadu_ps(address), value);
                }
                if !tile.bias.is_null() {
                    value = _mm256_add_ps(value, _mm256_set1_ps(*tile.bias.add(row)));
                }
                _mm256_storeu_ps(address, value);
            }
        }
    }
}

/// As [`super::gather::GatherFunction`]: each vector is loaded part by part under masks.
///
/// # Safety
/// As [`super::gather::GatherFunction`].
#[target_feature(enable = "avx2,fma")]
unsafe fn gather(gather: &Gather<'_>) {
    for vector in 0..gather.vectors {
        let mut list = [Part::default(); LANES];
        let count = parts(gather.segments, vector, &mut list);
        // SAFETY: passed on to the caller.
        unsafe {
            match count {
                1 => gather_vector::<1>(gather, vector, &list[..1]),
                2 => gather_vector::<2>(gather, vector, &list[..2]),
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
#[target_feature(enable = "avx2,fma")]
unsafe fn gather_vector<const PARTS: usize>(gather: &Gather<'_>, vector: usize, parts: &[Part]) {
    let mut origins = [0isize; PARTS];
    let mut masks: [__m256i; PARTS] = [_mm256_setzero_si256(); PARTS];
    for ((origin, mask), part) in origins.iter_mut().zip(&mut masks).zip(parts) {
        *origin = part.origin;
        *mask = lanes(part.start, part.end);
    }
    let count = parts.len().min(PARTS);
    for (number, offset) in gather.offsets.iter().enumerate() {
        let row = gather.source.wrapping_add(*offset as usize);
        // SAFETY: lanes under the masks are places that the caller vouches for, other lanes are not read.
        unsafe {
            let mut value = _mm256_maskload_ps(row.wrapping_offset(origins[0]), masks[0]);
            // A constant number of parts but for the last resort, where it is as many as there are.
            for part in 1..if PARTS == LANES { count } else { PARTS } {
                let more = _mm256_maskload_ps(row.wrapping_offset(origins[part]), masks[part]);
                value = _mm256_or_ps(value, more);
            }
            _mm256_storeu_ps(gather.packed.add((number * gather.vectors + vector) * LANES), value);
        }
    }
}

/// As [`super::gather::TransposeFunction`]: four positions of eight rows at a time.
///
/// # Safety
/// As [`super::gather::TransposeFunction`].
#[target_feature(enable = "avx2,fma")]
unsafe fn transpose(transpose: &Transpose) {
    let row = |lane: usize| transpose.source.wrapping_add(lane.min(transpose.lanes - 1) * transpose.stride);
    let rows: [*const f32; LANES] = std::array::from_fn(row);
    let whole = transpose.len / 4 * 4;
    for position in (0..whole).step_by(4) {
        // SAFETY: the caller vouches for all rows and for the room.
        unsafe {
            // In each half of a vector four neighbours of one row; then 4 × 4 transposes within the halves.
            let load = |lane: usize| _mm_loadu_ps(rows[lane].add(position));
            let halves = |lane: usize| _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(load(lane)), load(lane + 4));
            let (a, b, c, d) = (halves(0), halves(1), halves(2), halves(3));
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let low = |x, y| _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(x), _mm256_castps_pd(y)));
            let high = |x, y| _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(x), _mm256_castps_pd(y)));
            let columns = [low(ab_low, cd_low), high(ab_low, cd_low), low(ab_high, cd_high), high(ab_high, cd_high)];
            for (index, column) in columns.into_iter().enumerate() {
                _mm256_storeu_ps(transpose.packed.add((position + index) * transpose.width), column);
            }
        }
    }
    // SAFETY: passed on to the caller.
    unsafe { transpose_from(transpose, whole) }
}

/// A mask of the lanes from `start` to before `end`.
#[target_feature(enable = "avx2,fma")]
fn lanes(start: usize, end: usize) -> __m256i {
    let lanes: [i32; LANES] = std::array::from_fn(|lane| -i32::from((start..end).contains(&lane)));
    // SAFETY: the array is a vector long.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

/// As [`super::gather::LayFunction`]: vector after vector of all rows.
///
/// # Safety
/// As [`super::gather::LayFunction`].
#[target_feature(enable = "avx2,fma")]
unsafe fn lay(lay: &Lay<'_>) {
    if lay.step != 1 {
        // SAFETY: passed on to the caller.
        return unsafe { gather::lay(lay) };
    }
    for first in (0..lay.len).step_by(LANES) {
        let written = lanes(0, lay.len - first);
        let read = lanes(lay.before.saturating_sub(first), (lay.before + lay.count).saturating_sub(first));
        let origin = first as isize - lay.before as isize;
        for (number, row) in lay.rows.iter().enumerate() {
            let source = lay.source.wrapping_add(*row as usize).wrapping_offset(origin);
            // SAFETY: lanes under the masks are values and places that the caller vouches for, no other is touched.
            unsafe {
                let value = if *row == NO_ROW { _mm256_setzero_ps() } else { _mm256_maskload_ps(source, read) };
                _mm256_maskstore_ps(lay.copy.add(number * lay.pitch + first), written, value);
            }
        }
    }
}
