//! The gradient of the weights: at each point the products of both sides' points, summed up over tiles, then mapped back.
//!
//! It is cut into pieces of some channels and outputs and, where these are few, into chunks of the tiles, whose gradients are
//! added up in order: the same bits for any number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    SQUARE, TASKS, Winograd,
    filters::{FILTER, MapGradient},
    lanes::{self, LANES},
    planes::Strides,
    spread,
};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{
        core::multiply,
        operands::{Depth, Epilogue, Offsets, PaddedMatrix, Rows},
        pack::Matrix,
        scratch::with_scratch,
    },
};

/// Channels, and outputs, of a piece at most: its sums and points stay near the second-level cache.
const PIECE_CHANNELS: usize = 128;
const PIECE_OUTPUTS: usize = 64;

/// Blocks of tiles that a chunk has, if there are enough: its sums must be mapped back.
const CHUNK_BLOCKS: usize = 4;

/// Chunks for few blocks.
const LEAST_CHUNKS: usize = 4;

/// How the work is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    channels: usize,
    outputs: usize,
    chunks: usize,
}

/// A piece of the weights of a group.
struct Piece {
    group: usize,
    channels: Range<usize>,
    outputs: Range<usize>,
}

impl Cut {
    fn new(winograd: &Winograd) -> Self {
        let even = |count: usize, most: usize| count.div_ceil(count.div_ceil(most)).next_multiple_of(LANES).min(count);
        let channels = even(winograd.channels, PIECE_CHANNELS);
        let outputs = even(winograd.outputs, PIECE_OUTPUTS);
        let pieces = winograd.groups * winograd.channels.div_ceil(channels) * winograd.outputs.div_ceil(outputs);
        let blocks = winograd.tiles.blocks();
        let chunks = TASKS.div_ceil(pieces).min((blocks / CHUNK_BLOCKS).max(blocks.min(LEAST_CHUNKS)));
        Cut { channels, outputs, chunks }
    }

    fn pieces(&self, winograd: &Winograd) -> usize {
        winograd.groups * winograd.channels.div_ceil(self.channels) * winograd.outputs.div_ceil(self.outputs)
    }

    fn piece(&self, winograd: &Winograd, number: usize) -> Piece {
        let (across, down) = (winograd.channels.div_ceil(self.channels), winograd.outputs.div_ceil(self.outputs));
        let channel = number % across * self.channels;
        let output = number / across % down * self.outputs;
        Piece {
            group: number / across / down,
            channels: channel..winograd.channels.min(channel + self.channels),
            outputs: output..winograd.outputs.min(output + self.outputs),
        }
    }
}

impl Winograd {
    /// Adds the gradient of the weights.
    pub fn backward_weights(&mut self, bottom: &[f32], top_diff: &[f32], weights_diff: &mut [f32]) {
        if self.tiles.blocks() == 0 {
            return;
        }
        let cut = Cut::new(self);
        let (pieces, chunks) = (cut.pieces(self), cut.chunks);
        let mut partial = std::mem::take(&mut self.partial);
        let work = Work { winograd: self, bottom, top_diff };
        if chunks == 1 {
            let diff = Disjoint::new(weights_diff);
            let blocks = 0..self.tiles.blocks();
            (0..pieces).into_par_iter().for_each(|piece| {
                work.sum(&cut.piece(self, piece), blocks.clone(), |place, filters| {
                    // SAFETY: the filters of the piece are this task's own.
                    let diff = unsafe { diff.range(place..place + filters.len()) };
                    diff.iter_mut().zip(filters).for_each(|(diff, value)| *diff += value);
                });
            });
        } else {
            let weights = weights_diff.len();
            let all = partial.take(chunks * weights);
            let sums = Disjoint::new(all);
            (0..pieces * chunks).into_par_iter().for_each(|task| {
                let (piece, chunk, blocks) = (task / chunks, task % chunks, self.tiles.blocks());
                let blocks = blocks * chunk / chunks..blocks * (chunk + 1) / chunks;
                work.sum(&cut.piece(self, piece), blocks, |place, filters| {
                    let place = chunk * weights + place;
                    // SAFETY: the filters of the piece in this chunk are this task's own.
                    unsafe { sums.range(place..place + filters.len()) }.copy_from_slice(filters);
                });
            });
            const PART: usize = 1024;
            weights_diff.par_chunks_mut(PART).enumerate().for_each(|(part, diff)| {
                for sums in all.chunks_exact(weights) {
                    diff.iter_mut().zip(&sums[part * PART..]).for_each(|(diff, value)| *diff += value);
                }
            });
        }
        self.partial = partial;
    }
}

