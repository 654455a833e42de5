//! What an op brings to the core: its rows, its columns, which pack themselves, and the place its product goes to.

use std::{marker::PhantomData, ops::Range};

use super::kernel::{Kernel, MAX_VECTORS};
use crate::ops::vector::widest;

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

impl Rows<'_> {
    pub(super) fn count(&self) -> usize {
        match self.offsets {
            Offsets::Even { count, .. } => count,
            Offsets::Listed(offsets) => offsets.len(),
        }
    }

    pub(super) fn offset(&self, row: usize) -> usize {
        match self.offsets {
            Offsets::Even { stride, .. } => row * stride,
            Offsets::Listed(offsets) => offsets[row] as usize,
        }
    }

    /// The number of steps of the reduction.
    pub(super) fn depth(&self) -> usize {
        match self.depth {
            Depth::Straight(depth) => depth,
            Depth::Listed(positions) => positions.len(),
        }
    }

    /// Whether every row can be read at every position.
    pub(super) fn are_readable(&self) -> bool {
        let Some(last_row) = (0..self.count()).map(|row| self.offset(row)).max() else { return true };
        let last = match self.depth {
            Depth::Straight(depth) => depth.checked_sub(1).map(|last| last * self.step),
            Depth::Listed(positions) => furthest(positions),
        };
        last.is_none_or(|last| last_row + last < self.values.len())
    }
}

/// The largest of a list, in one pass of vectors: lists are checked once for every panel.
pub(crate) fn furthest(list: &[u32]) -> Option<usize> {
    let largest = widest(
        #[inline(always)]
        || list.iter().fold(0, |largest, place| largest.max(*place)),
    );
    (!list.is_empty()).then_some(largest as usize)
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
    Listed(&'a [u32]),
}

/// The positions of the reduction.
pub(crate) enum Depth<'a> {
    /// So many, each `step` after the one before.
    Straight(usize),
    /// These. Whoever lists them limits their number to what a cache holds.
    Listed(&'a [u32]),
}

/// The column operand, which packs itself.
pub(crate) trait Columns: Sync {
    /// Whether all panels lie packed in memory and need no space.
    const PACKED: bool = false;

    /// The number of columns.
    fn count(&self) -> usize;

    /// How many columns belong together: no panel has some of one span and some of the next.
    fn span(&self) -> usize {
        self.count()
    }

    /// The panel of `columns` for the whole reduction where it lies, if its vectors are contiguous.
    fn in_place(&self, _kernel: &Kernel, _columns: Range<usize>, _width: usize) -> Option<Panel<'_>> {
        None
    }

    /// The panel of `columns`, `width` lanes wide, for the steps `depth` of the reduction: packed into `space`, which has
    /// room for it, or wherever it lies.
    fn panel<'s>(
        &'s self,
        kernel: &Kernel,
        depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> Panel<'s>;
}

/// A panel of columns.
#[derive(Clone, Copy)]
pub(crate) enum Panel<'s> {
    /// For each step of the reduction the values of all lanes; lanes beyond the columns hold anything.
    Packed(&'s [f32]),
    /// Read in place: lane `i` of vector `v` at step `p` is `source[vectors[v] + offsets[p] + i]`.
    InPlace {
        /// The memory.
        source: &'s [f32],
        /// Where each vector begins.
        vectors: [usize; MAX_VECTORS],
        /// Where each step begins.
        offsets: &'s [u32],
    },
}

impl Panel<'_> {
    /// Some steps of a panel that is read in place.
    pub(super) fn steps(self, depth: Range<usize>) -> Self {
        match self {
            Panel::InPlace { source, vectors, offsets } => Panel::InPlace { source, vectors, offsets: &offsets[depth] },
            Panel::Packed(_) => self,
        }
    }
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

/// A matrix whose rows are padded to whole vectors, so that every tile has its place.
pub(crate) struct PaddedMatrix<'a> {
    address: *mut f32,
    len: usize,
    stride: usize,
    memory: PhantomData<&'a mut [f32]>,
}

// SAFETY: the matrix is borrowed exclusively, and one task computes a product.
unsafe impl Sync for PaddedMatrix<'_> {}

impl<'a> PaddedMatrix<'a> {
    /// The matrix whose rows are `stride` values apart.
    pub fn new(values: &'a mut [f32], stride: usize) -> Self {
        PaddedMatrix { address: values.as_mut_ptr(), len: values.len(), stride, memory: PhantomData }
    }
}

impl Output for PaddedMatrix<'_> {
    fn place(&self, rows: Range<usize>, columns: Range<usize>, width: usize) -> Option<Place> {
        assert!((rows.end - 1) * self.stride + columns.start + width <= self.len, "sums outside their memory");
        // SAFETY: just checked.
        let address = unsafe { self.address.add(rows.start * self.stride + columns.start) };
        Some(Place { address, stride: self.stride })
    }

    fn store(&self, _: Range<usize>, _: Range<usize>, _: &[f32], _: usize, _: bool) {
        unreachable!("every tile has a place")
    }
}

/// How sums become the output.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Epilogue<'a> {
    /// Added to each row.
    pub bias: Option<&'a [f32]>,
    /// Whether the product is added to what the output holds.
    pub accumulate: bool,
}
