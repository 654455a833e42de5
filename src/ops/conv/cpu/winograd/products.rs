//! At each point, the filters times the source channels: 36 small products of one shape, whose operands lie evenly apart. What they have in
//! common is checked and laid out once.

use super::{SQUARE, lanes::LANES, tiles::Tiles};
use crate::ops::gemm::{
    kernel::{Kernel, MAX_ROWS, MAX_VECTORS, Mode, Tile},
    operands::furthest,
};

/// The operands; distances between points are those of even parts.
pub(super) struct Products<'a> {
    pub tiles: &'a Tiles,
    /// Channels of the source, and of the result.
    pub sources: usize,
    pub results: usize,
    /// Point × result channel × source channel, from the first result channel on; and the distance between points.
    pub filters: (&'a [f32], usize),
    /// Point × vector of tiles × source channel × tile.
    pub points: &'a [f32],
    /// Where the sixteen values of each source channel begin.
    pub offsets: &'a [u32],
}

impl Products<'_> {
    /// Writes point × result channel × tile.
    pub fn multiply(&self, products: &mut [f32]) {
        let Products { tiles, sources, results, filters: (filters, filter_distance), points, .. } = *self;
        let (kernel, width) = (tiles.kernel, tiles.distance());
        let (point_distance, product_distance) = (points.len() / SQUARE, products.len() / SQUARE);
        assert!(sources * width <= point_distance && results * width <= product_distance, "no room for a point");
        assert!((SQUARE - 1) * filter_distance + results * sources <= filters.len(), "filters outside their memory");
        let farthest = furthest(self.offsets).map_or(0, |offset| offset + LANES);
        assert!(self.offsets.len() == sources && farthest <= sources * LANES, "a channel outside its vector of tiles");
        let step = kernel.tile_rows(results);
        for point in 0..SQUARE {
            let filters = filters[point * filter_distance..].as_ptr();
            let source = points[point * point_distance..].as_ptr();
            let products = products[point * product_distance..].as_mut_ptr();
            for &(column, vectors) in &tiles.panels {
                let columns = columns(kernel, source, column, sources);
                let mut result = 0;
                while result < results {
                    let rows = step.min(results - result);
                    let row = |row: usize| filters.wrapping_add((result + row.min(rows - 1)) * sources);
                    let tile = Tile {
                        rows: std::array::from_fn::<_, MAX_ROWS, _>(row),
                        len: sources,
                        step: 1,
                        positions: std::ptr::null(),
                        columns,
                        offsets: self.offsets.as_ptr(),
                        output: products.wrapping_add(result * width + column),
                        output_stride: width,
                        bias: std::ptr::null(),
                        accumulate: false,
                    };
                    // SAFETY: the operands of every point lie in their memory, as checked above, and panels in `distance` tiles.
                    unsafe { kernel.run(Mode::InPlace, rows, vectors, &tile) };
                    result += rows;
                }
            }
        }
    }
}

/// Where the vectors of a panel begin.
fn columns(kernel: &Kernel, source: *const f32, first: usize, sources: usize) -> [*const f32; MAX_VECTORS] {
    std::array::from_fn(|vector| {
        let column = first + vector * kernel.lanes;
        source.wrapping_add(column / LANES * LANES * sources + column % LANES)
    })
}