/// One call's operands.
struct Work<'a> {
    winograd: &'a Winograd,
    bottom: &'a [f32],
    top_diff: &'a [f32],
}

impl Work<'_> {
    /// Sums up some blocks for one piece, and gives `write` the gradients of neighbouring filters with their place.
    fn sum(&self, piece: &Piece, blocks: Range<usize>, write: impl Fn(usize, &[f32])) {
        let Winograd { kernel, groups, channels, outputs, plane, ref tiles, .. } = *self.winograd;
        let distance = tiles.distance();
        let (sources, results) = (piece.channels.len(), piece.outputs.len());
        let width = sources.next_multiple_of(LANES);
        // Point × output × channel; point × channel × tile; point × output × tile.
        let (area, of_source, of_result) =
            (spread(results * width), spread(sources * distance), spread(results * distance));
        with_scratch(|scratch| {
            let size = SQUARE * (area + of_source + of_result) + tiles.space();
            let (sums, memory) = scratch.take(size).split_at_mut(SQUARE * area);
            let (points, memory) = memory.split_at_mut(SQUARE * of_source);
            let (gradients, memory) = memory.split_at_mut(SQUARE * of_result);
            let mut space = tiles.divide(memory);
            for (number, block) in blocks.enumerate() {
                let block = tiles.block(block);
                let first = block.images.start * groups + piece.group;
                let strides = Strides { point: of_source, vector: LANES };
                for (number, index) in piece.channels.clone().enumerate() {
                    let planes = &self.bottom[(first * channels + index) * plane..];
                    let points = (&mut points[number * distance..], strides);
                    tiles.map_source(&self.winograd.bottom_rows, &block, planes, &mut space, points);
                }
                let strides = Strides { point: of_result, vector: LANES };
                for (number, index) in piece.outputs.clone().enumerate() {
                    let planes = &self.top_diff[(first * outputs + index) * plane..];
                    let points = (&mut gradients[number * distance..], strides);
                    tiles.map_result_gradient(&self.winograd.top_rows, &block, planes, &mut space, points);
                }
                for (point, sums) in sums.chunks_exact_mut(area).enumerate() {
                    let rows = Rows {
                        values: &gradients[point * of_result..],
                        offsets: Offsets::Even { count: results, stride: distance },
                        step: 1,
                        depth: Depth::Straight(block.tiles),
                    };
                    let columns = Matrix {
                        values: &points[point * of_source..],
                        depth_stride: 1,
                        column_stride: distance,
                        columns: sources,
                    };
                    let epilogue = Epilogue { bias: None, accumulate: number > 0 };
                    multiply(kernel, &rows, &columns, &PaddedMatrix::new(sums, width), epilogue);
                }
            }
            for (row, output) in piece.outputs.clone().enumerate() {
                for channel in piece.channels.clone().step_by(LANES) {
                    let place = row * width + channel - piece.channels.start;
                    let mut taps = [[0.0; LANES]; FILTER];
                    lanes::run(kernel, MapGradient { points: &sums[place..], distance: area, taps: &mut taps });
                    let mut filters = [0.0; LANES * FILTER];
                    for (lane, filter) in filters.chunks_exact_mut(FILTER).enumerate() {
                        filter.iter_mut().zip(&taps).for_each(|(value, tap)| *value = tap[lane]);
                    }
                    let count = LANES.min(piece.channels.end - channel);
                    write(((piece.group * outputs + output) * channels + channel) * FILTER, &filters[..count * FILTER]);
                }
            }
        });
    }
}
