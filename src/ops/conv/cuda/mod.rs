//! Convolution on a card, by kernels of its own.
//!
//! All three directions are matrix products whose one side is read from the image at the im2col matrix's places, as on the host
//! (`product.cu` has the tiles, `correlate.cu` and `weights.cu` what they read). The gradient of the bottom is cut into phases, so
//! that no product is with a zero between strides. Sums that are cut into parts are added in an order that only depends on the sizes.
//! With `--math tf32` the products go by tensor cores. Groups of few channels go output by output (`conv.cu`). Convolutions over more than two axes of consequence are the host's.

mod division;
mod lines;
mod narrow;
mod plan;
mod tiles;

use self::{
    division::Division,
    narrow::Narrow,
    plan::{Pass, WeightGradient},
    tiles::{AROUND, TILES, Tile},
};
use super::geometry::Geometry;
use crate::{
    cuda::{Card, Grid, Pointer},
    tensor::Buffer,
};

/// Threads of the blocks that share a sum or a tile.
const THREADS: u32 = 256;

/// Values that a block of `add_parts` adds up.
const ADDED: usize = 32;

/// The plans of all directions, and memory on the card for what they keep between kernels.
#[derive(Debug)]
pub(super) struct Workspace {
    way: Way,
    bias: BiasGradient,
    /// The weights as a product reads them.
    packed: Buffer,
    /// Parts of sums.
    parts: Buffer,
}

#[derive(Debug)]
enum Way {
    Products(Box<Products>),
    Narrow(Narrow),
}

/// A plan for each direction.
#[derive(Debug)]
struct Products {
    forward: Pass,
    backward: Pass,
    weights: WeightGradient,
}

/// The sizes of the bias's gradient.
#[derive(Debug)]
struct BiasGradient {
    outputs: usize,
    values: usize,
    plane: Division,
    part: usize,
}

impl Workspace {
    /// The plans, if the kernels can do it: see the file's head.
    pub fn new(geometry: &Geometry) -> Option<Self> {
        Workspace::with(geometry, &TILES)
    }

    /// The same with tiles of this number alone, for checks.
    pub fn with_tile(geometry: &Geometry, number: usize) -> Option<Self> {
        let number = number % TILES.len();
        Workspace::with(geometry, &TILES[number..=number])
    }

    fn with(geometry: &Geometry, tiles: &'static [Tile]) -> Option<Self> {
        let axes = lines::two_axes(geometry)?;
        let way = match Narrow::new(geometry, &axes) {
            Some(narrow) => Way::Narrow(narrow),
            None => Way::Products(Box::new(Products {
                forward: Pass::forward(geometry, &axes, tiles),
                backward: Pass::backward(geometry, &axes, tiles),
                weights: WeightGradient::new(geometry, &axes, tiles),
            })),
        };
        let (outputs, plane) = (geometry.outputs, geometry.output_plane());
        let values = geometry.images * plane;
        let part = tiles::plain_part(outputs, values);
        let bias = BiasGradient { outputs, values, plane: Division::new(plane), part };
        Some(Workspace { way, bias, packed: Buffer::default(), parts: Buffer::default() })
    }

    /// `top = bottom ∗ weights (+ bias)`.
    pub fn forward(
        &mut self,
        card: &'static Card,
        bottom: &Buffer,
        weights: &Buffer,
        bias: Option<&Buffer>,
        top: &Buffer,
    ) {
        match &self.way {
            Way::Products(plans) => run(&plans.forward, card, &mut self.packed, bottom, weights, bias, top),
            Way::Narrow(narrow) => run_narrow(narrow, "narrow_forward", card, bottom, weights, bias, top),
        }
    }

    /// The gradient of the bottom, or the transposed convolution (+ bias).
    pub fn backward_bottom(
        &mut self,
        card: &'static Card,
        top_diff: &Buffer,
        weights: &Buffer,
        bias: Option<&Buffer>,
        bottom_diff: &Buffer,
    ) {
        match &self.way {
            Way::Products(plans) => run(&plans.backward, card, &mut self.packed, top_diff, weights, bias, bottom_diff),
            Way::Narrow(narrow) => run_narrow(narrow, "narrow_bottom", card, top_diff, weights, bias, bottom_diff),
        }
    }

