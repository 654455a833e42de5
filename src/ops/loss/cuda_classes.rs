//! Launches of `classes.cu`.

use super::{
    Margin, Normalizer, Total,
    cuda::{Parts, finish, ignored, partial},
};
use crate::{
    cuda::{Argument, Card, Grid, Source},
    ops::softmax::{Axes, cuda::DeviceAxes},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "classes", text: include_str!("classes.cu") };

pub(super) fn hinge(
    card: &'static Card,
    axes: Axes,
    [x, labels]: [&Buffer; 2],
    margins: &Buffer,
    squared: bool,
    total: &Total,
    loss: &Buffer,
) {
    let (count, parts) = (x.len(), Parts::of(x.len()));
    let (x, labels) = (x.device(card), labels.device(card));
    card.launch(
        &KERNELS,
        "hinge",
        parts.grid(),
        &[
            &partial(card, total),
            &margins.device_mut(card),
            &x,
            &labels,
            &(count as u32),
            &(axes.channels as u32),
            &u32::from(squared),
            &parts.length,
        ],
    );
    finish(card, total, parts, Normalizer::Fixed(axes.outer as f32), 1.0, loss);
}

pub(super) fn hinge_backward(
    card: &'static Card,
    axes: Axes,
    [labels, margins, loss_diff]: [&Buffer; 3],
    squared: bool,
    total: &Total,
    dx: &Buffer,
) {
    let [margins, labels, loss_diff, normalizer] =
        [margins, labels, loss_diff, total.normalizer()].map(|operand| operand.device(card));
    card.launch(
        &KERNELS,
        "hinge_backward",
        Grid::over(dx.len()),
        &[
            &dx.device_mut(card),
            &margins,
            &labels,
            &loss_diff,
            &normalizer,
            &(dx.len() as u32),
            &(axes.channels as u32),
            &u32::from(squared),
        ],
    );
}

pub(super) fn multinomial(card: &'static Card, axes: Axes, [x, labels]: [&Buffer; 2], total: &Total, loss: &Buffer) {
    let parts = Parts::of(axes.outer);
    let (x, labels) = (x.device(card), labels.device(card));
    let arguments: [&dyn Argument; 6] =
        [&partial(card, total), &x, &labels, &(axes.outer as u32), &(axes.channels as u32), &parts.length];
    card.launch(&KERNELS, "multinomial", parts.grid(), &arguments);
    finish(card, total, parts, Normalizer::Fixed(axes.outer as f32), 1.0, loss);
}

pub(super) fn multinomial_backward(
    card: &'static Card,
    axes: Axes,
    [x, labels, loss_diff]: [&Buffer; 3],
    total: &Total,
    dx: &Buffer,
) {
    let [x, labels, loss_diff, normalizer] =
        [x, labels, loss_diff, total.normalizer()].map(|operand| operand.device(card));
    let arguments: [&dyn Argument; 7] =
        [&dx.device_mut(card), &x, &labels, &loss_diff, &normalizer, &(dx.len() as u32), &(axes.channels as u32)];
    card.launch(&KERNELS, "multinomial_backward", Grid::over(dx.len()), &arguments);
}

pub(super) fn infogain(
    card: &'static Card,
    axes: Axes,
    operands: [&Buffer; 3],
    ignore: Option<i32>,
    normalizer: Normalizer,
    total: &Total,
    loss: &Buffer,
) {
    let (parts, (ignores, ignored)) = (Parts::of(axes.places()), ignored(ignore));
    let [probabilities, labels, matrix] = operands.map(|operand| operand.device(card));
    card.launch(
        &KERNELS,
        "infogain",
        parts.grid(),
        &[
            &partial(card, total),
            &probabilities,
            &labels,
            &matrix,
            &DeviceAxes::from(axes),
            &parts.length,
            &ignores,
            &ignored,
        ],
    );
    finish(card, total, parts, normalizer, 1.0, loss);
}

pub(super) fn infogain_backward(
    card: &'static Card,
    axes: Axes,
    operands: [&Buffer; 4],
    ignore: Option<i32>,
    total: &Total,
    dx: &Buffer,
) {
    let (ignores, ignored) = ignored(ignore);
    let [probabilities, labels, matrix, loss_diff] = operands.map(|operand| operand.device(card));
    let normalizer = total.normalizer().device(card);
    card.launch(
        &KERNELS,
        "infogain_backward",
        Grid::over(axes.places()),
        &[
            &dx.device_mut(card),
            &probabilities,
            &labels,
            &matrix,
            &loss_diff,
            &normalizer,
            &DeviceAxes::from(axes),
            &ignores,
            &ignored,
        ],
    );
}

/// As the kernels know it.
#[repr(C)]
#[derive(Clone, Copy)]
struct DeviceMargin {
    margin: f32,
    legacy: u32,
}

// SAFETY: the kernels' Margin, field by field.
unsafe impl Argument for DeviceMargin {}

impl From<Margin> for DeviceMargin {
    fn from(margin: Margin) -> Self {
        DeviceMargin { margin: margin.margin, legacy: u32::from(margin.legacy) }
    }
}

pub(super) fn contrastive(
    card: &'static Card,
    margin: Margin,
    [a, b, similar]: [&Buffer; 3],
    [difference, squares]: [&Buffer; 2],
    total: &Total,
    loss: &Buffer,
) {
    let (pairs, parts) = (squares.len(), Parts::of(squares.len()));
    let length = difference.len() / pairs.max(1);
    let threads = length.next_multiple_of(32).clamp(32, 256) as u32;
    let (a, b, similar) = (a.device(card), b.device(card), similar.device(card));
    let squares = squares.device_mut(card);
    let arguments: [&dyn Argument; 5] = [&squares, &difference.device_mut(card), &a, &b, &(length as u32)];
    card.launch(&KERNELS, "pair_squares", Grid::blocks(pairs, threads), &arguments);
    let arguments: [&dyn Argument; 6] =
        [&partial(card, total), &squares, &similar, &(pairs as u32), &parts.length, &DeviceMargin::from(margin)];
    card.launch(&KERNELS, "contrastive", parts.grid(), &arguments);
    finish(card, total, parts, Normalizer::Fixed(pairs as f32), 2.0, loss);
}

pub(super) fn contrastive_backward(
    card: &'static Card,
    margin: Margin,
    sign: f32,
    [similar, difference, squares, loss_diff]: [&Buffer; 4],
    total: &Total,
    gradient: &Buffer,
) {
    let (count, length) = (gradient.len(), gradient.len() / squares.len().max(1));
    let operands = [difference, squares, similar, loss_diff, total.normalizer()];
    let operands = operands.map(|operand| operand.device(card));
    let gradient = gradient.device_mut(card);
    let mut arguments: Vec<&dyn Argument> = vec![&gradient];
    arguments.extend(operands.iter().map(|operand| operand as &dyn Argument));
    let (values, length, margin) = (count as u32, length as u32, DeviceMargin::from(margin));
    arguments.extend([&values as &dyn Argument, &length, &sign, &margin]);
    card.launch(&KERNELS, "contrastive_backward", Grid::over(count), &arguments);
}
