//! Tiles of 8 × 48 with AVX-512: 24 accumulators, three vectors of columns, one broadcast.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::kernel::{Kernel, Tile, tile_table};

/// The kernel.
pub(super) static KERNEL: Kernel = Kernel {
    name: "avx512",
    rows: 8,
    lanes: LANES,
    tiles: tile_table!(tile, 8),
    available: || is_x86_feature_detected!("avx512f"),
};

const LANES: usize = 16;

/// A tile of `ROWS` × `VECTORS`·16.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[target_feature(enable = "avx512f")]
unsafe fn tile<const ROWS: usize, const VECTORS: usize>(tile: &Tile<'_>) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
        let mut columns = tile.columns;
        for run in tile.runs {
            let mut position = run.start;
            for _ in 0..run.len {
                let mut column = [_mm512_setzero_ps(); VECTORS];
                for (vector, value) in column.iter_mut().enumerate() {
                    *value = _mm512_loadu_ps(columns.add(vector * LANES));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = _mm512_set1_ps(*tile.rows[row].add(position));
                    for (sum, column) in sums.iter_mut().zip(column) {
                        *sum = _mm512_fmadd_ps(factor, column, *sum);
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
#[target_feature(enable = "avx512f")]
unsafe fn store<const ROWS: usize, const VECTORS: usize>(tile: &Tile<'_>, sums: &[[__m512; VECTORS]; ROWS]) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                let address = tile.output.add(row * tile.output_stride + vector * LANES);
                let mut value = *sum;
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
