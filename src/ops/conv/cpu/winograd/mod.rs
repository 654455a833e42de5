//! Filters of 3×3 and 5×5 at stride 1 between many channels, by Winograd's F(4×4, 3×3) and F(2×2, 5×5): 36 products for 4×4 results in
//! place of 144, and for 2×2 in place of 100.
//!
//! Tiles of the source and filters are mapped to 36 *points* (`maps.rs`), at each point the channels are multiplied as matrices,
//! and the products are mapped back. Blocks of tiles are so small that all of this happens in the second-level cache
//! (`tiles.rs`, `planes.rs`, `products.rs`, `results.rs`). Sums are rounded otherwise than in the direct sum, a few times as coarsely; `engine: CAFFE` keeps to that.

mod filters;
mod gradient;
mod lanes;
mod maps;
mod planes;
mod products;
mod results;
mod rows;
mod tiles;

use std::ops::Range;

use rayon::prelude::*;

use super::super::geometry::{Axis, Geometry};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{kernel::Kernel, operands::Epilogue, scratch::with_scratch},
};
use filters::Filters;
use lanes::LANES;
use maps::{Form, POINTS};
use planes::{Space, Strides};
use products::Products;
use results::Ending;
use tiles::{Block, Tiles, places};

/// Points of a tile.
const SQUARE: usize = POINTS * POINTS;

/// Channels of a group, on either side, from which on the products outweigh the maps.
const LEAST_CHANNELS: usize = 16;

/// What mapping a tile of one channel costs, in multiplications of a product.
const MAP_COST: f64 = 300.0;

/// What mapping a filter costs.
const FILTER_COST: f64 = 1000.0;

/// The pieces that a direction is cut into, for any machine's cores.
const TASKS: usize = 16;

/// Result channels of a task, at least: each task maps its source anew.
const LEAST_RESULTS: usize = 128;

/// Whether a direction is shorter this way than by the direct sum over so many places.
fn is_shorter(tiles: &Tiles, places: usize, channels: usize, outputs: usize) -> bool {
    let pairs = channels as f64 * outputs as f64;
    let maps = MAP_COST * (channels + outputs) as f64;
    let this = tiles.count() as f64 * (SQUARE as f64 * pairs + maps) + FILTER_COST * pairs;
    this < 0.8 * tiles.form.filter() as f64 * places as f64 * pairs
}

/// The distance between points of so many values: 36 places a multiple of a page apart would share a few lines of the caches.
fn spread(values: usize) -> usize {
    values.next_multiple_of(LANES) + LANES
}

/// A convolution that goes this way.
#[derive(Debug)]
pub(super) struct Winograd {
    kernel: &'static Kernel,
    form: Form,
    groups: usize,
    /// Of a group.
    channels: usize,
    outputs: usize,
    /// Values of a plane.
    bottom_plane: usize,
    top_plane: usize,
    /// The tiles of the top, for the forward direction and the gradient of the weights.
    forward: Tiles,
    /// The tiles of the bottom, for its gradient.
    backward: Tiles,
    /// Where the sixteen values of each source channel begin.
    offsets: Vec<u32>,
}

impl Winograd {
    /// The plan, if the convolution is such a one, and this way is shorter.
    pub fn new(kernel: &'static Kernel, geometry: &Geometry) -> Option<Self> {
        let Geometry { images, channels, outputs, groups, ref axes } = *geometry;
        let &[rows, columns] = axes.as_slice() else { return None };
        let form = Form::of(rows.kernel)?;
        // With more padding results would see nothing but zeros.
        let fits =
            |axis: Axis| axis.kernel == form.taps() && axis.stride == 1 && axis.dilation == 1 && axis.pad < axis.kernel;
        // Without fused multiplication the maps take longer than they spare.
        let (channels, outputs, fused) = (channels / groups, outputs / groups, kernel.name != "portable");
        if !fits(rows) || !fits(columns) || channels.min(outputs) < LEAST_CHANNELS || !fused {
            return None;
        }
        let (bottom, top) = places(form, rows, columns)?;
        let sides = ((&bottom, groups * channels), (&top, groups * outputs));
        let forward = Tiles::new(kernel, form, images, sides.0, sides.1, &top)?;
        let backward = Tiles::new(kernel, form, images, sides.0, sides.1, &bottom)?;
        let (bottom_plane, top_plane) = (geometry.input_plane(), geometry.output_plane());
        let shorter = |tiles, plane| is_shorter(tiles, images * plane, channels, outputs);
        if !shorter(&forward, top_plane) || !shorter(&backward, bottom_plane) {
            return None;
        }
        let offset = |channel: usize| u32::try_from(channel.checked_mul(LANES)?).ok();
        let offsets = (0..channels.max(outputs)).map(offset).collect::<Option<_>>()?;
        Some(Winograd { kernel, form, groups, channels, outputs, bottom_plane, top_plane, forward, backward, offsets })
    }

    /// `top (+)= bottom ∗ weights (+ bias)`.
    pub fn forward(&self, bottom: &[f32], weights: &[f32], epilogue: Epilogue<'_>, top: &mut [f32]) {
        self.correlate(false, bottom, weights, epilogue, top);
    }