    /// Adds the gradient of the weights.
    pub fn backward_weights(&mut self, card: &'static Card, bottom: &Buffer, top_diff: &Buffer, weights_diff: &Buffer) {
        let (count, parts) = match &self.way {
            Way::Products(plans) => {
                let weights = &plans.weights;
                let parts = weights.blocks[1];
                resize(&mut self.parts, weights.count * parts);
                card.launch(
                    weights.kernels.on(card),
                    "weigh",
                    Grid::blocks_3d(weights.blocks, THREADS),
                    &[
                        &self.parts.device_mut(card),
                        &bottom.device(card),
                        &top_diff.device(card),
                        &weights.places.device(card),
                        &weights.sizes,
                    ],
                );
                (weights.count, parts)
            }
            Way::Narrow(narrow) => {
                resize(&mut self.parts, narrow.weights * narrow.parts);
                card.launch(
                    &AROUND,
                    "narrow_weights",
                    Grid::blocks_2d([narrow.weights, narrow.parts], THREADS),
                    &[
                        &self.parts.device_mut(card),
                        &bottom.device(card),
                        &top_diff.device(card),
                        &(narrow.values as u32),
                        &(narrow.part as u32),
                        &narrow.plane,
                        &narrow.row,
                        &narrow.sizes,
                    ],
                );
                (narrow.weights, narrow.parts)
            }
        };
        self.add_parts(card, count, parts, weights_diff);
    }

    /// Adds the gradient of the bias.
    pub fn backward_bias(&mut self, card: &'static Card, top_diff: &Buffer, bias_diff: &Buffer) {
        let BiasGradient { outputs, values, plane, part } = self.bias;
        let parts = values.div_ceil(part);
        resize(&mut self.parts, outputs * parts);
        card.launch(
            &AROUND,
            "sum_channels",
            Grid::blocks_2d([outputs, parts], THREADS),
            &[
                &self.parts.device_mut(card),
                &top_diff.device(card),
                &(values as u32),
                &(part as u32),
                &plane,
                &(outputs as u32),
            ],
        );
        self.add_parts(card, outputs, parts, bias_diff);
    }

    fn add_parts(&self, card: &'static Card, count: usize, parts: usize, diff: &Buffer) {
        card.launch(
            &AROUND,
            "add_parts",
            Grid::blocks(count.div_ceil(ADDED), THREADS),
            &[&diff.device_mut(card), &self.parts.device(card), &(count as u32), &(parts as u32)],
        );
    }
}

/// Memory grows when it must; it is the same in every run of the same sizes.
fn resize(buffer: &mut Buffer, len: usize) {
    if buffer.len() < len {
        buffer.resize(len);
    }
}

/// Packs the weights and computes a pass, phase by phase.
fn run(
    pass: &Pass,
    card: &'static Card,
    packed: &mut Buffer,
    source: &Buffer,
    weights: &Buffer,
    bias: Option<&Buffer>,
    result: &Buffer,
) {
    resize(packed, pass.packed);
    card.launch(
        &AROUND,
        "pack",
        Grid::over(pass.packed),
        &[
            &packed.device_mut(card),
            &weights.device(card),
            &pass.weights.device(card),
            &(pass.packed as u32),
            &pass.packing,
        ],
    );
    let bias = bias.map_or(Pointer::NULL, |bias| bias.device(card));
    for phase in &pass.phases {
        card.launch(
            pass.kernels.on(card),
            "correlate",
            Grid::blocks_2d([phase.blocks, pass.groups], THREADS),
            &[
                &result.device_mut(card),
                &source.device(card),
                &packed.device(card).at(phase.first_weight),
                &pass.places.device(card).at(phase.first_place),
                &bias,
                &phase.sizes,
            ],
        );
    }
}

fn run_narrow(
    narrow: &Narrow,
    kernel: &'static str,
    card: &'static Card,
    source: &Buffer,
    weights: &Buffer,
    bias: Option<&Buffer>,
    result: &Buffer,
) {
    let count = result.len();
    card.launch(
        &AROUND,
        kernel,
        Grid::over(count),
        &[
            &result.device_mut(card),
            &source.device(card),
            &weights.device(card),
            &bias.map_or(Pointer::NULL, |bias| bias.device(card)),
            &(count as u32),
            &narrow.sizes,
        ],
    );
}
