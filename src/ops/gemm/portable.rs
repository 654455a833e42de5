//! Tiles of 4 × 12 in plain Rust, which the compiler turns into whatever vectors the target always has.

use super::{
    gather::{gather, lay, spread, transpose},
    kernel::{IN_PLACE, Kernel, LISTED, LISTED_IN_PLACE, Tile, tile_table},
};

/// The kernel.
pub(super) static KERNEL: Kernel = Kernel {
    name: "portable",
    rows: 4,
    lanes: LANES,
    tiles: tile_table!(tile, 4),
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
unsafe fn tile<const ROWS: usize, const VECTORS: usize, const MODE: usize>(tile: &Tile) {
    let mut sums = [[[0.0f32; LANES]; VECTORS]; ROWS];
    for step in 0..tile.len {
        // SAFETY: the caller vouches for the columns and for every row at every step.
        unsafe {
            let position = match MODE {
                LISTED | LISTED_IN_PLACE => *tile.positions.add(step) as usize,
                IN_PLACE => step,
                _ => step * tile.step,
            };
            let mut column = [[0.0f32; LANES]; VECTORS];
            for (vector, value) in column.iter_mut().enumerate() {
                let address = match MODE {
                    IN_PLACE | LISTED_IN_PLACE => tile.columns[vector].add(*tile.offsets.add(step) as usize),
                    _ => tile.columns[0].add((step * VECTORS + vector) * LANES),
                };
                *value = address.cast::<[f32; LANES]>().read_unaligned();
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = *tile.rows[row].add(position);
                for (sum, column) in sums.iter_mut().flatten().zip(column.iter().flatten()) {
                    *sum += factor * column;
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        // SAFETY: the caller vouches for the bias and for the output.
        unsafe {
            let bias = if tile.bias.is_null() { 0.0 } else { *tile.bias.add(row) };
            for (column, sum) in sums.iter().flatten().enumerate() {
                let address = tile.output.add(row * tile.output_stride + column);
                let before = if tile.accumulate { *address } else { 0.0 };
                *address = before + sum + bias;
            }
        }
    }
}
