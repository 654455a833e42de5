//! The core that all matrix-shaped ops share: goes over panels of columns, packs each for a stretch of the reduction short
//! enough to stay in the first-level cache, and computes the tiles of all rows against it.
//!
//! What an op brings: its [`Rows`] (read in place, through one pointer per row), its [`Columns`] (the packer: a matrix, a
//! transposed matrix, an image read as a convolution reads it) and its [`Output`].

use std::ops::Range;

use super::{
    kernel::{Kernel, MAX_ROWS, MAX_TILE, MAX_VECTORS, Run, Tile},
    scratch::{Scratch, with_scratch},
};

/// Steps of the reduction that are packed and used at a time: 256 × 48 values fill the first-level cache.
const DEPTH: usize = 256;

/// The row operand: row `i` begins at `values[offset of i]` and is read at the positions of the reduction from there.
pub(crate) struct Rows<'a> {
    /// The memory all rows lie in.
    pub values: &'a [f32],
    /// Where each row begins.
    pub offsets: Offsets<'a>,
    /// The distance between consecutive values of a row.
    pub step: usize,
    /// The positions of the reduction.
    pub depth: Depth<'a>,
}

/// Where rows begin.
pub(crate) enum Offsets<'a> {
    /// So many rows, this far apart.
    Even {
        /// The number of rows.
        count: usize,
        /// The distance between their first values.
        stride: usize,
    },
    /// At these places.
    Listed(&'a [usize]),
}

/// The positions of the reduction.
pub(crate) enum Depth<'a> {
    /// So many, each `step` after the one before.
    Straight(usize),
    /// These runs, one after the other.
    Runs(&'a [Run]),
}

impl Rows<'_> {
    fn count(&self) -> usize {
        match self.offsets {
            Offsets::Even { count, .. } => count,
            Offsets::Listed(offsets) => offsets.len(),
        }
    }

    fn offset(&self, row: usize) -> usize {
        match self.offsets {
            Offsets::Even { stride, .. } => row * stride,
            Offsets::Listed(offsets) => offsets[row],
        }
    }

    /// The number of steps of the reduction.
    fn depth(&self) -> usize {
        match self.depth {
            Depth::Straight(depth) => depth,
            Depth::Runs(runs) => runs.iter().map(|run| run.len).sum(),
        }
    }

    /// Checks that every row can be read at every position.
    fn assert_readable(&self) {
        let last_row = (0..self.count()).map(|row| self.offset(row)).max().unwrap_or(0);
        let last = match self.depth {
            Depth::Straight(depth) => depth.saturating_sub(1) * self.step,
            Depth::Runs(runs) => runs.iter().map(|run| run.start + (run.len.max(1) - 1) * self.step).max().unwrap_or(0),
        };
        assert!(last_row + last < self.values.len(), "rows reach {} of {}", last_row + last, self.values.len());
    }
}

/// The column operand, which packs itself.
pub(crate) trait Columns: Sync {
    /// The number of columns.
    fn count(&self) -> usize;

    /// The packed panel: for each step of `depth` the values of `columns`, filled with anything up to `width` per step.
    /// It is written to `space`, or already lies somewhere.
    fn panel<'s>(
        &'s self,
        kernel: &Kernel,
        depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> &'s [f32];
}

/// Where the product goes.
pub(crate) trait Output: Sync {
    /// The place of a full tile whose rows lie one stride apart and whose `columns`, up to `width`, are contiguous; none
    /// when the tile must go through [`store`](Output::store).
    fn place(&self, rows: Range<usize>, columns: Range<usize>, width: usize) -> Option<Place>;

    /// Writes, or adds, the values of a tile whose rows are `width` apart.
    fn store(&self, rows: Range<usize>, columns: Range<usize>, tile: &[f32], width: usize, accumulate: bool);
}

/// A tile's place in the output.
pub(crate) struct Place {
    /// The first value.
    pub address: *mut f32,
    /// The distance between rows.
    pub stride: usize,
}

/// How sums become the output.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    /// Added to each row.
    pub bias: Option<&'a [f32]>,
    /// Whether the product is added to what the output holds.
    pub accumulate: bool,
}

