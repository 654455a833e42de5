//! Pooling on a card: a thread for each output, or for each input where gradients go back, so that nothing is written twice.

use super::{Axis, Geometry, Mask};
use crate::{
    cuda::{Argument, Card, Grid, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "pool", text: include_str!("pool.cu") };

/// From so many values on a window's mean is the work of a warp.
const LARGE: usize = 32;

/// What the kernels are told of an axis.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct AxisSizes {
    input: u32,
    output: u32,
    kernel: u32,
    stride: u32,
    pad: u32,
}

/// What the kernels are told.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Sizes {
    planes: u32,
    height: AxisSizes,
    width: AxisSizes,
}

// SAFETY: numbers of 32 bits, laid out as in the kernels' file.
unsafe impl Argument for Sizes {}

impl AxisSizes {
    fn new(axis: Axis) -> Self {
        let Axis { input, output, kernel, stride, pad } = axis;
        let [input, output, kernel, stride, pad] = [input, output, kernel, stride, pad].map(|size| size as u32);
        AxisSizes { input, output, kernel, stride, pad }
    }
}

impl Sizes {
    fn new(geometry: &Geometry) -> Self {
        let Geometry { planes, height, width } = *geometry;
        Sizes { planes: planes as u32, height: AxisSizes::new(height), width: AxisSizes::new(width) }
    }
}

/// Runs a kernel over the outputs, or the inputs: what it writes and reads goes before their number and the sizes.
fn run(card: &'static Card, kernel: &'static str, count: usize, geometry: &Geometry, blobs: &[&dyn Argument]) {
    let (number, sizes) = (count as u32, Sizes::new(geometry));
    let mut arguments = blobs.to_vec();
    arguments.extend([&number as &dyn Argument, &sizes]);
    card.launch(&KERNELS, kernel, Grid::over(count), &arguments);
}

fn inputs(geometry: &Geometry) -> usize {
    geometry.planes * geometry.input_plane()
}

fn outputs(geometry: &Geometry) -> usize {
    geometry.planes * geometry.output_plane()
}

pub(super) fn max_forward(card: &'static Card, geometry: &Geometry, x: &Buffer, y: &Buffer, mask: &Mask) {
    let blobs: [&dyn Argument; 3] = [&y.device_mut(card), &mask.indices.device_mut(card), &x.device(card)];
    run(card, "max_forward", outputs(geometry), geometry, &blobs);
}

pub(super) fn max_backward(card: &'static Card, geometry: &Geometry, dy: &Buffer, mask: &Mask, dx: &Buffer) {
    let blobs: [&dyn Argument; 3] = [&dx.device_mut(card), &mask.indices.device(card), &dy.device(card)];
    run(card, "max_backward", inputs(geometry), geometry, &blobs);
}

pub(super) fn average_forward(card: &'static Card, geometry: &Geometry, x: &Buffer, y: &Buffer) {
    let Geometry { height, width, .. } = *geometry;
    let blobs: [&dyn Argument; 2] = [&y.device_mut(card), &x.device(card)];
    let count = outputs(geometry);
    if height.kernel.min(height.input) * width.kernel.min(width.input) < LARGE {
        return run(card, "average_forward", count, geometry, &blobs);
    }
    let (number, sizes) = (count as u32, Sizes::new(geometry));
    let arguments: [&dyn Argument; 4] = [blobs[0], blobs[1], &number, &sizes];
    card.launch(&KERNELS, "average_large", Grid::over(32 * count), &arguments);
}

pub(super) fn average_backward(card: &'static Card, geometry: &Geometry, dy: &Buffer, dx: &Buffer) {
    let blobs: [&dyn Argument; 2] = [&dx.device_mut(card), &dy.device(card)];
    run(card, "average_backward", inputs(geometry), geometry, &blobs);
}

pub(super) fn stochastic_forward(
    card: &'static Card,
    geometry: &Geometry,
    x: &Buffer,
    draws: &Buffer,
    y: &Buffer,
    mask: &Mask,
) {
    let blobs: [&dyn Argument; 4] =
        [&y.device_mut(card), &mask.indices.device_mut(card), &x.device(card), &draws.device(card)];
    run(card, "stochastic_forward", outputs(geometry), geometry, &blobs);
}

pub(super) fn expected_forward(card: &'static Card, geometry: &Geometry, x: &Buffer, y: &Buffer) {
    let blobs: [&dyn Argument; 2] = [&y.device_mut(card), &x.device(card)];
    run(card, "expected_forward", outputs(geometry), geometry, &blobs);
}

pub(super) fn expected_backward(
    card: &'static Card,
    geometry: &Geometry,
    x: &Buffer,
    [y, dy]: [&Buffer; 2],
    dx: &Buffer,
) {
    let blobs: [&dyn Argument; 4] = [&dx.device_mut(card), &x.device(card), &y.device(card), &dy.device(card)];
    run(card, "expected_backward", inputs(geometry), geometry, &blobs);
}

pub(super) fn write_mask(card: &'static Card, mask: &Mask, values: &Buffer) {
    let count = values.len();
    card.launch(
        &KERNELS,
        "write_mask",
        Grid::over(count),
        &[&values.device_mut(card), &mask.indices.device(card), &(count as u32)],
    );
}
