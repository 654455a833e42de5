//! Launches of `softmax.cu`.

use super::Axes;
use crate::{
    cuda::{Argument, Card, Grid, Source},
    ops::loss::{
        Normalizer, Total,
        cuda::{Parts, finish, ignored, partial},
    },
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "softmax", text: include_str!("softmax.cu") };

/// As the kernels know it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in crate::ops) struct DeviceAxes {
    outer: u32,
    channels: u32,
    inner: u32,
}

// SAFETY: the same three numbers as the kernels' Axes.
unsafe impl Argument for DeviceAxes {}

impl From<Axes> for DeviceAxes {
    fn from(axes: Axes) -> Self {
        DeviceAxes { outer: axes.outer as u32, channels: axes.channels as u32, inner: axes.inner as u32 }
    }
}

/// A block for each row of neighbours.
pub(in crate::ops) fn rows(axes: Axes) -> Grid {
    Grid::blocks(axes.outer, axes.channels.next_multiple_of(32).clamp(32, 512) as u32)
}

/// The kernel for rows of neighbours or for other axes, and its grid.
pub(in crate::ops) fn choose(axes: Axes, of_rows: &'static str, of_places: &'static str) -> (&'static str, Grid) {
    if axes.inner == 1 { (of_rows, rows(axes)) } else { (of_places, Grid::over(axes.places())) }
}

pub(super) fn forward(card: &'static Card, axes: Axes, x: &Buffer, y: &Buffer) {
    let (kernel, grid) = choose(axes, "forward_rows", "forward_places");
    let x = x.device(card);
    card.launch(&KERNELS, kernel, grid, &[&y.device_mut(card), &x, &DeviceAxes::from(axes)]);
}

pub(super) fn backward(card: &'static Card, axes: Axes, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    let (kernel, grid) = choose(axes, "backward_rows", "backward_places");
    let (y, dy) = (y.device(card), dy.device(card));
    card.launch(&KERNELS, kernel, grid, &[&dx.device_mut(card), &y, &dy, &DeviceAxes::from(axes)]);
}

pub(super) fn loss_forward(
    card: &'static Card,
    axes: Axes,
    [probabilities, labels]: [&Buffer; 2],
    ignore: Option<i32>,
    normalizer: Normalizer,
    total: &Total,
    loss: &Buffer,
) {
    let (parts, (ignores, ignored)) = (Parts::of(axes.places()), ignored(ignore));
    let (probabilities, labels, axes) = (probabilities.device(card), labels.device(card), DeviceAxes::from(axes));
    let arguments: [&dyn Argument; 7] =
        [&partial(card, total), &probabilities, &labels, &axes, &parts.length, &ignores, &ignored];
    card.launch(&KERNELS, "loss_sums", parts.grid(), &arguments);
    finish(card, total, parts, normalizer, 1.0, loss);
}

pub(super) fn loss_backward(
    card: &'static Card,
    axes: Axes,
    [probabilities, labels, loss_diff]: [&Buffer; 3],
    ignore: Option<i32>,
    total: &Total,
    dx: &Buffer,
) {
    let (ignores, ignored) = ignored(ignore);
    let [probabilities, labels, loss_diff, normalizer] =
        [probabilities, labels, loss_diff, total.normalizer()].map(|operand| operand.device(card));
    let arguments: [&dyn Argument; 8] = [
        &dx.device_mut(card),
        &probabilities,
        &labels,
        &loss_diff,
        &normalizer,
        &DeviceAxes::from(axes),
        &ignores,
        &ignored,
    ];
    card.launch(&KERNELS, "loss_backward", Grid::over(dx.len()), &arguments);
}
