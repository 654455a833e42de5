//! The sums of a bundle's tasks.

use std::ops::Range;

use super::{super::correlate::Correlation, Bundle, POSITIONS};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{
        kernel::{Mode, Tile},
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
            let class = |position: usize| &self.bundle.classes[self.bundle.positions[position].0];
            let most = positions.clone().map(|position| class(position).stretches.len()).max().unwrap_or(0);
            // Neighbours read much the same: one stretch of all positions after the other.
            for stretch in 0..most {
                for position in positions.clone().filter(|&position| stretch < class(position).stretches.len()) {
                    let sums = &mut sums[(position - positions.start) * width..];
                    self.sum(Sum { group, image: images.start, width, position, stretch }, sums, pitch);
                }
            }
            for (channel, sums) in sums.chunks_exact(pitch).enumerate() {
                self.put(group * channels + channel, images.clone(), width, positions.clone(), sums);
            }
        });
    }

    /// Writes the sums of a position's first stretch, `pitch` apart for each channel, or adds those of another.
    fn sum(&self, sum: Sum, sums: &mut [f32], pitch: usize) {
        let Correlation { source_channels, result_channels, groups } = self.sizes;
        let (kernel, plane) = (self.bundle.kernel, self.bundle.source_plane * self.bundle.width);
        let (results, depth) = (result_channels / groups, self.weights.len() / result_channels);
        let (class, first) = self.bundle.positions[sum.position];
        let class = &self.bundle.classes[class];
        let stretch = class.stretches[sum.stretch].clone();
        let weights = &self.weights[sum.group * results * depth..(sum.group + 1) * results * depth];
        let source =
            &self.source[sum.group * (source_channels / groups) * plane + first * self.bundle.width + sum.image..];
        let is_inside = |(weight, place): (usize, usize)| weight < depth && place + sum.width <= source.len();
        assert!(class.farthest.is_none_or(is_inside), "a tap outside its memory");
        assert!((results - 1) * pitch + sum.width <= sums.len(), "sums outside their memory");
        let bias = self.bias.filter(|_| stretch.end == class.weights.len());
        let bias = bias.map(|bias| &bias[sum.group * results..(sum.group + 1) * results]);
        let step = kernel.tile_rows(results);
        for first in (0..results).step_by(step) {
            let rows = step.min(results - first);
            let row = |row: usize| weights[(first + row.min(rows - 1)) * depth..].as_ptr();
            let column = |vector: usize| source.as_ptr().wrapping_add(vector * kernel.lanes);
            let tile = Tile {
                rows: std::array::from_fn(row),
                len: stretch.len(),
                step: 1,
                positions: class.weights[stretch.clone()].as_ptr(),
                columns: std::array::from_fn(column),
                offsets: class.offsets[stretch.clone()].as_ptr(),
                output: sums[first * pitch..].as_mut_ptr(),
                output_stride: pitch,
                bias: bias.map_or(std::ptr::null(), |bias| bias[first..].as_ptr()),
                accumulate: stretch.start > 0,
            };
            // SAFETY: weights, source and sums were just checked, and there is a bias for each result.
            unsafe { kernel.run(Mode::ListedInPlace, rows, sum.width / kernel.lanes, &tile) };
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
                for (image, values) in (images.start + first..images.end).zip(turned.columns()) {
                    let start = (image * self.sizes.result_channels + channel) * plane + positions.start + position;
                    // SAFETY: these images, channels of the group and positions are this task's own.
                    let result = unsafe { self.result.range(start..start + count) };
                    match (result.first_chunk_mut::<POSITIONS>(), values.first_chunk::<POSITIONS>()) {
                        // Most have so many: one vector, no call.
                        (Some(result), Some(values)) if count == POSITIONS => *result = *values,
                        _ => result.copy_from_slice(values),
                    }
                }
            }
        }
    }
}

/// One stretch of one position, for a panel of images.
#[derive(Clone, Copy)]
struct Sum {
    group: usize,
    /// The first image.
    image: usize,
    width: usize,
    position: usize,
    stretch: usize,
}
