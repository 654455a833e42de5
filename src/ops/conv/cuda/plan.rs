//! The tables and sizes of a convolution's products.

use super::{
    super::geometry::{Axis, Geometry},
    division::Division,
    lines::{Line, backward_lines, forward_line},
    tiles::{self, Kernels, Tile},
};
use crate::{cuda::Argument, tensor::Synced};

/// In the table of weights: none.
const NO_WEIGHT: u32 = u32::MAX;

/// In the table of places: outside of every source; see `product.cu`.
const NOWHERE: u32 = 0xC000_0000;

/// Which positions columns read; see `product.cu`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Reading {
    offset: u32,
    place: u32,
    row_offset: u32,
    row_place: u32,
    step: u32,
    last: u32,
}

impl Reading {
    fn new(down: &Line, across: &Line) -> Self {
        let width = across.source;
        Reading {
            offset: (down.first * width as isize + across.first) as u32,
            place: (((down.first + 0x8000) << 16) + across.first + 0x8000) as u32,
            row_offset: (down.step * width) as u32,
            row_place: (down.step << 16) as u32,
            step: across.step as u32,
            last: ((down.source << 16) + width - 1) as u32,
        }
    }
}

/// What `correlate.cu` is told.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Correlation {
    columns: u32,
    column_plane: u32,
    column_width: u32,
    reading: Reading,
    plane: u32,
    source_group: u32,
    source_image: u32,
    result_first: u32,
    result_step_y: u32,
    result_step_x: u32,
    result_plane: u32,
    result_image: u32,
    rows: u32,
    padded_rows: u32,
    weights_group: u32,
    steps: u32,
}

// SAFETY: numbers of 32 bits, laid out as in the kernel's file.
unsafe impl Argument for Correlation {}

/// What `pack` is told.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Packing {
    group: u32,
    padded_rows: u32,
    rows: u32,
    row_step: u32,
    group_step: u32,
}

// SAFETY: numbers of 32 bits, laid out as in the kernel's file.
unsafe impl Argument for Packing {}

/// A direction that results in planes: the top, or the bottom's gradient.
#[derive(Debug)]
pub(super) struct Pass {
    pub kernels: &'static Kernels,
    pub groups: usize,
    pub phases: Vec<Phase>,
    /// The values of all packed weights, and how they are packed.
    pub packed: usize,
    pub packing: Packing,
    /// For each summand the place of its weight.
    pub weights: Synced<u32>,
    /// Two numbers for each summand, or eight: the offset in the source, and the distance along both axes.
    pub places: Synced<u32>,
}

/// The results that see the same taps.
#[derive(Debug)]
pub(super) struct Phase {
    pub sizes: Correlation,
    /// Blocks for each group.
    pub blocks: usize,
    /// Where its weights and its places begin.
    pub first_weight: usize,
    pub first_place: usize,
}

/// Sizes of a pass that all phases share.
struct Sizes {
    /// Channels of a group, in the source and in the result.
    channels: usize,
    rows: usize,
    /// Distances in the weights.
    channel_step: usize,
    row_step: usize,
}

impl Pass {
    /// `top = bottom ∗ weights`.
    pub fn forward(geometry: &Geometry, axes: &[Axis; 2], tiles: &'static [Tile]) -> Self {
        let (channels, rows) = (geometry.channels / geometry.groups, geometry.outputs / geometry.groups);
        let taps = axes[0].kernel * axes[1].kernel;
        let sizes = Sizes { channels, rows, channel_step: taps, row_step: channels * taps };
        Pass::new(geometry, &sizes, tiles, vec![[forward_line(&axes[0]), forward_line(&axes[1])]])
    }

