//! The sums of a bundle's tasks.

use std::ops::Range;

use super::{super::correlate::Correlation, Bundle};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{
        core::multiply,
        kernel::{Kernel, MAX_VECTORS},
        operands::{Columns, Depth, Epilogue, Offsets, PaddedMatrix, Panel, Rows, furthest},
        scratch::with_scratch,
    },
};

/// One direction's operands.
pub(super) struct Work<'a> {
    pub bundle: &'a Bundle,
    pub sizes: Correlation,
    pub source: &'a [f32],
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub result: &'a Disjoint<'a>,
}

impl Work<'_> {
    /// Some positions of the result's channels of a group, for a panel of images.
    pub fn task(&self, group: usize, images: Range<usize>, width: usize, positions: Range<usize>) {
        let channels = self.sizes.result_channels / self.sizes.groups;
        let pitch = positions.len() * width;
        with_scratch(|scratch| {
            // Channel × position × image.
            let sums = scratch.take(channels * pitch);
            for position in positions.clone() {
                let matrix = PaddedMatrix::new(&mut sums[(position - positions.start) * width..], pitch);
                self.position(group, images.start, width, position, &matrix);
            }
            for (channel, sums) in sums.chunks_exact(pitch).enumerate() {
                self.put(group * channels + channel, images.clone(), width, positions.clone(), sums);
            }
        });
    }

    /// The sums of one position.
    fn position(&self, group: usize, image: usize, width: usize, position: usize, sums: &PaddedMatrix<'_>) {
        let Correlation { source_channels, result_channels, groups } = self.sizes;
        let (results, plane) = (result_channels / groups, self.bundle.source_plane * self.bundle.width);
        let depth = self.weights.len() / result_channels;
        let (class, first) = self.bundle.positions[position];
        let class = &self.bundle.classes[class];
        let source = &self.source[group * (source_channels / groups) * plane..];
        let start = first * self.bundle.width + image;
        for stretch in &class.stretches {
            let rows = Rows {
                values: &self.weights[group * results * depth..(group + 1) * results * depth],
                offsets: Offsets::Even { count: results, stride: depth },
                step: 1,
                depth: Depth::Listed(&class.weights[stretch.clone()]),
            };
            let columns = Side {
                source,
                start,
                width,
                lanes: self.bundle.kernel.lanes,
                offsets: &class.offsets[stretch.clone()],
            };
            let is_last = stretch.end == class.weights.len();
            let bias = self.bias.filter(|_| is_last).map(|bias| &bias[group * results..(group + 1) * results]);
            multiply(self.bundle.kernel, &rows, &columns, sums, Epilogue { bias, accumulate: stretch.start > 0 });
        }
    }

    /// Writes the sums of one channel, position × image, to the images.
    fn put(&self, channel: usize, images: Range<usize>, width: usize, positions: Range<usize>, sums: &[f32]) {
        let (kernel, plane) = (self.bundle.kernel, self.bundle.positions.len());
        let lanes = kernel.lanes;
        for first in (0..images.len()).step_by(lanes) {
            for position in (0..positions.len()).step_by(lanes) {
                let count = lanes.min(positions.len() - position);
                let turned = kernel.turned(&sums[position * width + first..], width, count);
                for (image, values) in (images.start + first..images.end).zip(turned.chunks_exact(lanes)) {
                    let start = (image * self.sizes.result_channels + channel) * plane + positions.start + position;
                    // SAFETY: these images, channels of the group and positions are this task's own.
                    let result = unsafe { self.result.range(start..start + count) };
                    result.copy_from_slice(&values[..count]);
                }
            }
        }
    }
}

/// Images side by side as columns, for some steps of the reduction.
struct Side<'a> {
    source: &'a [f32],
    start: usize,
    width: usize,
    lanes: usize,
    offsets: &'a [u32],
}

impl Columns for Side<'_> {
    fn count(&self) -> usize {
        self.width
    }

    fn in_place(&self, _: &Kernel, columns: Range<usize>, width: usize) -> Option<Panel<'_>> {
        assert!(columns == (0..self.width) && width == self.width, "one panel");
        let furthest = furthest(self.offsets).map_or(0, |offset| offset + width);
        assert!(self.start + furthest <= self.source.len(), "a panel outside its source");
        let mut vectors = [self.start; MAX_VECTORS];
        vectors
            .iter_mut()
            .take(width / self.lanes)
            .enumerate()
            .for_each(|(vector, place)| *place += vector * self.lanes);
        Some(Panel::InPlace { source: self.source, vectors, offsets: self.offsets })
    }

    fn panel<'s>(&'s self, _: &Kernel, _: Range<usize>, _: Range<usize>, _: usize, _: &'s mut [f32]) -> Panel<'s> {
        unreachable!("read in place")
    }
}
