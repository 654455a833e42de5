//! The gradient of the weights: at each point the products of both sides' points, summed up over tiles, then mapped back.
//!
//! It is cut into pieces of some channels and outputs and, where these are few, into chunks of the tiles, whose gradients are
//! added up in order: the same bits for any number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    SQUARE, TASKS, Winograd,
    filters::{MOST_FILTER, MapGradient},
    lanes::{self, LANES},
    maps::Form,
    planes::{Space, Strides},
    spread,
    tiles::Block,
};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{
        core::multiply,
        operands::{Depth, Epilogue, Offsets, PaddedMatrix, Rows},
        pack::Matrix,
        scratch::{Scratch, with_scratch},
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
        let whole = Cut { channels, outputs, chunks: 1 };
        let blocks = winograd.forward.blocks();
        let most = (blocks / CHUNK_BLOCKS).max(blocks.min(LEAST_CHUNKS));
        Cut { chunks: TASKS.div_ceil(whole.pieces(winograd)).min(most), ..whole }
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
    pub fn backward_weights(&self, bottom: &[f32], top_diff: &[f32], weights_diff: &mut [f32]) {
        if self.forward.blocks() == 0 {
            return;
        }
        let (cut, work) = (Cut::new(self), Work { winograd: self, bottom, top_diff });
        if cut.chunks == 1 {
            let diff = Disjoint::new(weights_diff);
            (0..cut.pieces(self)).into_par_iter().for_each(|piece| {
                work.sum(&cut.piece(self, piece), 0..self.forward.blocks(), |place, filters| {
                    // SAFETY: the filters of the piece are this task's own.
                    let diff = unsafe { diff.range(place..place + filters.len()) };
                    diff.iter_mut().zip(filters).for_each(|(diff, value)| *diff += value);
                });
            });
        } else {
            with_scratch(|scratch| self.add_chunks(&cut, &work, scratch, weights_diff));
        }
    }

    /// Adds the gradients of all chunks, each summed up on its own.
    fn add_chunks(&self, cut: &Cut, work: &Work<'_>, scratch: &mut Scratch, weights_diff: &mut [f32]) {
        // Weights that are added at a time.
        const PART: usize = 1024;
        let (weights, chunks) = (weights_diff.len(), cut.chunks);
        let all = scratch.take(chunks * weights);
        let sums = Disjoint::new(all);
        (0..cut.pieces(self) * chunks).into_par_iter().for_each(|task| {
            let (piece, chunk, blocks) = (task / chunks, task % chunks, self.forward.blocks());
            let blocks = blocks * chunk / chunks..blocks * (chunk + 1) / chunks;
            work.sum(&cut.piece(self, piece), blocks, |place, filters| {
                let place = chunk * weights + place;
                // SAFETY: the filters of the piece in this chunk are this task's own.
                unsafe { sums.range(place..place + filters.len()) }.copy_from_slice(filters);
            });
        });
        weights_diff.par_chunks_mut(PART).enumerate().for_each(|(part, diff)| {
            for sums in all.chunks_exact(weights) {
                diff.iter_mut().zip(&sums[part * PART..]).for_each(|(diff, value)| *diff += value);
            }
        });
    }
}

/// One call's operands.
struct Work<'a> {
    winograd: &'a Winograd,
    bottom: &'a [f32],
    top_diff: &'a [f32],
}

/// Memory for a piece.
struct Memory<'a> {
    /// Point × output × channel, rows of whole vectors.
    sums: &'a mut [f32],
    /// Point × channel × tile.
    sources: &'a mut [f32],
    /// Point × output × tile.
    results: &'a mut [f32],
    space: Space<'a>,
}

