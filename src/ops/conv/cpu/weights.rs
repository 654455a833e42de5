//! The gradients of weights and bias.
//!
//! The weights' gradient is the product of the im2col matrix (a row per weight of a filter, read in place) with the top's
//! gradient (packed transposed, a column per output). The reduction over images is cut into a fixed number of chunks with
//! sums of their own, added up in order at the end: the same bits for any number of threads.

use std::{cell::Cell, ops::Range};

use rayon::prelude::*;

use super::{
    super::geometry::Geometry,
    correlate::arranged,
    plan::{Piece, Plan},
};
use crate::ops::gemm::{
    core::{Columns, Depth, Epilogue, Offsets, Output, Place, Rows, multiply},
    kernel::{Kernel, Run},
    scratch::with_scratch,
};

/// The most chunks the reduction is cut into.
const CHUNKS: usize = 16;

/// Rows (weights of a filter) that a task works on.
const BLOCK_ROWS: usize = 1024;

/// Sums of the weights' gradient before they are added to the parameter's.
#[derive(Debug)]
pub(super) struct WeightGradient {
    kernel: &'static Kernel,
    /// Chunk × group × weight of a filter × output of the group, padded.
    sums: Vec<f32>,
    chunks: usize,
    /// Outputs of a group, padded to whole vectors.
    width: usize,
    /// Channels of a group that a task works on.
    block: usize,
    /// Where each weight of a filter reads, for the channels of one block.
    offsets: Vec<usize>,
}

/// Sums that tasks write at places of their own.
struct Shared(*mut f32);

// SAFETY: every task writes the rows of its own chunk, group and block.
unsafe impl Sync for Shared {}

thread_local! {
    static LISTS: Cell<(Vec<Piece>, Vec<Run>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

impl WeightGradient {
    pub fn new(kernel: &'static Kernel, geometry: &Geometry, plan: &Plan) -> Self {
        let (channels, taps) = (geometry.channels / geometry.groups, geometry.taps());
        let blocks = (channels * taps).div_ceil(BLOCK_ROWS).clamp(1, channels);
        let block = channels.div_ceil(blocks);
        let pieces = geometry.groups * channels.div_ceil(block);
        let chunks = (2 * CHUNKS / pieces).clamp(1, CHUNKS).min(plan.tasks()).max(1);
        let offsets = (0..block)
            .flat_map(|channel| plan.phases[0].taps.iter().map(move |tap| channel * plan.layout.plane + tap))
            .collect();
        let width = kernel.padded(geometry.outputs / geometry.groups);
        WeightGradient { kernel, sums: Vec::new(), chunks, width, block, offsets }
    }

    /// Computes the sums of all chunks.
    pub fn compute(&mut self, plan: &Plan, geometry: &Geometry, bottom: &[f32], top_diff: &[f32]) {
        let rows = geometry.groups * geometry.fan_in();
        self.sums.resize(self.chunks * rows * self.width, 0.0);
        let blocks = (geometry.channels / geometry.groups).div_ceil(self.block);
        let sums = Shared(self.sums.as_mut_ptr());
        let work = Work { gradient: self, plan, geometry, bottom, top_diff, sums: &sums };
        (0..self.chunks * geometry.groups * blocks).into_par_iter().for_each(|number| {
            let (chunk, piece) = (number % self.chunks, number / self.chunks);
            work.task(chunk, piece / blocks, piece % blocks);
        });
    }

    /// Adds the chunks' sums to the gradient.
    pub fn add_to(&self, geometry: &Geometry, weights_diff: &mut [f32]) {
        let (fan_in, outputs) = (geometry.fan_in(), geometry.outputs / geometry.groups);
        let chunk = geometry.groups * fan_in * self.width;
        weights_diff.par_chunks_exact_mut(fan_in).enumerate().for_each(|(output, diff)| {
            let (group, lane) = (output / outputs, output % outputs);
            for (row, diff) in diff.iter_mut().enumerate() {
                let place = (group * fan_in + row) * self.width + lane;
                let sum = (0..self.chunks).map(|number| self.sums[number * chunk + place]).reduce(|a, b| a + b);
                *diff += sum.unwrap_or(0.0);
            }
        });
    }
}

struct Work<'a> {
    gradient: &'a WeightGradient,
    plan: &'a Plan,
    geometry: &'a Geometry,
    bottom: &'a [f32],
    top_diff: &'a [f32],
    sums: &'a Shared,
}

impl Work<'_> {
    /// The sums of one chunk of the images, for some channels of one group.
    fn task(&self, chunk: usize, group: usize, block: usize) {
        let geometry = self.geometry;
        let channels = geometry.channels / geometry.groups;
        let outputs = geometry.outputs / geometry.groups;
        let first = block * self.gradient.block;
        let count = self.gradient.block.min(channels - first);
        let rows = count * geometry.taps();
        let place = (chunk * geometry.groups + group) * geometry.fan_in() + first * geometry.taps();
        let sums = Sums { sums: self.sums, first: place * self.gradient.width, stride: self.gradient.width };
        let output_plane = geometry.output_plane();
        let tasks = self.plan.tasks();
        let (mut pieces, mut runs) = LISTS.take();
        for number in tasks * chunk / self.gradient.chunks..tasks * (chunk + 1) / self.gradient.chunks {
            let task = self.plan.task(number);
            with_scratch(|scratch| {
                let channel = group * channels + first;
                let (source, image) =
                    arranged(self.plan, &task, self.bottom, geometry.channels, channel..channel + count, |len| {
                        scratch.take(len)
                    });
                let result_image = geometry.outputs * output_plane;
                self.plan.pieces(&self.plan.phases[0], &task, image, result_image, &mut pieces);
                runs.clear();
                runs.extend(pieces.iter().map(|piece| Run { start: piece.source, len: piece.len }));
                let rows = Rows {
                    values: source,
                    offsets: Offsets::Listed(&self.gradient.offsets[..rows]),
                    step: 1,
                    depth: Depth::Runs(&runs),
                };
                let top = (task.images.start * geometry.outputs + group * outputs) * output_plane;
                let columns = Transposed {
                    values: &self.top_diff[top..],
                    plane: output_plane,
                    columns: outputs,
                    pieces: &pieces,
                };
                let accumulate = number > tasks * chunk / self.gradient.chunks;
                multiply(self.gradient.kernel, &rows, &columns, &sums, Epilogue { bias: None, accumulate });
            });
        }
        LISTS.set((pieces, runs));
    }
}

