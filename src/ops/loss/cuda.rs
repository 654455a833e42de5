//! Launches of `loss.cu`.

use super::{Normalizer, Total};
use crate::{
    cuda::{Argument, Card, Grid, Pointer, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "loss", text: include_str!("loss.cu") };

/// The most blocks that a sum is shared among.
const MOST_PARTS: usize = 256;

/// Two sums for each block.
pub(super) const PARTIAL_SUMS: usize = 2 * MOST_PARTS;

/// How a sum over values is shared among blocks; depends on their number alone.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    count: usize,
    /// Values of each block but the last.
    pub(crate) length: u32,
}

impl Parts {
    pub(crate) fn of(count: usize) -> Self {
        let length = count.div_ceil(MOST_PARTS).max(4096);
        Parts { count: count.div_ceil(length).max(1), length: length as u32 }
    }

    pub(crate) fn grid(self) -> Grid {
        Grid::blocks(self.count, 256)
    }
}

/// Where the sums over parts go, and from where [`finish`] takes them.
pub(crate) fn partial(card: &'static Card, total: &Total) -> Pointer {
    total.partial.device_mut(card)
}

/// Makes the loss of the sums over parts.
pub(crate) fn finish(
    card: &'static Card,
    total: &Total,
    parts: Parts,
    normalizer: Normalizer,
    divisor: f32,
    loss: &Buffer,
) {
    let (is_counted, fixed) = match normalizer {
        Normalizer::Counted => (1_u32, 1.0),
        Normalizer::Fixed(fixed) => (0, fixed),
    };
    let partial = total.partial.device(card);
    card.launch(
        &KERNELS,
        "finish",
        Grid::blocks(1, 256),
        &[
            &loss.device_mut(card),
            &total.normalizer.device_mut(card),
            &partial,
            &(parts.count as u32),
            &is_counted,
            &fixed,
            &divisor,
        ],
    );
}

/// The two arguments that say what is ignored.
pub(crate) fn ignored(ignore: Option<i32>) -> (u32, i32) {
    (u32::from(ignore.is_some()), ignore.unwrap_or(0))
}

pub(super) fn squared_distance(
    card: &'static Card,
    [a, b]: [&Buffer; 2],
    images: f32,
    difference: &Buffer,
    total: &Total,
    loss: &Buffer,
) {
    let (count, parts) = (difference.len(), Parts::of(difference.len()));
    let (a, b, partial) = (a.device(card), b.device(card), partial(card, total));
    let arguments: [&dyn Argument; 6] =
        [&partial, &difference.device_mut(card), &a, &b, &(count as u32), &parts.length];
    card.launch(&KERNELS, "squared_distance", parts.grid(), &arguments);
    finish(card, total, parts, Normalizer::Fixed(images), 2.0, loss);
}

pub(super) fn distance_gradient(
    card: &'static Card,
    sign: f32,
    images: f32,
    [difference, loss_diff]: [&Buffer; 2],
    dx: &Buffer,
) {
    let (difference, loss_diff, count) = (difference.device(card), loss_diff.device(card), dx.len());
    let arguments: [&dyn Argument; 6] =
        [&dx.device_mut(card), &difference, &loss_diff, &(count as u32), &sign, &images];
    card.launch(&KERNELS, "distance_gradient", Grid::over(count.div_ceil(4)), &arguments);
}

pub(super) fn sigmoid_cross_entropy(
    card: &'static Card,
    [x, targets]: [&Buffer; 2],
    ignore: Option<i32>,
    normalizer: Normalizer,
    total: &Total,
    loss: &Buffer,
) {
    let (count, parts, (ignores, ignored)) = (x.len(), Parts::of(x.len()), ignored(ignore));
    let (x, targets) = (x.device(card), targets.device(card));
    let arguments: [&dyn Argument; 7] =
        [&partial(card, total), &x, &targets, &(count as u32), &parts.length, &ignores, &ignored];
    card.launch(&KERNELS, "sigmoid_cross_entropy", parts.grid(), &arguments);
    finish(card, total, parts, normalizer, 1.0, loss);
}

pub(super) fn sigmoid_cross_entropy_backward(
    card: &'static Card,
    [x, targets, loss_diff]: [&Buffer; 3],
    ignore: Option<i32>,
    total: &Total,
    dx: &Buffer,
) {
    let (count, (ignores, ignored)) = (dx.len(), ignored(ignore));
    let [x, targets, loss_diff, normalizer] =
        [x, targets, loss_diff, &total.normalizer].map(|operand| operand.device(card));
    let arguments: [&dyn Argument; 8] =
        [&dx.device_mut(card), &x, &targets, &loss_diff, &normalizer, &(count as u32), &ignores, &ignored];
    card.launch(&KERNELS, "sigmoid_cross_entropy_gradient", Grid::over(count), &arguments);
}
