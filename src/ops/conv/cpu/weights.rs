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
    gather::Transpose,
    kernel::{Kernel, MAX_LANES, Run},
    scratch::with_scratch,
};

/// Pieces of work there should be, for any machine's cores.
const PIECES: usize = 32;

/// Rows (weights of a filter) that a piece has at most, unless one channel has more.
const BLOCK_ROWS: usize = 256;

/// Positions that a chunk has at least: its sums must be written and read.
const CHUNK_DEPTH: usize = 512;

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
        let depth = geometry.images * geometry.output_plane();
        let chunks = (PIECES / pieces).min(depth / CHUNK_DEPTH).min(plan.units()).max(1);
        let width = kernel.padded(geometry.outputs / geometry.groups);
        WeightGradient { kernel, sums: Vec::new(), chunks, width, block }
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
        weights_diff.par_chunks_mut(fan_in * outputs).enumerate().for_each(|(group, diff)| {
            diff.par_chunks_mut(fan_in * MAX_LANES).enumerate().for_each(|(block, diff)| {
                self.add_outputs(geometry, group * fan_in, block * MAX_LANES, diff);
            });
        });
    }

    /// Adds the sums of up to [`MAX_LANES`] outputs, from row `first` and output `lane` on.
    fn add_outputs(&self, geometry: &Geometry, first: usize, lane: usize, diff: &mut [f32]) {
        let fan_in = geometry.fan_in();
        let chunk = geometry.groups * fan_in * self.width;
        let lanes = diff.len() / fan_in;
        for start in (0..fan_in).step_by(MAX_LANES) {
            let count = MAX_LANES.min(fan_in - start);
            let mut square = [[0.0f32; MAX_LANES]; MAX_LANES];
            for number in 0..self.chunks {
                let place = number * chunk + (first + start) * self.width + lane;
                for (row, sums) in square[..count].iter_mut().zip(self.sums[place..].chunks(self.width)) {
                    for (value, sum) in row[..lanes].iter_mut().zip(sums) {
                        *value += sum;
                    }
                }
            }
            for (lane, diff) in diff.chunks_exact_mut(fan_in).enumerate() {
                for (diff, row) in diff[start..start + count].iter_mut().zip(&square) {
                    *diff += row[lane];
                }
            }
        }
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
        let (units, chunks) = (self.plan.units(), self.gradient.chunks);
        let phase = &self.plan.phases[0];
        let (mut pieces, mut runs) = LISTS.take();
        for (number, task) in self.plan.tasks_of(units * chunk / chunks..units * (chunk + 1) / chunks).enumerate() {
            with_scratch(|scratch| {
                let channel = group * channels + first;
                let (source, image) =
                    arranged(self.plan, &task, self.bottom, geometry.channels, channel..channel + count, |len| {
                        scratch.take(len)
                    });
                let result_image = geometry.outputs * output_plane;
                self.plan.pieces(phase, &task, image, result_image, &mut pieces);
                runs.clear();
                runs.extend(pieces.iter().map(|piece| Run { start: piece.source, len: piece.len }));
                let rows = Rows {
                    values: source,
                    offsets: Offsets::Listed(&phase.offsets[..rows]),
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
                let accumulate = number > 0;
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
        kernel: &Kernel,
        _depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> &'s [f32] {
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