/// The top's gradient as the column operand: a step of the reduction per position, a column per output.
struct Transposed<'a> {
    values: &'a [f32],
    plane: usize,
    columns: usize,
    pieces: &'a [Piece],
}

impl Columns for Transposed<'_> {
    fn count(&self) -> usize {
        self.columns
    }

    fn panel<'s>(
        &'s self,
        _kernel: &Kernel,
        _depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> &'s [f32] {
        for piece in self.pieces {
            let space = &mut space[piece.start * width..(piece.start + piece.len) * width];
            for (lane, column) in columns.clone().enumerate() {
                let values = &self.values[column * self.plane + piece.result..][..piece.len];
                for (row, value) in space.chunks_exact_mut(width).zip(values) {
                    row[lane] = *value;
                }
            }
            for row in space.chunks_exact_mut(width) {
                row[columns.len()..].fill(0.0);
            }
        }
        space
    }
}

/// The sums of a task, padded to whole vectors: every tile goes straight into place.
struct Sums<'a> {
    sums: &'a Shared,
    first: usize,
    stride: usize,
}

impl Output for Sums<'_> {
    fn place(&self, rows: Range<usize>, columns: Range<usize>, _width: usize) -> Option<Place> {
        let offset = self.first + rows.start * self.stride + columns.start;
        // SAFETY: the sums hold every row of every chunk, group and block, each `stride` values long.
        let address = unsafe { self.sums.0.add(offset) };
        Some(Place { address, stride: self.stride })
    }

    fn store(&self, _: Range<usize>, _: Range<usize>, _: &[f32], _: usize, _: bool) {
        unreachable!("every tile has a place")
    }
}

/// Adds the gradient of the bias: the sum of each output over positions and images, image by image as Caffe adds it.
pub(super) fn bias_gradient(geometry: &Geometry, top_diff: &[f32], bias_diff: &mut [f32]) {
    let plane = geometry.output_plane();
    let image = geometry.outputs * plane;
    if image == 0 {
        return;
    }
    bias_diff.par_iter_mut().enumerate().for_each(|(output, diff)| {
        for values in top_diff.chunks_exact(image) {
            *diff += sum(&values[output * plane..(output + 1) * plane]);
        }
    });
}

/// The sum in sixteen lanes, which are added at the end.
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest
}
