//! Launches of `eltwise.cu`. In kernels of the macros MAP a thread does four values.

use crate::{
    cuda::{Card, Grid, Pointer, Source},
    tensor::{Buffer, Synced},
};

static KERNELS: Source = Source { name: "eltwise", text: include_str!("eltwise.cu") };

pub(super) fn weighted_sum(card: &'static Card, factors: [f32; 2], [a, b]: [&Buffer; 2], is_relu: bool, y: &Buffer) {
    let kernel = if is_relu { "weighted_sum_relu" } else { "weighted_sum" };
    let (a, b, count) = (a.device(card), b.device(card), y.len());
    let [first, second] = factors;
    card.launch(
        &KERNELS,
        kernel,
        Grid::over(count.div_ceil(4)),
        &[&y.device_mut(card), &a, &b, &(count as u32), &first, &second],
    );
}

pub(super) fn weighted_sum_backward(
    card: &'static Card,
    factors: [f32; 2],
    y: Option<&Buffer>,
    dy: &Buffer,
    dx: [Option<&Buffer>; 2],
) {
    let (count, grid) = (dy.len() as u32, Grid::over(dy.len().div_ceil(4)));
    let (y, dy) = (y.map(|y| y.device(card)), dy.device(card));
    if let [Some(a), Some(b)] = dx {
        let y = y.unwrap_or(Pointer::NULL);
        let [first, second] = factors;
        let (a, b) = (a.device_mut(card), b.device_mut(card));
        card.launch(&KERNELS, "weighted_both", grid, &[&a, &b, &y, &dy, &count, &first, &second]);
        return;
    }
    for (factor, dx) in factors.into_iter().zip(dx) {
        match (dx, y) {
            (None, _) => {}
            (Some(dx), Some(y)) => {
                card.launch(&KERNELS, "weighted_relu", grid, &[&dx.device_mut(card), &y, &dy, &count, &factor]);
            }
            (Some(dx), None) => {
                card.launch(&KERNELS, "weighted", grid, &[&dx.device_mut(card), &dy, &count, &factor]);
            }
        }
    }
}

pub(super) fn maximum(card: &'static Card, [a, b]: [&Buffer; 2], y: &Buffer, winners: &Synced<u32>) {
    let (a, b, count) = (a.device(card), b.device(card), y.len() as u32);
    let winners = winners.device_mut(card);
    card.launch(&KERNELS, "maximum", Grid::over(y.len()), &[&y.device_mut(card), &winners, &a, &b, &count]);
}

pub(super) fn raise(card: &'static Card, x: &Buffer, operand: u32, y: &Buffer, winners: &Synced<u32>) {
    let (x, count) = (x.device(card), y.len() as u32);
    let winners = winners.device_mut(card);
    card.launch(&KERNELS, "raise_maximum", Grid::over(y.len()), &[&y.device_mut(card), &winners, &x, &operand, &count]);
}

pub(super) fn winner_gradient(card: &'static Card, winners: &Synced<u32>, operand: u32, dy: &Buffer, dx: &Buffer) {
    let (winners, dy, count) = (winners.device(card), dy.device(card), dx.len() as u32);
    let grid = Grid::over(dx.len());
    card.launch(&KERNELS, "winner_gradient", grid, &[&dx.device_mut(card), &winners, &operand, &dy, &count]);
}
