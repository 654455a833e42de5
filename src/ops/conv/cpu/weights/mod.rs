//! The gradient of the weights.
//!
//! The weights' gradient is the product of the im2col matrix with the top's gradient, over all positions. One side is read in place as
//! rows, the other packed as columns: that whose count fills vectors better. It is cut into blocks of weights; where that makes
//! few pieces, the reduction over images is cut into a fixed number of chunks with sums of their own, added up in order at the
//! end. All depend on the sizes alone: the same bits for any number of threads, and either way.

mod columns;

use std::{cell::Cell, ops::Range};

use rayon::prelude::*;

use super::{
    super::geometry::Geometry,
    arrange::arranged,
    bias::{self, add_images},
    plan::{Piece, Plan, Task},
};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{
        core::multiply,
        kernel::{Kernel, MAX_LANES},
        operands::{Depth, Epilogue, Offsets, PaddedMatrix, Rows},
        scratch::{Scratch, with_scratch},
    },
};
use columns::{Outputs, Weights, runs};

/// Pieces of work there should be, for any machine's cores.
const PIECES: usize = 32;

/// Rows (weights of a filter) that a block has at most, unless one channel has more.
const BLOCK_ROWS: usize = 256;

/// Positions that a chunk has at least: its sums must be written and read.
const CHUNK_DEPTH: usize = 512;

/// What packing a vector of outputs costs, in products.
const TURN: usize = 2;

/// The side whose values are the columns of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Across {
    Outputs,
    Weights,
}

impl Across {
    /// The side that takes fewer steps, in vectors at each position; `offsets` are those of a block's weights.
    fn new(kernel: &Kernel, outputs: usize, offsets: &[u32]) -> Self {
        let weights = offsets.len();
        let vectors = |count: usize| count.div_ceil(kernel.lanes);
        let parts = runs(offsets).count() + vectors(weights);
        let across_outputs = (weights + TURN) * vectors(outputs);
        let across_weights = outputs * vectors(weights) + parts;
        if across_weights < across_outputs { Across::Weights } else { Across::Outputs }
    }
}

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
    across: Across,
    /// Rows of a block's sums, and their values, padded to whole vectors.
    rows: usize,
    width: usize,
    /// Image × output: the sums of the top's planes.
    planes: Scratch,
    /// Group × block × chunk × the sums of several chunks: weight of a filter × output, or output × weight.
    sums: Scratch,
}

thread_local! {
    static LISTS: Cell<Lists> = const { Cell::new(Lists { pieces: Vec::new(), sources: Vec::new(), results: Vec::new() }) };
}

/// The positions of a task: as pieces, and one by one where they read the source and where the top's gradient lies.
#[derive(Default)]
struct Lists {
    pieces: Vec<Piece>,
    sources: Vec<u32>,
    results: Vec<u32>,
}

impl WeightGradient {
    pub fn new(kernel: &'static Kernel, geometry: &Geometry, plan: &Plan) -> Self {
        WeightGradient::with(kernel, geometry, plan, None)
    }

    /// The same with a choice of what lies across.
    fn with(kernel: &'static Kernel, geometry: &Geometry, plan: &Plan, across: Option<Across>) -> Self {
        let (channels, taps) = (geometry.channels / geometry.groups, geometry.taps());
        let blocks = (channels * taps).div_ceil(BLOCK_ROWS).clamp(1, channels);
        let block = channels.div_ceil(blocks);
        let blocks = channels.div_ceil(block);
        let depth = geometry.images * geometry.output_plane();
        let chunks = (PIECES / (geometry.groups * blocks)).min(depth / CHUNK_DEPTH).min(plan.units()).max(1);
        let (outputs, weights) = (geometry.outputs / geometry.groups, block * taps);
        let across = across.unwrap_or_else(|| Across::new(kernel, outputs, &plan.phases[0].offsets[..weights]));
        let (rows, width) = if across == Across::Outputs { (weights, outputs) } else { (outputs, weights) };
        let width = kernel.padded(width);
        WeightGradient {
            kernel,
            channels: block,
            blocks,
            chunks,
            across,
            rows,
            width,
            planes: Scratch::default(),
            sums: Scratch::default(),
        }
    }

    /// Adds the gradient of the weights. Where the bias [`follows`](WeightGradient::add_bias), each plane of the top is summed up for it
    /// while it is near.
    pub fn add(
        &mut self,
        plan: &Plan,
        geometry: &Geometry,
        bottom: &[f32],
        top_diff: &[f32],
        weights_diff: &mut [f32],
        bias_follows: bool,
    ) {
        if plan.units() == 0 {
            return;
        }
        let (mut planes, mut sums) = (std::mem::take(&mut self.planes), std::mem::take(&mut self.sums));
        let of_planes = planes.take(geometry.images * geometry.outputs);
        let of_planes = bias_follows.then(|| Disjoint::new(of_planes));
        Work { cut: self, plan, geometry, bottom, top_diff, planes: of_planes }.run(&mut sums, weights_diff);
        (self.planes, self.sums) = (planes, sums);
    }

