//! Launches of `batch_norm.cu`.

use super::{Averages, Normalization, Operands, Source, Statistics, cpu::unbiased};
use crate::{
    cuda::{Argument, Card, Grid, Pointer, Source as Kernels},
    ops::broadcast::{Spans, Sums},
    tensor::Buffer,
};

static KERNELS: Kernels = Kernels { name: "batch_norm", text: include_str!("batch_norm.cu") };

/// Threads of a block: the kernels' THREADS. Also the most parts, as a block adds up the parts of a channel with a thread for each.
const THREADS: usize = 256;

/// Values that a block holds in registers: the kernels' CHUNK.
const CHUNK: usize = THREADS * 16;

/// Blocks that fill a card: a channel is cut into no more parts than lead to about as many.
const BLOCKS: usize = 8 * 1024;

fn most_parts(channels: usize) -> usize {
    (BLOCKS / channels.max(1)).clamp(1, THREADS)
}

/// The values of the sums over all parts.
pub(super) fn partial_sums(channels: usize) -> usize {
    2 * channels * most_parts(channels)
}

/// As the kernels know it.
#[repr(C)]
#[derive(Clone, Copy)]
struct DeviceSpans {
    outer: u32,
    dim: u32,
    inner: u32,
    /// A channel's parts, and the values of each but the last.
    parts: u32,
    length: u32,
}

// SAFETY: the same five numbers as the kernels' Spans.
unsafe impl Argument for DeviceSpans {}

impl From<Spans> for DeviceSpans {
    /// The parts depend on the sizes alone, so that sums have the same order on every card.
    fn from(spans: Spans) -> Self {
        let count = spans.outer * spans.inner;
        let length = count.div_ceil(most_parts(spans.dim)).max(1).next_multiple_of(CHUNK);
        DeviceSpans {
            outer: spans.outer as u32,
            dim: spans.dim as u32,
            inner: spans.inner as u32,
            parts: count.div_ceil(length).max(1) as u32,
            length: length as u32,
        }
    }
}

impl DeviceSpans {
    /// A block for each part of each channel.
    fn grid(self) -> Grid {
        Grid::blocks(self.dim as usize * self.parts as usize, THREADS as u32)
    }
}

/// What the second kernel of the forward pass does besides normalising.
#[repr(C)]
#[derive(Clone, Copy)]
struct Following {
    epsilon: f32,
    is_relu: u32,
    factors: Pointer,
    shifts: Pointer,
    mean_sum: Pointer,
    variance_sum: Pointer,
    weight_sum: Pointer,
    fraction: f32,
    unbiased: f32,
}

// SAFETY: the kernels' Following, field by field; no field needs padding in front.
unsafe impl Argument for Following {}

fn given(card: &'static Card, buffer: Option<&Buffer>) -> Pointer {
    buffer.map_or(Pointer::NULL, |buffer| buffer.device(card))
}

fn written(card: &'static Card, buffer: Option<&Buffer>) -> Pointer {
    buffer.map_or(Pointer::NULL, |buffer| buffer.device_mut(card))
}

pub(super) fn forward(
    card: &'static Card,
    normalization: Normalization<'_>,
    x: &Buffer,
    statistics: &Statistics,
    y: &Buffer,
    kept: Option<&Buffer>,
    averages: Option<Averages<'_>>,
) {
    let Normalization { spans, source, epsilon, epilogue } = normalization;
    let (count, spans) = (spans.outer * spans.inner, DeviceSpans::from(spans));
    let x = x.device(card);
    let mut partial = Pointer::NULL;
    if source == Source::Batch {
        partial = statistics.partial.device_mut(card);
        card.launch(&KERNELS, "statistics", spans.grid(), &[&partial, &x, &spans]);
    }
    let averages = averages.filter(|_| source == Source::Batch);
    let following = Following {
        epsilon,
        is_relu: u32::from(epilogue.is_relu),
        factors: given(card, epilogue.factors),
        shifts: given(card, epilogue.factors.and(epilogue.shifts)),
        mean_sum: written(card, averages.map(|averages| averages.mean)),
        variance_sum: written(card, averages.map(|averages| averages.variance)),
        weight_sum: written(card, averages.map(|averages| averages.weight)),
        fraction: averages.map_or(0.0, |averages| averages.fraction),
        unbiased: unbiased(count),
    };
    let [mean, variance, deviation] =
        [&statistics.mean, &statistics.variance, &statistics.deviation].map(|values| values.device_mut(card));
    let (y, kept) = (y.device_mut(card), written(card, kept));
    let arguments: [&dyn Argument; 9] = [&y, &kept, &mean, &variance, &deviation, &x, &partial, &spans, &following];
    card.launch(&KERNELS, "normalize", spans.grid(), &arguments);
}

pub(super) fn backward(
    card: &'static Card,
    normalization: Normalization<'_>,
    of: Operands<'_>,
    sums: &Sums,
    [factor_diff, shift_diff]: [Option<&Buffer>; 2],
    dx: Option<&Buffer>,
) {
    let Normalization { spans, source, epilogue, .. } = normalization;
    let spans = DeviceSpans::from(spans);
    let y = given(card, epilogue.is_relu.then_some(of.y));
    let (dy, normalized) = (of.dy.device(card), given(card, of.normalized));
    let mut partial = Pointer::NULL;
    if of.normalized.is_some() {
        partial = of.statistics.partial.device_mut(card);
        card.launch(&KERNELS, "gradient_sums", spans.grid(), &[&partial, &dy, &y, &normalized, &spans]);
    } else if dx.is_none() {
        return;
    }
    let (plain, products) = (sums.plain.device_mut(card), sums.products.device_mut(card));
    let (deviation, factors) = (of.statistics.deviation.device(card), given(card, epilogue.factors));
    let through_statistics = u32::from(source == Source::Batch && of.normalized.is_some());
    let dx = written(card, dx);
    let [factor_diff, shift_diff] = [factor_diff, shift_diff].map(|diff| written(card, diff));
    let results: [&dyn Argument; 5] = [&dx, &plain, &products, &shift_diff, &factor_diff];
    let operands: [&dyn Argument; 6] = [&partial, &dy, &y, &normalized, &deviation, &factors];
    let rest: [&dyn Argument; 2] = [&spans, &through_statistics];
    card.launch(&KERNELS, "gradient", spans.grid(), &[&results[..], &operands, &rest].concat());
}

pub(super) fn read_average(card: &'static Card, average: &Buffer, weight: &Buffer, x: &Buffer) {
    let (average, weight, count) = (average.device(card), weight.device(card), x.len() as u32);
    card.launch(&KERNELS, "read_average", Grid::over(x.len()), &[&x.device_mut(card), &average, &weight, &count]);
}
