//! Launches of `broadcast.cu`.

use super::{Spans, Sums};
use crate::{
    cuda::{Argument, Card, Grid, Pointer, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "broadcast", text: include_str!("broadcast.cu") };

/// As the kernels know it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in crate::ops) struct DeviceSpans {
    outer: u32,
    dim: u32,
    inner: u32,
}

// SAFETY: the same three numbers as the kernels' Spans.
unsafe impl Argument for DeviceSpans {}

impl From<Spans> for DeviceSpans {
    fn from(spans: Spans) -> Self {
        DeviceSpans { outer: spans.outer as u32, dim: spans.dim as u32, inner: spans.inner as u32 }
    }
}

pub(super) fn affine(
    card: &'static Card,
    spans: Spans,
    x: &Buffer,
    factors: Option<&Buffer>,
    shifts: Option<&Buffer>,
    y: &Buffer,
) {
    let [factors, shifts] = [factors, shifts].map(|given| given.map_or(Pointer::NULL, |given| given.device(card)));
    let x = x.device(card);
    let arguments: [&dyn Argument; 5] = [&y.device_mut(card), &x, &factors, &shifts, &DeviceSpans::from(spans)];
    card.launch(&KERNELS, "affine", Grid::over(spans.count().div_ceil(4)), &arguments);
}

/// Blocks that fill a card.
const BLOCKS: usize = 1024;

/// The most parts that so many sums are cut into.
fn most_parts(sums: usize) -> usize {
    (BLOCKS / sums.max(1)).max(1)
}

/// Neighbouring values of the vector that one block of `sums_of_rows` sums for.
const GROUP: usize = 32;

/// The values of the sums of all parts.
pub(super) fn partial_sums(dim: usize) -> usize {
    2 * dim * most_parts(dim.div_ceil(GROUP))
}

/// Into how many parts a sum over `count` values is cut, and how long each is: a multiple of `unit`, and not less than `least`. Depends
/// on sizes alone.
fn parts(count: usize, most: usize, least: usize, unit: usize) -> (usize, usize) {
    let length = count.div_ceil(most).max(least).next_multiple_of(unit);
    (count.div_ceil(length).max(1), length)
}

pub(super) fn sums(card: &'static Card, spans: Spans, a: &Buffer, b: Option<&Buffer>, sums: &Sums) {
    let dim = spans.dim;
    let (kernel, grid, parts, length) = if spans.inner == 1 {
        let groups = dim.div_ceil(GROUP);
        let (parts, length) = parts(spans.outer, most_parts(groups), 128, 8);
        ("sums_of_rows", Grid::blocks(groups * parts, 256), parts, length)
    } else {
        let (parts, length) = parts(spans.outer * spans.inner, most_parts(dim), 4096, 4);
        ("sums", Grid::blocks(dim * parts, 256), parts, length)
    };
    let (a, b) = (a.device(card), b.map_or(Pointer::NULL, |b| b.device(card)));
    let partial = sums.partial.device_mut(card);
    let (plain, products) = (sums.plain.device_mut(card), sums.products.device_mut(card));
    let spans = DeviceSpans::from(spans);
    card.launch(
        &KERNELS,
        kernel,
        grid,
        &[&plain, &products, &partial, &a, &b, &spans, &(parts as u32), &(length as u32)],
    );
    if parts > 1 {
        let arguments: [&dyn Argument; 5] = [&plain, &products, &partial, &(dim as u32), &(parts as u32)];
        card.launch(&KERNELS, "sums_of_parts", Grid::blocks(dim, 32), &arguments);
    }
}
