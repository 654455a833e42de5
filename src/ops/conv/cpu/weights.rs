//! The gradients of weights and bias.
//!
//! The weights' gradient is the product of the im2col matrix (a row per weight of a filter, read in place) with the top's
//! gradient (packed transposed, a column per output). It is cut into blocks of weights; where that makes few pieces, the
//! reduction over images is cut into a fixed number of chunks with sums of their own, added up in order at the end. Both
//! depend on the sizes alone: the same bits for any number of threads.

use std::{cell::Cell, ops::Range};

use rayon::prelude::*;

use super::{
    super::geometry::Geometry,
    arrange::arranged,
    plan::{Piece, Plan, Task},
};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{
        core::multiply,
        gather::Transpose,
        kernel::{Kernel, MAX_LANES},
        operands::{Columns, Depth, Epilogue, Offsets, PaddedMatrix, Panel, Rows},
        scratch::{Scratch, with_scratch},
    },
};

/// Pieces of work there should be, for any machine's cores.
const PIECES: usize = 32;

/// Rows (weights of a filter) that a block has at most, unless one channel has more.
const BLOCK_ROWS: usize = 256;

/// Positions that a chunk has at least: its sums must be written and read.
const CHUNK_DEPTH: usize = 512;

/// How the weights' gradient is cut, and memory for its sums.
#[derive(Debug)]
pub(super) struct WeightGradient {
    kernel: &'static Kernel,
    /// Channels of a block.
    channels: usize,
    /// Blocks of a group.
    blocks: usize,
    /// Chunks of the reduction.
    chunks: usize,
    /// Outputs of a group, padded to whole vectors.
    width: usize,
    /// Group × block × chunk × weight of a filter × output: the sums of several chunks.
    sums: Scratch,
}

