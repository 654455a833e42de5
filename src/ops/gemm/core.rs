//! The core that all matrix-shaped ops share: packs panels of columns and computes the tiles of all rows against them.
//!
//! What an op brings: its [`Rows`] (read in place, through one pointer per row), its [`Columns`] (the packer: a matrix, a
//! transposed matrix, an image read as a convolution reads it) and its [`Output`]. There are two orders. [`multiply`] goes
//! over panels and, within one, over rows: a panel is packed for a stretch of the reduction short enough to stay in the
//! first-level cache. [`multiply_by_rows`] packs as many panels as the second-level cache holds and goes over rows, so that
//! a large row operand is read once, and results are written along rows.

use std::{marker::PhantomData, ops::Range};

use super::{
    kernel::{Kernel, MAX_ROWS, MAX_TILE, MAX_VECTORS, Mode, Tile},
    operands::{Columns, Depth, Epilogue, Offsets, Output, Panel, Rows},
    scratch::with_scratch,
};

/// Steps of the reduction that are packed, and summed up in registers, at a time: 256 × 48 values fill the first-level cache.
const DEPTH: usize = 256;

/// What the halves of a last stretch between one and two [`DEPTH`] are rounded up to.
const HALF_MULTIPLE: usize = 8;

/// Steps of the reduction that all panels of a block are packed for at a time.
const PACKED_STEPS: usize = 32;

/// Packed values that stay in the second-level cache.
const BLOCK: usize = 1 << 17;

/// Packed values that stay in the first-level cache.
const NEAR_BLOCK: usize = 1 << 13;

/// `output (+)= rows · columns (+ bias)`, on the calling thread, panel by panel.
pub(crate) fn multiply(
    kernel: &Kernel,
    rows: &Rows<'_>,
    columns: &impl Columns,
    output: &impl Output,
    epilogue: Epilogue<'_>,
) {
    let product = Product::new(kernel, rows, output, epilogue);
    with_scratch(|scratch| {
        let spans = chunks(0..columns.count(), columns.span().max(1));
        for (span, width) in spans.flat_map(|span| panels(kernel, span)) {
            let in_place = columns.in_place(kernel, span.clone(), width);
            for stretch in product.stretches() {
                let panel = match in_place {
                    Some(panel) => panel.steps(stretch.depth.clone()),
                    None => {
                        let space = scratch.take(stretch.depth.len() * width);
                        columns.panel(kernel, stretch.depth.clone(), span.clone(), width, space)
                    }
                };
                for tile in tiles(kernel, rows.count()) {
                    let row_tile = product.rows_in_place(&stretch, tile);
                    product.tile(&stretch, &row_tile, span.clone(), &panel, width);
                }
            }
        }
    });
}

/// `output (+)= rows · columns (+ bias)`, on the calling thread, row by row.
pub(crate) fn multiply_by_rows(
    kernel: &Kernel,
    rows: &Rows<'_>,
    columns: &impl Columns,
    output: &impl Output,
    epilogue: Epilogue<'_>,
) {
    multiply_in_blocks(kernel, rows, columns, output, epilogue, BLOCK);
}

/// The same for a short reduction: a few panels at a time, so that results are written in long stretches.
pub(crate) fn multiply_shallow(
    kernel: &Kernel,
    rows: &Rows<'_>,
    columns: &impl Columns,
    output: &impl Output,
    epilogue: Epilogue<'_>,
) {
    multiply_in_blocks(kernel, rows, columns, output, epilogue, NEAR_BLOCK);
}

