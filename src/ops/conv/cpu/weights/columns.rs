//! The packers of both sides of the product.

use std::ops::Range;

use super::super::plan::Piece;
use crate::ops::gemm::{
    gather::{Gather, Segment, Transpose},
    kernel::{Kernel, MAX_LANES, MAX_VECTORS},
    operands::{Columns, Panel, furthest},
};

/// The top's gradient as the column operand: a step of the reduction per position, a column per output.
pub(super) struct Outputs<'a> {
    pub values: &'a [f32],
    pub plane: usize,
    pub columns: usize,
    pub pieces: &'a [Piece],
}

impl Columns for Outputs<'_> {
    fn count(&self) -> usize {
        self.columns
    }

    fn panel<'s>(
        &'s self,
        kernel: &Kernel,
        _depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> Panel<'s> {
        let mut rest = self.pieces;
        while let Some((first, next)) = rest.split_first() {
            // Results often lie side by side where sources do not.
            let mut len = first.len;
            let followers = next.iter().take_while(|piece| {
                let follows = piece.result == first.result + len;
                len += if follows { piece.len } else { 0 };
                follows
            });
            rest = &next[followers.count()..];
            for lane in (0..columns.len()).step_by(kernel.lanes) {
                let start = (columns.start + lane) * self.plane + first.result;
                let lanes = kernel.lanes.min(columns.len() - lane);
                assert!(start + (lanes - 1) * self.plane + len <= self.values.len(), "a plane outside its memory");
                assert!((first.start + len) * width <= space.len(), "a panel outside its memory");
                let transpose = Transpose {
                    source: self.values[start..].as_ptr(),
                    stride: self.plane,
                    lanes,
                    len,
                    packed: space[first.start * width + lane..].as_mut_ptr(),
                    width,
                };
                // SAFETY: rows and room were just checked; `width` is a multiple of the lanes.
                unsafe { (kernel.transpose)(&transpose) };
            }
        }
        Panel::Packed(space)
    }
}

/// The im2col matrix as the column operand: a step of the reduction per position, a column per weight.
pub(super) struct Weights<'a> {
    pub source: &'a [f32],
    /// Where each weight reads for position 0.
    pub offsets: &'a [u32],
    pub positions: &'a [u32],
}

impl Columns for Weights<'_> {
    fn count(&self) -> usize {
        self.offsets.len()
    }

    fn panel<'s>(
        &'s self,
        kernel: &Kernel,
        depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> Panel<'s> {
        let (positions, offsets) = (&self.positions[depth], &self.offsets[columns]);
        let mut segments = [Segment::default(); MAX_LANES * MAX_VECTORS];
        let (mut count, mut lane) = (0, 0);
        for run in runs(offsets) {
            segments[count] = Segment { lane, source: run[0] as usize, len: run.len() };
            (count, lane) = (count + 1, lane + run.len());
        }
        let reach = furthest(positions).zip(furthest(offsets)).map_or(0, |(position, offset)| position + offset + 1);
        assert!(reach <= self.source.len(), "a panel outside its source");
        assert!(space.len() >= positions.len() * width, "a panel outside its memory");
        let gather = Gather {
            source: self.source.as_ptr(),
            offsets: positions,
            segments: &segments[..count],
            vectors: width / kernel.lanes,
            packed: space.as_mut_ptr(),
        };
        // SAFETY: all places and the room were just checked.
        unsafe { (kernel.gather)(&gather) };
        Panel::Packed(space)
    }
}

/// Neighbouring weights that read at neighbouring places.
pub(super) fn runs(offsets: &[u32]) -> impl Iterator<Item = &[u32]> {
    offsets.chunk_by(|offset, next| offset + 1 == *next)
}
