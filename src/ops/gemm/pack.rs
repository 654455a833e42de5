//! Packers of matrices: plain, transposed, packed before.

use std::ops::Range;

use super::{core::Columns, kernel::Kernel};

/// A matrix as the column operand: step `p` of the reduction, column `j` is `values[p · depth_stride + j · column_stride]`.
pub(crate) struct Matrix<'a> {
    pub values: &'a [f32],
    pub depth_stride: usize,
    pub column_stride: usize,
    pub columns: usize,
}

impl Columns for Matrix<'_> {
    fn count(&self) -> usize {
        self.columns
    }

    fn panel<'s>(
        &'s self,
        _kernel: &Kernel,
        depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> &'s [f32] {
        if self.column_stride == 1 {
            for (row, step) in space.chunks_exact_mut(width).zip(depth) {
                let start = step * self.depth_stride + columns.start;
                row[..columns.len()].copy_from_slice(&self.values[start..start + columns.len()]);
                row[columns.len()..].fill(0.0);
            }
        } else {
            self.gather(depth, columns, width, space);
        }
        space
    }
}

impl Matrix<'_> {
    fn gather(&self, depth: Range<usize>, columns: Range<usize>, width: usize, space: &mut [f32]) {
        // In squares, so that a cache line of either side is used up before it is lost.
        const SIDE: usize = 16;
        for first in depth.clone().step_by(SIDE) {
            let last = depth.end.min(first + SIDE);
            for (lane, column) in columns.clone().enumerate() {
                for step in first..last {
                    space[(step - depth.start) * width + lane] =
                        self.values[step * self.depth_stride + column * self.column_stride];
                }
            }
            for row in space[(first - depth.start) * width..(last - depth.start) * width].chunks_exact_mut(width) {
                row[columns.len()..].fill(0.0);
            }
        }
    }
}

/// A matrix packed as a whole, panel after panel, for several threads to use.
pub(crate) struct Packed<'a> {
    values: &'a [f32],
    depth: usize,
    columns: usize,
}

impl<'a> Packed<'a> {
    /// The number of values that a packed matrix needs.
    pub fn size(kernel: &Kernel, depth: usize, columns: usize) -> usize {
        depth * kernel.padded(columns)
    }

    /// Packs the matrix into `space`, of [`Packed::size`] values.
    pub fn new(kernel: &Kernel, matrix: &Matrix<'_>, depth: usize, space: &'a mut [f32]) -> Self {
        let mut start = 0;
        while start < matrix.columns {
            let width = kernel.vectors(matrix.columns - start) * kernel.lanes;
            let end = matrix.columns.min(start + width);
            let panel = &mut space[start * depth..(start + width) * depth];
            matrix.panel(kernel, 0..depth, start..end, width, panel);
            start = end;
        }
        Packed { values: space, depth, columns: matrix.columns }
    }
}

impl Columns for Packed<'_> {
    fn count(&self) -> usize {
        self.columns
    }

    fn panel<'s>(
        &'s self,
        _kernel: &Kernel,
        depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        _space: &'s mut [f32],
    ) -> &'s [f32] {
        let start = columns.start * self.depth;
        &self.values[start + depth.start * width..start + depth.end * width]
    }
}