fn multiply_in_blocks<C: Columns>(
    kernel: &Kernel,
    rows: &Rows<'_>,
    columns: &C,
    output: &impl Output,
    epilogue: Epilogue<'_>,
    packed: usize,
) {
    let product = Product::new(kernel, rows, output, epilogue);
    let count = columns.count();
    let longest = rows.depth().clamp(1, DEPTH);
    let block = (packed / longest / kernel.panel() * kernel.panel()).max(kernel.panel());
    with_scratch(|scratch| {
        for block in chunks(0..count, block) {
            for stretch in product.stretches() {
                let len = stretch.depth.len();
                let size = if C::PACKED { 0 } else { kernel.padded(block.len()) * len };
                let (space, row_space) = scratch.take(size + MAX_ROWS * len).split_at_mut(size);
                if !C::PACKED {
                    // A few steps of all panels at a time: rows of a matrix are read in stretches as long as the block.
                    for depth in chunks(stretch.depth.clone(), PACKED_STEPS) {
                        for (span, width) in panels(kernel, block.clone()) {
                            let start = (span.start - block.start) * len + (depth.start - stretch.depth.start) * width;
                            let space = &mut space[start..start + depth.len() * width];
                            columns.panel(kernel, depth.clone(), span, width, space);
                        }
                    }
                }
                for tile in tiles(kernel, rows.count()) {
                    let row_tile = product.rows(&stretch, tile, row_space);
                    for (span, width) in panels(kernel, block.clone()) {
                        let panel = if C::PACKED {
                            columns.panel(kernel, stretch.depth.clone(), span.clone(), width, &mut [])
                        } else {
                            Panel::Packed(&space[(span.start - block.start) * len..][..len * width])
                        };
                        product.tile(&stretch, &row_tile, span, &panel, width);
                    }
                }
            }
        }
    });
}

/// The rows of each tile.
fn tiles(kernel: &Kernel, rows: usize) -> impl Iterator<Item = Range<usize>> {
    chunks(0..rows, kernel.tile_rows(rows))
}

/// The range in pieces of at most `size`.
fn chunks(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(size).map(move |start| start..range.end.min(start + size))
}

/// The panels of a range of columns, with their widths: as even as can be.
pub(crate) fn panels(kernel: &Kernel, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, usize)> {
    let (mut start, end, lanes) = (range.start, range.end, kernel.lanes);
    std::iter::from_fn(move || {
        let vectors = match (end - start).div_ceil(lanes) {
            0 => return None,
            4 => 2,
            vectors => vectors.min(MAX_VECTORS),
        };
        let span = start..end.min(start + vectors * lanes);
        start = span.end;
        Some((span, vectors * lanes))
    })
}

/// A reduction of so many steps in stretches of [`DEPTH`]; what is left, if it is longer than that, in two halves.
pub(crate) fn stretches(total: usize) -> impl Iterator<Item = Range<usize>> {
    stretches_of(total, DEPTH)
}

fn stretches_of(total: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        // A sum of nothing is a stretch too: it writes zeros, or the bias.
        let start = next?;
        let len = match total - start {
            left if left <= most => left,
            left if left < 2 * most => (left / 2).next_multiple_of(HALF_MULTIPLE),
            _ => most,
        };
        next = (start + len < total).then_some(start + len);
        Some(start..start + len)
    })
}

/// Steps of the reduction that are done at a time.
struct Stretch {
    depth: Range<usize>,
    is_first: bool,
    is_last: bool,
}

/// What is multiplied, checked.
struct Product<'a, O> {
    kernel: &'a Kernel,
    rows: &'a Rows<'a>,
    output: &'a O,
    epilogue: Epilogue<'a>,
}

impl<'a, O: Output> Product<'a, O> {
    fn new(kernel: &'a Kernel, rows: &'a Rows<'a>, output: &'a O, epilogue: Epilogue<'a>) -> Self {
        assert!(rows.are_readable(), "the rows reach outside their {} values", rows.values.len());
        assert!(epilogue.bias.is_none_or(|bias| bias.len() == rows.count()), "one bias per row");
        Product { kernel, rows, output, epilogue }
    }

    /// The reduction in [`stretches`]; a listed one is not cut.
    fn stretches(&self) -> impl Iterator<Item = Stretch> + use<O> {
        let total = self.rows.depth();
        let most = if matches!(self.rows.depth, Depth::Listed(_)) { total } else { DEPTH };
        stretches_of(total, most).map(move |depth| Stretch {
            is_first: depth.start == 0,
            is_last: depth.end == total,
            depth,
        })
    }