thread_local! {
    static LISTS: Cell<(Vec<Piece>, Vec<u32>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

impl WeightGradient {
    pub fn new(kernel: &'static Kernel, geometry: &Geometry, plan: &Plan) -> Self {
        let (channels, taps) = (geometry.channels / geometry.groups, geometry.taps());
        let blocks = (channels * taps).div_ceil(BLOCK_ROWS).clamp(1, channels);
        let block = channels.div_ceil(blocks);
        let blocks = channels.div_ceil(block);
        let depth = geometry.images * geometry.output_plane();
        let chunks = (PIECES / (geometry.groups * blocks)).min(depth / CHUNK_DEPTH).min(plan.units()).max(1);
        let width = kernel.padded(geometry.outputs / geometry.groups);
        WeightGradient { kernel, channels: block, blocks, chunks, width, sums: Scratch::default() }
    }

    /// Adds the gradient of the weights.
    pub fn add(
        &mut self,
        plan: &Plan,
        geometry: &Geometry,
        bottom: &[f32],
        top_diff: &[f32],
        weights_diff: &mut [f32],
    ) {
        if plan.units() == 0 {
            return;
        }
        let area = self.channels * geometry.taps() * self.width;
        let (pieces, chunks) = (geometry.groups * self.blocks, self.chunks);
        let mut sums = std::mem::take(&mut self.sums);
        let diff = Disjoint::new(weights_diff);
        let work = Work { cut: self, plan, geometry, bottom, top_diff };
        if chunks == 1 {
            (0..pieces).into_par_iter().for_each(|piece| {
                with_scratch(|scratch| {
                    let sums = scratch.take(area);
                    work.sum(piece, 0, sums);
                    work.add(piece, sums, &diff);
                });
            });
        } else {
            let sums = sums.take(pieces * chunks * area);
            sums.par_chunks_mut(area).enumerate().for_each(|(number, sums)| {
                work.sum(number / chunks, number % chunks, sums);
            });
            sums.par_chunks(chunks * area).enumerate().for_each(|(piece, sums)| work.add(piece, sums, &diff));
        }
        self.sums = sums;
    }
}

/// One call's operands.
struct Work<'a> {
    cut: &'a WeightGradient,
    plan: &'a Plan,
    geometry: &'a Geometry,
    bottom: &'a [f32],
    top_diff: &'a [f32],
}

/// A block of weights: some channels of a group.
struct Block {
    group: usize,
    /// The channels, counted in the group.
    channels: Range<usize>,
}

impl Work<'_> {
    fn block(&self, piece: usize) -> Block {
        let (group, block) = (piece / self.cut.blocks, piece % self.cut.blocks);
        let channels = self.geometry.channels / self.geometry.groups;
        let first = block * self.cut.channels;
        Block { group, channels: first..channels.min(first + self.cut.channels) }
    }

    /// Sums up one chunk of the images for one block, into a row per weight.
    fn sum(&self, piece: usize, chunk: usize, sums: &mut [f32]) {
        let block = self.block(piece);
        let (units, chunks) = (self.plan.units(), self.cut.chunks);
        let sums = PaddedMatrix::new(sums, self.cut.width);
        let (mut pieces, mut positions) = LISTS.take();
        let tasks = self.plan.tasks_of(units * chunk / chunks..units * (chunk + 1) / chunks);
        for (number, task) in tasks.enumerate() {
            self.sum_task(&block, &task, number > 0, &sums, (&mut pieces, &mut positions));
        }
        LISTS.set((pieces, positions));
    }

    fn sum_task(
        &self,
        block: &Block,
        task: &Task,
        accumulate: bool,
        sums: &PaddedMatrix<'_>,
        (pieces, positions): (&mut Vec<Piece>, &mut Vec<u32>),
    ) {
        let Geometry { outputs, channels, groups, .. } = *self.geometry;
        let (plane, phase) = (self.geometry.output_plane(), &self.plan.phases[0]);
        let first = block.group * (channels / groups);
        let of_all = first + block.channels.start..first + block.channels.end;
        with_scratch(|scratch| {
            let kernel = self.cut.kernel;
            let (source, image) = arranged(kernel, self.plan, task, self.bottom, channels, of_all, scratch);
            self.plan.pieces(phase, task, image, outputs * plane, pieces);
            positions.clear();
            for piece in &*pieces {
                positions.extend((piece.source..piece.source + piece.len).map(|position| position as u32));
            }
            let rows = Rows {
                values: source,
                offsets: Offsets::Listed(&phase.offsets[..block.channels.len() * phase.taps.len()]),
                step: 1,
                depth: Depth::Listed(positions),
            };
            let top = (task.images.start * outputs + block.group * (outputs / groups)) * plane;
            let columns = Transposed { values: &self.top_diff[top..], plane, columns: outputs / groups, pieces };
            multiply(kernel, &rows, &columns, sums, Epilogue { bias: None, accumulate });
        });
    }

    /// Adds the sums of all chunks of a block to the gradient, in squares that are turned on the way.
    fn add(&self, piece: usize, sums: &[f32], diff: &Disjoint<'_>) {
        let block = self.block(piece);
        let (outputs, taps) = (self.geometry.outputs / self.geometry.groups, self.geometry.taps());
        let fan_in = self.geometry.fan_in();
        let rows = block.channels.len() * taps;
        let first = block.group * outputs * fan_in + block.channels.start * taps;
        for lane in (0..outputs).step_by(MAX_LANES) {
            for row in (0..rows).step_by(MAX_LANES) {
                let square = self.square(sums, row..rows.min(row + MAX_LANES), lane);
                for output in lane..outputs.min(lane + MAX_LANES) {
                    let place = first + output * fan_in + row;
                    let count = MAX_LANES.min(rows - row);
                    // SAFETY: the weights of the block's channels are this piece's own.
                    let diff = unsafe { diff.range(place..place + count) };
                    diff.iter_mut().zip(&square).for_each(|(diff, row)| *diff += row[output - lane]);
                }
            }
        }
    }

    /// The sums of some rows for the outputs from `lane` on, added over the chunks.
    fn square(&self, sums: &[f32], rows: Range<usize>, lane: usize) -> [[f32; MAX_LANES]; MAX_LANES] {
        let width = self.cut.width;
        let lanes = MAX_LANES.min(width - lane);
        let mut square = [[0.0f32; MAX_LANES]; MAX_LANES];
        for chunk in sums.chunks_exact(sums.len() / self.cut.chunks) {
            for (values, row) in square.iter_mut().zip(rows.clone()) {
                let sums = &chunk[row * width + lane..][..lanes];
                values.iter_mut().zip(sums).for_each(|(value, sum)| *value += sum);
            }
        }
        square
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