    /// Adds the gradient of the bias, after that of the weights of the same pass.
    pub fn add_bias(&mut self, geometry: &Geometry, bias_diff: &mut [f32]) {
        if geometry.output_plane() > 0 {
            add_images(self.planes.take(geometry.images * geometry.outputs), bias_diff);
        }
    }
}

/// One call's operands.
struct Work<'a> {
    cut: &'a WeightGradient,
    plan: &'a Plan,
    geometry: &'a Geometry,
    bottom: &'a [f32],
    top_diff: &'a [f32],
    planes: Option<Disjoint<'a>>,
}

/// A block of weights: some channels of a group.
struct Block {
    group: usize,
    /// The channels, counted in the group.
    channels: Range<usize>,
}

impl Work<'_> {
    /// Adds the gradient of the weights, through the sums of chunks if there are several.
    fn run(&self, sums: &mut Scratch, weights_diff: &mut [f32]) {
        let area = self.cut.rows * self.cut.width;
        let (pieces, chunks) = (self.geometry.groups * self.cut.blocks, self.cut.chunks);
        let diff = Disjoint::new(weights_diff);
        if chunks == 1 {
            (0..pieces).into_par_iter().for_each(|piece| {
                with_scratch(|scratch| {
                    let sums = scratch.take(area);
                    self.sum(piece, 0, sums);
                    self.add(piece, sums, &diff);
                });
            });
        } else {
            let sums = sums.take(pieces * chunks * area);
            sums.par_chunks_mut(area).enumerate().for_each(|(number, sums)| {
                self.sum(number / chunks, number % chunks, sums);
            });
            sums.par_chunks(chunks * area).enumerate().for_each(|(piece, sums)| self.add(piece, sums, &diff));
        }
    }

    fn block(&self, piece: usize) -> Block {
        let (group, block) = (piece / self.cut.blocks, piece % self.cut.blocks);
        let channels = self.geometry.channels / self.geometry.groups;
        let first = block * self.cut.channels;
        Block { group, channels: first..channels.min(first + self.cut.channels) }
    }

    /// Sums up one chunk of the images for one block.
    fn sum(&self, piece: usize, chunk: usize, sums: &mut [f32]) {
        let block = self.block(piece);
        let (units, chunks) = (self.plan.units(), self.cut.chunks);
        let sums = PaddedMatrix::new(sums, self.cut.width);
        let mut lists = LISTS.take();
        let tasks = self.plan.tasks_of(units * chunk / chunks..units * (chunk + 1) / chunks);
        for (number, task) in tasks.enumerate() {
            self.sum_task(&block, &task, number > 0, &sums, &mut lists);
        }
        LISTS.set(lists);
    }

    fn sum_task(&self, block: &Block, task: &Task, accumulate: bool, sums: &PaddedMatrix<'_>, lists: &mut Lists) {
        let Geometry { outputs, channels, groups, .. } = *self.geometry;
        let (plane, phase) = (self.geometry.output_plane(), &self.plan.phases[0]);
        let first = block.group * (channels / groups);
        let of_all = first + block.channels.start..first + block.channels.end;
        let kernel = self.cut.kernel;
        if block.channels.start == 0 && task.band.start == 0 {
            self.sum_planes(block.group, task.images.clone());
        }
        with_scratch(|scratch| {
            let (source, image) = arranged(kernel, self.plan, task, self.bottom, channels, of_all, scratch);
            self.plan.pieces(phase, task, image, outputs * plane, &mut lists.pieces);
            let Lists { pieces, sources, results } = lists;
            let offsets = &phase.offsets[..block.channels.len() * phase.taps.len()];
            let top = &self.top_diff[(task.images.start * outputs + block.group * (outputs / groups)) * plane..];
            let epilogue = Epilogue { bias: None, accumulate };
            list(pieces, |piece| piece.source, sources);
            if self.cut.across == Across::Outputs {
                let rows =
                    Rows { values: source, offsets: Offsets::Listed(offsets), step: 1, depth: Depth::Listed(sources) };
                let columns = Outputs { values: top, plane, columns: outputs / groups, pieces };
                return multiply(kernel, &rows, &columns, sums, epilogue);
            }
            list(pieces, |piece| piece.result, results);
            let rows = Rows {
                values: top,
                offsets: Offsets::Even { count: outputs / groups, stride: plane },
                step: 1,
                depth: Depth::Listed(results),
            };
            multiply(kernel, &rows, &Weights { source, offsets, positions: sources }, sums, epilogue);
        });
    }

    /// Sums up the planes of a group in some images, if that is asked for.
    fn sum_planes(&self, group: usize, images: Range<usize>) {
        let Some(sums) = &self.planes else { return };
        let (plane, group_outputs) = (self.geometry.output_plane(), self.geometry.outputs / self.geometry.groups);
        for image in images {
            let first = image * self.geometry.outputs + group * group_outputs;
            // SAFETY: only the first band of these images in the first block of the group comes here.
            let sums = unsafe { sums.range(first..first + group_outputs) };
            bias::sum_planes(&self.top_diff[first * plane..(first + group_outputs) * plane], sums);
        }
    }

    /// Adds the sums of all chunks of a block to the gradient.
    fn add(&self, piece: usize, sums: &[f32], diff: &Disjoint<'_>) {
        let block = self.block(piece);
        let (outputs, fan_in) = (self.geometry.outputs / self.geometry.groups, self.geometry.fan_in());
        let weights = block.channels.len() * self.geometry.taps();
        let first = block.group * outputs * fan_in + block.channels.start * self.geometry.taps();
        for output in (0..outputs).step_by(MAX_LANES) {
            let outputs = output..outputs.min(output + MAX_LANES);
            for weight in (0..weights).step_by(MAX_LANES) {
                let weights = weight..weights.min(weight + MAX_LANES);
                let square = self.square(sums, weights.clone(), outputs.clone());
                for (row, output) in outputs.clone().enumerate() {
                    let place = first + output * fan_in + weight;
                    // SAFETY: the weights of the block's channels are this piece's own.
                    let diff = unsafe { diff.range(place..place + weights.len()) };
                    if self.cut.across == Across::Outputs {
                        diff.iter_mut().zip(&square).for_each(|(diff, sums)| *diff += sums[row]);
                    } else {
                        diff.iter_mut().zip(&square[row]).for_each(|(diff, sum)| *diff += sum);
                    }
                }
            }
        }
    }

    /// The sums of some weights and outputs, added over the chunks, rows as in the sums.
    fn square(&self, sums: &[f32], weights: Range<usize>, outputs: Range<usize>) -> [[f32; MAX_LANES]; MAX_LANES] {
        let width = self.cut.width;
        let (rows, columns) = if self.cut.across == Across::Outputs { (weights, outputs) } else { (outputs, weights) };
        let lanes = MAX_LANES.min(width - columns.start);
        let mut square = [[0.0f32; MAX_LANES]; MAX_LANES];
        for chunk in sums.chunks_exact(sums.len() / self.cut.chunks) {
            for (values, row) in square.iter_mut().zip(rows.clone()) {
                let sums = &chunk[row * width + columns.start..][..lanes];
                values.iter_mut().zip(sums).for_each(|(value, sum)| *value += sum);
            }
        }
        square
    }
}

