//! Tiles of 4 × 12 in plain Rust, which the compiler turns into whatever vectors the target always has.

use super::{
    gather::{gather, transpose},
    kernel::{Kernel, Tile, tile_table},
};

/// The kernel.
pub(super) static KERNEL: Kernel = Kernel {
    name: "portable",
    rows: 4,
    lanes: LANES,
    tiles: tile_table!(tile, 4),
    gather: gather::<LANES>,
    transpose,
    available: || true,
};

const LANES: usize = 4;

/// A tile of `ROWS` × `VECTORS`·4.
///
/// # Safety
/// As [`super::kernel::TileFunction`].
unsafe fn tile<const ROWS: usize, const VECTORS: usize>(tile: &Tile<'_>) {
    let mut sums = [[[0.0f32; LANES]; VECTORS]; ROWS];
    let mut columns = tile.columns;
    for run in tile.runs {
        let mut position = run.start;
        for _ in 0..run.len {
            // SAFETY: the caller vouches for the packed columns and for every row at every position.
            unsafe {
                let column: [[f32; LANES]; VECTORS] = columns.cast::<[[f32; LANES]; VECTORS]>().read_unaligned();
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = *tile.rows[row].add(position);
                    for (sum, column) in sums.iter_mut().flatten().zip(column.iter().flatten()) {
                        *sum += factor * column;
                    }
                }
                columns = columns.add(VECTORS * LANES);
            }
            position += tile.step;
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
