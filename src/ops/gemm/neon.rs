//! Tiles of 8 × 12 with NEON: 24 accumulators, three vectors of columns, one broadcast.

use std::arch::aarch64::{float32x4_t, vaddq_f32, vdupq_n_f32, vfmaq_f32, vld1q_f32, vst1q_f32};

use super::{
    gather::{gather, lay, spread, transpose},
    kernel::{IN_PLACE, Kernel, LISTED, LISTED_IN_PLACE, Tile, tile_table},
};

/// The kernel.
pub(super) static KERNEL: Kernel = Kernel {
    name: "neon",
    rows: 8,
    lanes: LANES,
    tiles: tile_table!(tile, 8),
    gather: gather::<LANES>,
    transpose,
    lay,
    spread,
    available: || true,
};

const LANES: usize = 4;

/// A tile of `ROWS` × `VECTORS`·4.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
#[target_feature(enable = "neon")]
unsafe fn tile<const ROWS: usize, const VECTORS: usize, const MODE: usize>(tile: &Tile) {
    // SAFETY: every address is one that the caller vouches for.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); VECTORS]; ROWS];
        for step in 0..tile.len {
            let position = match MODE {
                LISTED | LISTED_IN_PLACE => *tile.positions.add(step) as usize,
                IN_PLACE => step,
                _ => step * tile.step,
            };
            let mut column = [vdupq_n_f32(0.0); VECTORS];
            for (vector, value) in column.iter_mut().enumerate() {
                let address = match MODE {
                    IN_PLACE | LISTED_IN_PLACE => tile.columns[vector].add(*tile.offsets.add(step) as usize),
                    _ => tile.columns[0].add((step * VECTORS + vector) * LANES),
                };
                *value = vld1q_f32(address);
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = vdupq_n_f32(*tile.rows[row].add(position));
                for (sum, column) in sums.iter_mut().zip(column) {
                    *sum = vfmaq_f32(*sum, factor, column);
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
#[target_feature(enable = "neon")]
unsafe fn store<const ROWS: usize, const VECTORS: usize>(tile: &Tile, sums: &[[float32x4_t; VECTORS]; ROWS]) {
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