    /// Some rows where they lie.
    fn rows_in_place(&self, stretch: &Stretch, rows: Range<usize>) -> RowTile<'a> {
        let start = match self.rows.depth {
            Depth::Straight(_) => stretch.depth.start * self.rows.step,
            Depth::Listed(_) => 0,
        };
        let mut pointers = [self.rows.values.as_ptr(); MAX_ROWS];
        for (pointer, row) in pointers.iter_mut().zip(rows.clone()) {
            *pointer = self.rows.values.as_ptr().wrapping_add(self.rows.offset(row) + start);
        }
        RowTile { rows, pointers, step: self.rows.step, memory: PhantomData }
    }

    /// Some rows where they lie, or packed if their values lie apart: a cache line would hold one value of each.
    fn rows<'s>(&self, stretch: &Stretch, rows: Range<usize>, space: &'s mut [f32]) -> RowTile<'s>
    where
        'a: 's,
    {
        if self.rows.step == 1 {
            return self.rows_in_place(stretch, rows);
        }
        for (step, packed) in stretch.depth.clone().zip(space.chunks_exact_mut(MAX_ROWS)) {
            let values = &self.rows.values[step * self.rows.step..];
            match self.rows.offsets {
                Offsets::Even { stride: 1, .. } => packed[..rows.len()].copy_from_slice(&values[rows.clone()]),
                _ => {
                    packed.iter_mut().zip(rows.clone()).for_each(|(value, row)| *value = values[self.rows.offset(row)])
                }
            }
        }
        assert!(space.len() >= stretch.depth.len() * MAX_ROWS, "rows packed outside their memory");
        let pointers = std::array::from_fn(|row| space.as_ptr().wrapping_add(row));
        RowTile { rows, pointers, step: MAX_ROWS, memory: PhantomData }
    }

    /// Computes one tile, in place where the output allows it.
    fn tile(&self, stretch: &Stretch, rows: &RowTile<'_>, columns: Range<usize>, panel: &Panel<'_>, width: usize) {
        const { assert!(MAX_TILE >= MAX_ROWS * MAX_VECTORS) };
        let accumulate = self.epilogue.accumulate || !stretch.is_first;
        match self.output.place(rows.rows.clone(), columns.clone(), width) {
            Some(place) => self.run(stretch, rows, panel, width, (place.address, place.stride), accumulate),
            None => {
                let mut tile = [0.0f32; MAX_TILE];
                self.run(stretch, rows, panel, width, (tile.as_mut_ptr(), width), false);
                self.output.store(rows.rows.clone(), columns, &tile, width, accumulate);
            }
        }
    }

    fn run(
        &self,
        stretch: &Stretch,
        rows: &RowTile<'_>,
        panel: &Panel<'_>,
        width: usize,
        (output, output_stride): (*mut f32, usize),
        accumulate: bool,
    ) {
        let len = stretch.depth.len();
        let vectors = width / self.kernel.lanes;
        let (mut mode, positions) = match self.rows.depth {
            Depth::Straight(_) => (Mode::Straight, std::ptr::null()),
            Depth::Listed(positions) => (Mode::Listed, positions[stretch.depth.clone()].as_ptr()),
        };
        let (columns, offsets) = match panel {
            Panel::Packed(values) => {
                assert!(values.len() >= len * width, "a panel of {} for {len} × {width}", values.len());
                ([values.as_ptr(); MAX_VECTORS], std::ptr::null())
            }
            Panel::InPlace { source, vectors, offsets } => {
                assert!(offsets.len() == len && rows.step == 1 && mode == Mode::Straight, "no such tile");
                mode = Mode::InPlace;
                (vectors.map(|vector| source.as_ptr().wrapping_add(vector)), offsets.as_ptr())
            }
        };
        let bias = self.epilogue.bias.filter(|_| stretch.is_last);
        let tile = Tile {
            rows: rows.pointers,
            len,
            step: rows.step,
            positions,
            columns,
            offsets,
            output,
            output_stride,
            bias: bias.map_or(std::ptr::null(), |bias| bias[rows.rows.clone()].as_ptr()),
            accumulate,
        };
        // SAFETY: `new` checked that all rows can be read at all positions and that the bias has one value per row, packed
        // rows are as long as the stretch; the columns are long enough, as just checked, or read in place, where their maker
        // vouches for them; the output is a tile on the stack or a place that the op's `Output` gives away, which is its own
        // while it computes.
        unsafe { self.kernel.run(mode, rows.rows.len(), vectors, &tile) }
    }
}

/// The rows of a tile.
struct RowTile<'s> {
    rows: Range<usize>,
    /// The first value of each.
    pointers: [*const f32; MAX_ROWS],
    /// The distance between a row's values.
    step: usize,
    memory: PhantomData<&'s [f32]>,
}