/// `output (+)= rows · columns (+ bias)`, on the calling thread.
pub(crate) fn multiply(
    kernel: &Kernel,
    rows: &Rows<'_>,
    columns: &impl Columns,
    output: &impl Output,
    epilogue: Epilogue<'_>,
) {
    if rows.count() == 0 || columns.count() == 0 {
        return;
    }
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), rows.count(), "one bias per row");
    }
    if rows.depth() > 0 {
        rows.assert_readable();
    }
    with_scratch(|scratch| {
        let mut start = 0;
        while start < columns.count() {
            let left = columns.count() - start;
            let vectors = kernel.vectors(left);
            let end = start + left.min(vectors * kernel.lanes);
            panel(kernel, rows, columns, output, epilogue, start..end, vectors, scratch);
            start = end;
        }
    });
}

/// All rows against one panel of columns.
#[allow(clippy::too_many_arguments)]
fn panel(
    kernel: &Kernel,
    rows: &Rows<'_>,
    columns: &impl Columns,
    output: &impl Output,
    epilogue: Epilogue<'_>,
    span: Range<usize>,
    vectors: usize,
    scratch: &mut Scratch,
) {
    let width = vectors * kernel.lanes;
    let total = rows.depth();
    // Runs are short already: whoever lists them limits their sum.
    let block = if matches!(rows.depth, Depth::Straight(_)) { DEPTH } else { total.max(1) };
    let mut first = 0;
    loop {
        let last = (first + block).min(total);
        let straight = [Run { start: first * rows.step, len: last - first }];
        let runs = match rows.depth {
            Depth::Straight(_) => &straight,
            Depth::Runs(runs) => runs,
        };
        let space = scratch.take((last - first) * width);
        let packed = columns.panel(kernel, first..last, span.clone(), width, space);
        assert!(packed.len() >= (last - first) * width, "a panel of {} for {}", packed.len(), (last - first) * width);
        let bias = epilogue.bias.filter(|_| last == total);
        let accumulate = epilogue.accumulate || first > 0;
        let mut row = 0;
        while row < rows.count() {
            let end = rows.count().min(row + kernel.rows);
            let step = Step { kernel, rows, runs, packed, vectors, bias, accumulate };
            step.tile(row..end, span.clone(), output);
            row = end;
        }
        if last == total {
            return;
        }
        first = last;
    }
}

/// One packed panel and what is multiplied with it.
struct Step<'a> {
    kernel: &'a Kernel,
    rows: &'a Rows<'a>,
    runs: &'a [Run],
    packed: &'a [f32],
    vectors: usize,
    bias: Option<&'a [f32]>,
    accumulate: bool,
}

impl Step<'_> {
    /// Computes one tile, in place where the output allows it.
    fn tile(&self, rows: Range<usize>, columns: Range<usize>, output: &impl Output) {
        const { assert!(MAX_TILE >= MAX_ROWS * MAX_VECTORS) };
        let width = self.vectors * self.kernel.lanes;
        match output.place(rows.clone(), columns.clone(), width) {
            Some(place) => self.run(rows, place.address, place.stride, self.accumulate),
            None => {
                let mut tile = [0.0f32; MAX_TILE];
                self.run(rows.clone(), tile.as_mut_ptr(), width, false);
                output.store(rows, columns, &tile, width, self.accumulate);
            }
        }
    }

    fn run(&self, rows: Range<usize>, output: *mut f32, output_stride: usize, accumulate: bool) {
        let mut pointers = [self.rows.values.as_ptr(); MAX_ROWS];
        for (pointer, row) in pointers.iter_mut().zip(rows.clone()) {
            *pointer = self.rows.values[self.rows.offset(row)..].as_ptr();
        }
        let tile = Tile {
            rows: pointers,
            step: self.rows.step,
            runs: self.runs,
            columns: self.packed.as_ptr(),
            output,
            output_stride,
            bias: self.bias.map_or(std::ptr::null(), |bias| bias[rows.clone()].as_ptr()),
            accumulate,
        };
        // SAFETY: `multiply` checked that all rows can be read at all positions and that the bias has one value per row,
        // `panel` that the packed columns are long enough; the output is a tile on the stack or a place that the op's
        // `Output` gives away, which is its own while it computes. A kernel exists only where its instructions do.
        unsafe { self.kernel.tiles[rows.len() - 1][self.vectors - 1](&tile) }
    }
}
