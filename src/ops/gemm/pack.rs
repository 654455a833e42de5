//! Packers of matrices: plain, transposed, packed before.

use std::ops::Range;

use super::{
    core::panels,
    gather::{Gather, Segment, Transpose},
    kernel::Kernel,
    operands::{Columns, Panel},
};

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
        kernel: &Kernel,
        depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> Panel<'s> {
        if self.column_stride == 1 {
            self.copy(kernel, depth, columns, width, space);
        } else {
            self.transpose(kernel, depth, columns, width, space);
        }
        Panel::Packed(space)
    }
}

impl Matrix<'_> {
    fn copy(&self, kernel: &Kernel, depth: Range<usize>, columns: Range<usize>, width: usize, space: &mut [f32]) {
        const STEPS: usize = 32;
        let segments = [Segment { lane: 0, source: 0, len: columns.len() }];
        let offsets: [u32; STEPS] = std::array::from_fn(|step| (step * self.depth_stride) as u32);
        // Offsets that wrapped around would be of a matrix of 2^27 columns.
        let steps = if self.depth_stride > u32::MAX as usize / STEPS { 1 } else { STEPS };
        assert!(space.len() >= depth.len() * width && columns.len() <= width, "a panel outside its memory");
        for (first, space) in depth.clone().step_by(steps).zip(space.chunks_mut(steps * width)) {
            let count = steps.min(depth.end - first);
            let source = &self.values[first * self.depth_stride + columns.start..];
            assert!((count - 1) * self.depth_stride + columns.len() <= source.len(), "outside the matrix");
            let gather = Gather {
                source: source.as_ptr(),
                offsets: &offsets[..count],
                segments: &segments,
                vectors: width / kernel.lanes,
                packed: space.as_mut_ptr(),
            };
            // SAFETY: places and room were just checked.
            unsafe { (kernel.gather)(&gather) };
        }
    }

    fn transpose(&self, kernel: &Kernel, depth: Range<usize>, columns: Range<usize>, width: usize, space: &mut [f32]) {
        assert_eq!(self.depth_stride, 1, "a matrix is contiguous one way or the other");
        assert!(space.len() >= depth.len() * width && columns.len() <= width, "a panel outside its memory");
        for lane in (0..columns.len()).step_by(kernel.lanes) {
            let start = (columns.start + lane) * self.column_stride + depth.start;
            let lanes = kernel.lanes.min(columns.len() - lane);
            assert!(start + (lanes - 1) * self.column_stride + depth.len() <= self.values.len(), "outside the matrix");
            let transpose = Transpose {
                source: self.values[start..].as_ptr(),
                stride: self.column_stride,
                lanes,
                len: depth.len(),
                packed: space[lane..].as_mut_ptr(),
                width,
            };
            // SAFETY: rows and room were just checked; `width` is a multiple of the lanes.
            unsafe { (kernel.transpose)(&transpose) };
        }
    }
}

/// A matrix packed as a whole, panel after panel, for several threads to use.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    /// The packed values, of [`Packed::size`].
    pub values: &'a [f32],
    pub depth: usize,
    pub columns: usize,
}

impl Packed<'_> {
    /// The number of values that a packed matrix needs.
    pub fn size(kernel: &Kernel, depth: usize, columns: usize) -> usize {
        depth * kernel.padded(columns)
    }

    /// Packs a matrix into `space`.
    pub fn fill(kernel: &Kernel, matrix: &Matrix<'_>, depth: usize, space: &mut [f32]) {
        for (span, width) in panels(kernel, 0..matrix.columns) {
            let panel = &mut space[span.start * depth..][..width * depth];
            matrix.panel(kernel, 0..depth, span, width, panel);
        }
    }
}

impl Columns for Packed<'_> {
    const PACKED: bool = true;

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
    ) -> Panel<'s> {
        let start = columns.start * self.depth;
        Panel::Packed(&self.values[start + depth.start * width..start + depth.end * width])
    }
}