    /// `bottom_diff = top_diff ∗ᵀ weights`.
    pub fn backward(geometry: &Geometry, axes: &[Axis; 2], tiles: &'static [Tile]) -> Self {
        let (channels, rows) = (geometry.outputs / geometry.groups, geometry.channels / geometry.groups);
        let taps = axes[0].kernel * axes[1].kernel;
        let sizes = Sizes { channels, rows, channel_step: rows * taps, row_step: taps };
        let across = backward_lines(&axes[1]);
        let lines = backward_lines(&axes[0])
            .into_iter()
            .flat_map(|down| across.iter().map(move |across| [down.clone(), across.clone()]));
        Pass::new(geometry, &sizes, tiles, lines.collect())
    }

    fn new(geometry: &Geometry, sizes: &Sizes, tiles: &'static [Tile], lines: Vec<[Line; 2]>) -> Self {
        let Geometry { images, groups, .. } = *geometry;
        let columns = |[down, across]: &[Line; 2]| images * down.columns * across.columns;
        let summands = |[down, across]: &[Line; 2]| sizes.channels * down.taps.len() * across.taps.len();
        let most = |of: &dyn Fn(&[Line; 2]) -> usize| lines.iter().map(of).max().unwrap_or(0);
        let tile = tiles::fastest(tiles, [groups, sizes.rows, most(&columns), most(&summands)]);
        let run = if sizes.channels.is_multiple_of(8) { 8 } else { 1 };
        let padded_rows = sizes.rows.next_multiple_of(tile.rows);
        let (mut weights, mut places, mut phases) = (Vec::new(), Vec::new(), Vec::new());
        for lines in &lines {
            let (first_weight, first_place) = (weights.len() * padded_rows, places.len());
            list(sizes, lines, run, &mut weights, &mut places);
            weights.resize(weights.len().next_multiple_of(tile.depth), NO_WEIGHT);
            while places.len() / 2 * run < weights.len() {
                places.extend([0, NOWHERE]);
            }
            let steps = (weights.len() - first_weight / padded_rows) / tile.depth;
            let correlation = correlation(geometry, sizes, lines, steps);
            let blocks = tile.count(sizes.rows, columns(lines)).iter().product();
            phases.push(Phase { sizes: correlation, blocks, first_weight, first_place });
        }
        let group = weights.len() * padded_rows;
        for phase in &mut phases {
            (phase.sizes.padded_rows, phase.sizes.weights_group) = (padded_rows as u32, group as u32);
        }
        let packing = Packing {
            group: group as u32,
            padded_rows: padded_rows as u32,
            rows: sizes.rows as u32,
            row_step: sizes.row_step as u32,
            group_step: (sizes.rows * sizes.row_step).max(sizes.channels * sizes.channel_step) as u32,
        };
        let kernels = if run == 8 { &tile.eights } else { &tile.each };
        let (packed, weights, places) = (groups * group, Synced::from(weights), Synced::from(places));
        Pass { kernels, groups, phases, packed, packing, weights, places }
    }
}

/// Lists where the summands' weights and values lie: eight channels of one tap behind each other, or channel by channel.
fn list(sizes: &Sizes, [down, across]: &[Line; 2], run: usize, weights: &mut Vec<u32>, places: &mut Vec<u32>) {
    let plane = down.source * across.source;
    let taps: Vec<_> =
        down.taps.iter().flat_map(|down| across.taps.iter().map(move |across| (*down, *across))).collect();
    let mut push = |channel: usize, ((row, y), (column, x)): ((usize, isize), (usize, isize))| {
        let weight = row * across.kernel + column;
        weights.extend((channel..channel + run).map(|channel| (channel * sizes.channel_step + weight) as u32));
        let offset = (channel * plane) as isize + y * across.source as isize + x;
        places.extend([offset as u32, ((y << 16) + x) as u32]);
    };
    if run == 1 {
        (0..sizes.channels).for_each(|channel| taps.iter().for_each(|&tap| push(channel, tap)));
    } else {
        taps.iter().for_each(|&tap| (0..sizes.channels).step_by(run).for_each(|channel| push(channel, tap)));
    }
}

