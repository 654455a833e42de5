//! Tiles of 8 × 12 with NEON: 24 accumulators, three vectors of columns, one broadcast.

use std::arch::aarch64::{float32x4_t, vaddq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vst1q_f32};

use super::{
    gather::{gather, transpose},
    kernel::{Kernel, Tile, tile_table},
};

/// The kernel.
pub(super) static KERNEL: Kernel =
    Kernel { name: "neon", rows: 8, lanes: LANES, tiles: tile_table!(tile, 8), available: || true };

const LANES: usize = 4;

/// A tile of `ROWS` × `VECTORS`·4.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[target_feature(enable = "neon")]
unsafe fn tile<const ROWS: usize, const VECTORS: usize>(tile: &Tile<'_>) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); VECTORS]; ROWS];
        let mut columns = tile.columns;
        for run in tile.runs {
            let mut position = run.start;
            for _ in 0..run.len {
                let mut column = [vdupq_n_f32(0.0); VECTORS];
                for (vector, value) in column.iter_mut().enumerate() {
                    *value = vld1q_f32(columns.add(vector * LANES));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = vdupq_n_f32(*tile.rows[row].add(position));
                    for (sum, column) in sums.iter_mut().zip(column) {
                        *sum = vfmaq_f32(*sum, factor, column);
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
#[target_feature(enable = "neon")]
unsafe fn store<const ROWS: usize, const VECTORS: usize>(tile: &Tile<'_>, sums: &[[float32x4_t; VECTORS]; ROWS]) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        for (row, sums) in sums.iter().enumerate() {
            for (vector, sum) in sums.iter().enumerate() {
                let address = tile.output.add(row * tile.output_stride + vector * LANES);
                let mut value = *sum;
                if tile.accumulate {
                    value = vaddq_f32(vld1q_f32(address), value);
                }
                if !tile.bias.is_null() {
                    value = vaddq_f32(value, vdupq_n_f32(*tile.bias.add(row)));
                }
                vst1q_f32(address, value);
            }
        }
    }
}
