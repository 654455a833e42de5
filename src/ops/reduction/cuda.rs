//! Launches of `reduction.cu`.

use super::Reduction;
use crate::{
    cuda::{Argument, Card, Grid, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "reduction", text: include_str!("reduction.cu") };

/// The kernels' number of a reduction.
fn number(reduction: Reduction) -> u32 {
    match reduction {
        Reduction::Sum => 0,
        Reduction::AbsoluteSum => 1,
        Reduction::SumOfSquares => 2,
    }
}

pub(super) fn forward(card: &'static Card, reduction: Reduction, factor: f32, x: &Buffer, y: &Buffer) {
    let length = x.len() / y.len().max(1);
    let threads = length.next_multiple_of(32).clamp(32, 1024) as u32;
    let x = x.device(card);
    let arguments: [&dyn Argument; 5] = [&y.device_mut(card), &x, &(length as u32), &number(reduction), &factor];
    card.launch(&KERNELS, "forward", Grid::blocks(y.len(), threads), &arguments);
}

pub(super) fn backward(card: &'static Card, reduction: Reduction, factor: f32, [x, dy]: [&Buffer; 2], dx: &Buffer) {
    let (count, length) = (dx.len(), dx.len() / dy.len().max(1));
    let (x, dy) = (x.device(card), dy.device(card));
    let arguments: [&dyn Argument; 7] =
        [&dx.device_mut(card), &x, &dy, &(count as u32), &(length as u32), &number(reduction), &factor];
    card.launch(&KERNELS, "backward", Grid::over(count), &arguments);
}