fn correlation(geometry: &Geometry, sizes: &Sizes, [down, across]: &[Line; 2], steps: usize) -> Correlation {
    let (plane, result_plane) = (down.source * across.source, down.result * across.result);
    Correlation {
        columns: (geometry.images * down.columns * across.columns) as u32,
        column_plane: (down.columns * across.columns) as u32,
        column_width: across.columns as u32,
        reading: Reading::new(down, across),
        plane: plane as u32,
        source_group: (sizes.channels * plane) as u32,
        source_image: (geometry.groups * sizes.channels * plane) as u32,
        result_first: (down.result_first * across.result + across.result_first) as u32,
        result_step_y: (down.result_step * across.result) as u32,
        result_step_x: across.result_step as u32,
        result_plane: result_plane as u32,
        result_image: (geometry.groups * sizes.rows * result_plane) as u32,
        rows: sizes.rows as u32,
        padded_rows: 0,
        weights_group: 0,
        steps: steps as u32,
    }
}

/// What `weights.cu` is told.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Weighing {
    columns: u32,
    part: u32,
    plane: Division,
    row: Division,
    reading: Reading,
    source_plane: u32,
    source_group: u32,
    source_image: u32,
    top_plane: u32,
    top_image: u32,
    rows: u32,
    taps: u32,
    kernel: u32,
    row_tiles: u32,
    groups: u32,
}

// SAFETY: numbers of 32 bits, laid out as in the kernel's file.
unsafe impl Argument for Weighing {}

/// The gradient of the weights.
#[derive(Debug)]
pub(super) struct WeightGradient {
    pub kernels: &'static Kernels,
    pub sizes: Weighing,
    /// Tiles of a group, parts of the sums, groups.
    pub blocks: [usize; 3],
    /// All weights.
    pub count: usize,
    /// Three numbers for each weight of a row, or for each run of channels: those of [`Pass::places`], and the weight.
    pub places: Synced<u32>,
}

impl WeightGradient {
    pub fn new(geometry: &Geometry, axes: &[Axis; 2], tiles: &'static [Tile]) -> Self {
        let Geometry { images, groups, .. } = *geometry;
        let (channels, rows) = (geometry.channels / groups, geometry.outputs / groups);
        let lines = [forward_line(&axes[0]), forward_line(&axes[1])];
        let taps = channels * axes[0].kernel * axes[1].kernel;
        let (plane, source) = (lines[0].columns * lines[1].columns, lines[0].source * lines[1].source);
        let columns = images * plane;
        let (tile, part) = tiles::fastest_parts(tiles, [groups, rows, taps, columns]);
        let [row_tiles, tap_tiles] = tile.count(rows, taps);
        let run = if channels.is_multiple_of(tile.run()) { tile.run() } else { 1 };
        let (mut weights, mut pairs) = (Vec::new(), Vec::new());
        let sizes = Sizes { channels, rows, channel_step: geometry.taps(), row_step: 0 };
        list(&sizes, &lines, run, &mut weights, &mut pairs);
        let places: Vec<u32> = pairs
            .chunks(2)
            .zip(weights.iter().step_by(run))
            .flat_map(|(pair, weight)| [pair[0], pair[1], *weight])
            .collect();
        let sizes = Weighing {
            columns: columns as u32,
            part: part as u32,
            plane: Division::new(plane),
            row: Division::new(lines[1].columns),
            reading: Reading::new(&lines[0], &lines[1]),
            source_plane: source as u32,
            source_group: (channels * source) as u32,
            source_image: (geometry.channels * source) as u32,
            top_plane: plane as u32,
            top_image: (geometry.outputs * plane) as u32,
            rows: rows as u32,
            taps: taps as u32,
            kernel: geometry.taps() as u32,
            row_tiles: row_tiles as u32,
            groups: groups as u32,
        };
        let blocks = [row_tiles * tap_tiles, columns.div_ceil(part), groups];
        let count = geometry.outputs * taps;
        let kernels = if run == 1 { &tile.weigh } else { &tile.weigh_runs };
        WeightGradient { kernels, sizes, blocks, count, places: Synced::from(places) }
    }
}
