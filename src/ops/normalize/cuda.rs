//! Launches of `normalize.cu`.

use super::Geometry;
use crate::{
    cuda::{Argument, Card, Grid, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "normalize", text: include_str!("normalize.cu") };

/// As the kernels know it.
#[repr(C)]
#[derive(Clone, Copy)]
struct DeviceGeometry {
    images: u32,
    channels: u32,
    places: u32,
    is_whole: u32,
    /// Whether all channels share γ.
    shared: u32,
    eps: f32,
}

// SAFETY: the kernels' Geometry, field by field.
unsafe impl Argument for DeviceGeometry {}

impl DeviceGeometry {
    fn new(geometry: &Geometry, factors: &Buffer) -> Self {
        DeviceGeometry {
            images: geometry.images as u32,
            channels: geometry.channels as u32,
            places: geometry.places as u32,
            is_whole: u32::from(geometry.is_whole),
            shared: u32::from(factors.len() != geometry.channels),
            eps: geometry.eps,
        }
    }
}

/// The kernel for lengths of images or of places, and its grid.
fn choose(geometry: &Geometry, [whole, places]: [&'static str; 2]) -> (&'static str, Grid) {
    let threads = geometry.image().next_multiple_of(32).clamp(32, 1024) as u32;
    if geometry.is_whole {
        (whole, Grid::blocks(if geometry.image() == 0 { 0 } else { geometry.images }, threads))
    } else {
        (places, Grid::over(geometry.lengths()))
    }
}

pub(super) fn forward(
    card: &'static Card,
    geometry: &Geometry,
    [x, factors]: [&Buffer; 2],
    norms: &Buffer,
    y: &Buffer,
) {
    let (kernel, grid) = choose(geometry, ["forward_whole", "forward_places"]);
    let sizes = DeviceGeometry::new(geometry, factors);
    let (x, factors) = (x.device(card), factors.device(card));
    card.launch(&KERNELS, kernel, grid, &[&y.device_mut(card), &norms.device_mut(card), &x, &factors, &sizes]);
}

pub(super) fn backward(card: &'static Card, geometry: &Geometry, operands: [&Buffer; 4], dx: &Buffer) {
    let (kernel, grid) = choose(geometry, ["backward_whole", "backward_places"]);
    let sizes = DeviceGeometry::new(geometry, operands[1]);
    let [x, factors, norms, dy] = operands.map(|operand| operand.device(card));
    card.launch(&KERNELS, kernel, grid, &[&dx.device_mut(card), &x, &factors, &norms, &dy, &sizes]);
}

pub(super) fn backward_factors(card: &'static Card, geometry: &Geometry, [x, norms, dy]: [&Buffer; 3], diff: &Buffer) {
    let (x, norms, dy, sizes) =
        (x.device(card), norms.device(card), dy.device(card), DeviceGeometry::new(geometry, diff));
    let grid = Grid::blocks(diff.len(), if diff.len() == 1 { 1024 } else { 256 });
    card.launch(&KERNELS, "backward_factors", grid, &[&diff.device_mut(card), &x, &norms, &dy, &sizes]);
}
