//! Launches of `mvn.cu`.

use crate::{
    cuda::{Argument, Card, Grid, Pointer, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "mvn", text: include_str!("mvn.cu") };

/// A block for each row; none for rows of no values.
fn grid(rows: usize, length: usize) -> Grid {
    Grid::blocks(if length == 0 { 0 } else { rows }, length.next_multiple_of(32).clamp(32, 1024) as u32)
}

pub(super) fn forward(
    card: &'static Card,
    (rows, eps): (usize, f32),
    x: &Buffer,
    y: &Buffer,
    deviations: Option<&Buffer>,
) {
    let length = x.len() / rows.max(1);
    let (x, deviations) = (x.device(card), deviations.map_or(Pointer::NULL, |deviations| deviations.device_mut(card)));
    let arguments: [&dyn Argument; 5] = [&y.device_mut(card), &deviations, &x, &(length as u32), &eps];
    card.launch(&KERNELS, "forward", grid(rows, length), &arguments);
}

pub(super) fn backward(
    card: &'static Card,
    rows: usize,
    [y, dy]: [&Buffer; 2],
    deviations: Option<&Buffer>,
    dx: &Buffer,
) {
    let length = dx.len() / rows.max(1);
    let deviations = deviations.map_or(Pointer::NULL, |deviations| deviations.device(card));
    let (y, dy) = (y.device(card), dy.device(card));
    let arguments: [&dyn Argument; 5] = [&dx.device_mut(card), &y, &dy, &deviations, &(length as u32)];
    card.launch(&KERNELS, "backward", grid(rows, length), &arguments);
}
