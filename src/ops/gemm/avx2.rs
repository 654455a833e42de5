//! Tiles of 4 × 24 with AVX2 and FMA: twelve accumulators, three vectors of columns, one broadcast.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use super::kernel::{Kernel, Tile, tile_table};

/// The kernel.
pub(super) static KERNEL: Kernel = Kernel {
    name: "avx2",
    rows: 4,
    lanes: LANES,
    tiles: tile_table!(tile, 4),
    available: || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
};

const LANES: usize = 8;

/// A tile of `ROWS` × `VECTORS`·8.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const ROWS: usize, const VECTORS: usize>(tile: &Tile<'_>) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); VECTORS]; ROWS];
        let mut columns = tile.columns;
        for run in tile.runs {
            let mut position = run.start;
            for _ in 0..run.len {
                let mut column = [_mm256_setzero_ps(); VECTORS];
                for (vector, value) in column.iter_mut().enumerate() {
                    *value = _mm256_loadu_ps(columns.add(vector * LANES));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = _mm256_set1_ps(*tile.rows[row].add(position));
                    for (sum, column) in sums.iter_mut().zip(column) {
                        *sum = _mm256_fmadd_ps(factor, column, *sum);
                    }
                }
                columns = columns.add(VECTORS * LANES);
                position += tile.step;
            }
        }
        store(tile, &sums);
    }
}

/// Writes or adds the sums, with the bias.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn store<const ROWS: usize, const VECTORS: usize>(tile: &Tile<'_>, sums: &[[__m256; VECTORS]; ROWS]) {
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