impl Work<'_> {
    /// Sums up some blocks for one piece, and gives `write` the gradients of neighbouring filters with their place.
    fn sum(&self, piece: &Piece, blocks: Range<usize>, write: impl Fn(usize, &[f32])) {
        let tiles = &self.winograd.forward;
        let (channels, outputs) = (piece.channels.len(), piece.outputs.len());
        let sums = SQUARE * spread(outputs * channels.next_multiple_of(LANES));
        let sources = SQUARE * spread(channels * tiles.distance());
        let results = SQUARE * spread(outputs * tiles.distance());
        with_scratch(|scratch| {
            let (sums, memory) = scratch.take(sums + sources + results + tiles.space()).split_at_mut(sums);
            let (sources, memory) = memory.split_at_mut(sources);
            let (results, memory) = memory.split_at_mut(results);
            let mut memory = Memory { sums, sources, results, space: tiles.divide(memory) };
            for (number, block) in blocks.enumerate() {
                let block = tiles.block(block);
                self.map(piece, &block, &mut memory);
                self.multiply(piece, &block, &mut memory, number > 0);
            }
            self.map_back(piece, memory.sums, write);
        });
    }

    /// Maps both sides of a block to points.
    fn map(&self, piece: &Piece, block: &Block, memory: &mut Memory<'_>) {
        let Winograd { groups, channels, outputs, bottom_plane, top_plane, forward: ref tiles, .. } = *self.winograd;
        let Memory { sources, results, space, .. } = memory;
        let first = block.images.start * groups + piece.group;
        let strides = Strides { point: sources.len() / SQUARE, vector: LANES };
        for (number, channel) in piece.channels.clone().enumerate() {
            let planes = &self.bottom[(first * channels + channel) * bottom_plane..];
            let points = (&mut sources[number * tiles.distance()..], strides);
            tiles.map_source(&tiles.bottom, block, planes, space, points);
        }
        let strides = Strides { point: results.len() / SQUARE, vector: LANES };
        for (number, output) in piece.outputs.clone().enumerate() {
            let planes = &self.top_diff[(first * outputs + output) * top_plane..];
            let points = (&mut results[number * tiles.distance()..], strides);
            tiles.map_result_gradient(&tiles.top, block, planes, space, points);
        }
    }

    /// Adds the products of both sides to the sums, or writes them there.
    fn multiply(&self, piece: &Piece, block: &Block, memory: &mut Memory<'_>, accumulate: bool) {
        let (kernel, distance) = (self.winograd.kernel, self.winograd.forward.distance());
        let (channels, outputs) = (piece.channels.len(), piece.outputs.len());
        let each = |values: &[f32]| values.len() / SQUARE;
        let sources = memory.sources.chunks_exact(each(memory.sources));
        let results = memory.results.chunks_exact(each(memory.results));
        let sums = memory.sums.chunks_exact_mut(each(memory.sums));
        for ((sources, results), sums) in sources.zip(results).zip(sums) {
            let rows = Rows {
                values: results,
                offsets: Offsets::Even { count: outputs, stride: distance },
                step: 1,
                depth: Depth::Straight(block.tiles),
            };
            let columns = Matrix { values: sources, depth_stride: 1, column_stride: distance, columns: channels };
            let sums = PaddedMatrix::new(sums, channels.next_multiple_of(LANES));
            multiply(kernel, &rows, &columns, &sums, Epilogue { bias: None, accumulate });
        }
    }

    /// Maps the sums back to filters, sixteen channels of an output at a time.
    fn map_back(&self, piece: &Piece, sums: &[f32], write: impl Fn(usize, &[f32])) {
        let Winograd { kernel, form, channels, outputs, .. } = *self.winograd;
        let (width, distance) = (piece.channels.len().next_multiple_of(LANES), sums.len() / SQUARE);
        for (row, output) in piece.outputs.clone().enumerate() {
            for channel in piece.channels.clone().step_by(LANES) {
                let points = &sums[row * width + channel - piece.channels.start..];
                let mut taps = [[0.0; LANES]; MOST_FILTER];
                match form {
                    Form::Three => lanes::run(kernel, MapGradient::<3> { points, distance, taps: &mut taps }),
                    Form::Five => lanes::run(kernel, MapGradient::<5> { points, distance, taps: &mut taps }),
                }
                let mut filters = [0.0; LANES * MOST_FILTER];
                for (lane, filter) in filters.chunks_exact_mut(form.filter()).take(LANES).enumerate() {
                    filter.iter_mut().zip(&taps).for_each(|(value, tap)| *value = tap[lane]);
                }
                let count = LANES.min(piece.channels.end - channel);
                write(
                    ((piece.group * outputs + output) * channels + channel) * form.filter(),
                    &filters[..count * form.filter()],
                );
            }
        }
    }
}