    /// The bottom's gradient, written or added, or as an operation of its own the transposed convolution (+ bias).
    pub fn backward_bottom(&self, top_diff: &[f32], weights: &[f32], epilogue: Epilogue<'_>, bottom_diff: &mut [f32]) {
        self.correlate(true, top_diff, weights, epilogue, bottom_diff);
    }

    fn correlate(&self, turned: bool, source: &[f32], weights: &[f32], epilogue: Epilogue<'_>, result: &mut [f32]) {
        let Winograd { form, groups, channels, outputs, .. } = *self;
        let (sources, results) = if turned { (outputs, channels) } else { (channels, outputs) };
        let tiles = if turned { &self.backward } else { &self.forward };
        let blocks = tiles.blocks();
        let parts = TASKS.div_ceil((groups * blocks).max(1)).min(results.div_ceil(LEAST_RESULTS));
        let part = results.div_ceil(parts).next_multiple_of(self.kernel.rows);
        let parts = results.div_ceil(part);
        with_scratch(|scratch| {
            // Point × result channel, over all groups × source channel.
            let filters = scratch.take(SQUARE * spread(groups * channels * outputs));
            Filters { form, weights, outputs, channels, turned }.map(self.kernel, groups * results, filters);
            let result = Disjoint::new(result);
            let correlation =
                Correlation { winograd: self, tiles, turned, sources, results, source, filters, epilogue, result };
            (0..groups * blocks * parts).into_par_iter().for_each(|task| {
                let (group, first) = (task / parts / blocks, task % parts * part);
                let results = first..results.min(first + part);
                correlation.run(&Part { group, block: tiles.block(task / parts % blocks), results });
            });
        });
    }
}

/// One direction's operands.
struct Correlation<'a> {
    winograd: &'a Winograd,
    tiles: &'a Tiles,
    /// Whether the top is the source.
    turned: bool,
    /// Channels of a group.
    sources: usize,
    results: usize,
    source: &'a [f32],
    filters: &'a [f32],
    epilogue: Epilogue<'a>,
    result: Disjoint<'a>,
}

/// What one task computes: some result channels of a group, for one block of tiles.
struct Part {
    group: usize,
    block: Block,
    results: Range<usize>,
}

impl Correlation<'_> {
    fn run(&self, part: &Part) {
        let tiles = self.tiles;
        with_scratch(|scratch| {
            let sources = SQUARE * spread(self.sources * tiles.distance());
            let results = SQUARE * spread(part.results.len() * tiles.distance());
            let (points, memory) = scratch.take(sources + results + tiles.space()).split_at_mut(sources);
            let (products, memory) = memory.split_at_mut(results);
            let mut space = tiles.divide(memory);
            self.map_sources(part, points, &mut space);
            self.multiply(part, points, products);
            self.map_results(part, products, &mut space);
        });
    }

    /// All source channels to point × vector of tiles × channel × tile: so the vectors of a panel are three streams.
    fn map_sources(&self, part: &Part, points: &mut [f32], space: &mut Space<'_>) {
        let (groups, tiles) = (self.winograd.groups, self.tiles);
        let (side, plane) = if self.turned {
            (&tiles.top, self.winograd.top_plane)
        } else {
            (&tiles.bottom, self.winograd.bottom_plane)
        };
        let strides = Strides { point: points.len() / SQUARE, vector: self.sources * LANES };
        let first = (part.block.images.start * groups + part.group) * self.sources;
        for source in 0..self.sources {
            let planes = &self.source[(first + source) * plane..];
            tiles.map_source(side, &part.block, planes, space, (&mut points[source * LANES..], strides));
        }
    }

    /// At each point the filters with the source channels, to point × result channel × tile.
    fn multiply(&self, part: &Part, points: &[f32], products: &mut [f32]) {
        let first = (part.group * self.results + part.results.start) * self.sources;
        let operands = Products {
            tiles: self.tiles,
            sources: self.sources,
            results: part.results.len(),
            filters: (&self.filters[first..], self.filters.len() / SQUARE),
            points,
            offsets: &self.winograd.offsets[..self.sources],
        };
        operands.multiply(products);
    }

    /// The products to the results.
    fn map_results(&self, part: &Part, products: &[f32], space: &mut Space<'_>) {
        let (groups, tiles) = (self.winograd.groups, self.tiles);
        let (side, plane) = if self.turned {
            (&tiles.bottom, self.winograd.bottom_plane)
        } else {
            (&tiles.top, self.winograd.top_plane)
        };
        let strides = Strides { point: products.len() / SQUARE, vector: LANES };
        for (number, result) in part.results.clone().enumerate() {
            let result = part.group * self.results + result;
            let bias = self.epilogue.bias.map_or(0.0, |bias| bias[result]);
            let ending = Ending { bias, accumulate: self.epilogue.accumulate };
            let products = (&products[number * tiles.distance()..], strides);
            tiles.map_result(side, &part.block, products, ending, space, |image, places| {
                let first = (image * groups * self.results + result) * plane;
                // SAFETY: this block's rows of this channel's plane are this task's own.
                unsafe { self.result.range(first + places.start..first + places.end) }
            });
        }
    }
}
