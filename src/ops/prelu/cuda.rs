//! Launches of `prelu.cu`.

use crate::{
    cuda::{Argument, Card, Grid, Source},
    ops::broadcast::{Spans, cuda::DeviceSpans},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "prelu", text: include_str!("prelu.cu") };

pub(super) fn forward(card: &'static Card, spans: Spans, x: &Buffer, slopes: &Buffer, y: &Buffer) {
    let (x, slopes, grid) = (x.device(card), slopes.device(card), Grid::over(spans.count()));
    card.launch(&KERNELS, "forward", grid, &[&y.device_mut(card), &x, &slopes, &DeviceSpans::from(spans)]);
}

pub(super) fn backward(card: &'static Card, spans: Spans, [x, slopes, dy]: [&Buffer; 3], dx: &Buffer) {
    let (x, slopes, dy) = (x.device(card), slopes.device(card), dy.device(card));
    let arguments: [&dyn Argument; 5] = [&dx.device_mut(card), &x, &slopes, &dy, &DeviceSpans::from(spans)];
    card.launch(&KERNELS, "backward", Grid::over(spans.count()), &arguments);
}

pub(super) fn slope_gradient(
    card: &'static Card,
    spans: Spans,
    [x, dy]: [&Buffer; 2],
    sums: &Buffer,
    gradient: &Buffer,
) {
    let runs = spans.outer * spans.dim;
    let (kernel, grid) = match spans.inner {
        0..32 => ("short_slope_sums", Grid::over(runs)),
        inner => ("slope_sums", Grid::blocks(runs, inner.next_multiple_of(32).min(256) as u32)),
    };
    let (x, dy, sums, spans_of) = (x.device(card), dy.device(card), sums.device_mut(card), DeviceSpans::from(spans));
    card.launch(&KERNELS, kernel, grid, &[&sums, &x, &dy, &spans_of]);
    let grid = Grid::blocks(spans.dim, 128);
    card.launch(&KERNELS, "slope_gradient", grid, &[&gradient.device_mut(card), &sums, &spans_of]);
}
