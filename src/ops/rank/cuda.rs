//! Launches of `rank.cu`.

use super::Outcomes;
use crate::{
    cuda::{Argument, Card, Grid, Pointer, Source},
    ops::softmax::{
        Axes,
        cuda::{DeviceAxes, choose},
    },
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "rank", text: include_str!("rank.cu") };

/// What counts as a hit, and what does not count.
#[repr(C)]
#[derive(Clone, Copy)]
struct Options {
    top_k: u32,
    ignores: u32,
    ignored: i32,
}

// SAFETY: the kernels' Options, field by field.
unsafe impl Argument for Options {}

pub(super) fn accuracy(
    card: &'static Card,
    axes: Axes,
    [scores, labels]: [&Buffer; 2],
    (top_k, ignore): (usize, Option<i32>),
    outcomes: &Outcomes,
    overall: &Buffer,
    per_class: Option<&Buffer>,
) {
    let options = Options { top_k: top_k as u32, ignores: u32::from(ignore.is_some()), ignored: ignore.unwrap_or(0) };
    let (kernel, grid) = choose(axes, "outcomes_of_rows", "outcomes_of_places");
    let (scores, labels) = (scores.device(card), labels.device(card));
    let outcomes = outcomes.of_places.device_mut(card);
    card.launch(&KERNELS, kernel, grid, &[&outcomes, &scores, &labels, &DeviceAxes::from(axes), &options]);
    let classes = axes.channels;
    let blocks = if per_class.is_some() { 1 + classes } else { 1 };
    let per_class = per_class.map_or(Pointer::NULL, |per_class| per_class.device_mut(card));
    let arguments: [&dyn Argument; 6] =
        [&overall.device_mut(card), &per_class, &outcomes, &labels, &(axes.places() as u32), &(classes as u32)];
    card.launch(&KERNELS, "accuracy", Grid::blocks(blocks, 256), &arguments);
}