/// Lists the places of all positions of some pieces, of which `first` says the first.
fn list(pieces: &[Piece], first: impl Fn(&Piece) -> usize, places: &mut Vec<u32>) {
    places.clear();
    for piece in pieces {
        places.extend((first(piece)..first(piece) + piece.len).map(|place| place as u32));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ops::conv::geometry::{self, Axis};

    fn noise(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    fn check(geometry: &Geometry) {
        let (grid, phase) = geometry::forward(geometry);
        let plan = Plan::new(geometry.images, geometry.channels / geometry.groups, grid, vec![phase]);
        let bottom = noise(geometry.images * geometry.channels * geometry.input_plane(), 1);
        let top_diff = noise(geometry.images * geometry.outputs * geometry.output_plane(), 2);
        for kernel in Kernel::available() {
            let [outputs, weights] = [Across::Outputs, Across::Weights].map(|across| {
                let mut diff = noise(geometry.outputs * geometry.fan_in(), 3);
                let mut gradient = WeightGradient::with(kernel, geometry, &plan, Some(across));
                gradient.add(&plan, geometry, &bottom, &top_diff, &mut diff, false);
                diff
            });
            assert!(outputs == weights, "{}: {geometry:?}", kernel.name);
        }
    }

    #[test]
    fn fifty_outputs_leave_vectors_emptier_than_the_weights_of_their_filters() {
        let geometry = |channels, outputs, input| {
            let axis = Axis { input, kernel: 5, stride: 1, pad: 0, dilation: 1 };
            Geometry { images: 64, channels, outputs, groups: 1, axes: vec![axis; 2] }
        };
        let across = |geometry: &Geometry, kernel| {
            let (grid, phase) = geometry::forward(geometry);
            let plan = Plan::new(geometry.images, geometry.channels, grid, vec![phase]);
            WeightGradient::new(kernel, geometry, &plan).across
        };
        for kernel in Kernel::available().filter(|kernel| kernel.lanes == 16) {
            assert_eq!(across(&geometry(20, 50, 12), kernel), Across::Weights);
            assert_eq!(across(&geometry(1, 20, 28), kernel), Across::Weights);
            assert_eq!(across(&geometry(3, 32, 32), kernel), Across::Outputs);
        }
        check(&geometry(20, 50, 12));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn either_side_across_gives_the_same_bits(
            images in 0_usize..12, channels in 1_usize..9, outputs in 1_usize..40, groups in 1_usize..3,
            sizes in prop::collection::vec((1_usize..20, 1_usize..5, 1_usize..4, 0_usize..4, 1_usize..3), 1..4),
        ) {
            let axes: Vec<Axis> = sizes
                .into_iter()
                .map(|(input, kernel, stride, pad, dilation)| Axis { input, kernel, stride, pad, dilation })
                .collect();
            prop_assume!(axes.iter().all(|axis| axis.output().is_some()));
            check(&Geometry { images, channels: channels * groups, outputs: outputs * groups, groups, axes });
        }
    }
}
