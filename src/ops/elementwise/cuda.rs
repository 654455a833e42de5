//! Launches of `elementwise.cu`.

use crate::{
    cuda::{Card, Grid, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "elementwise", text: include_str!("elementwise.cu") };

pub(super) fn fill(card: &'static Card, value: f32, y: &Buffer) {
    card.launch(&KERNELS, "fill", Grid::over(y.len()), &[&y.device_mut(card), &(y.len() as u32), &value]);
}

/// y = x; nothing when they are the same memory.
pub(super) fn copy(card: &'static Card, x: &Buffer, y: &Buffer) {
    if !x.is_same(y) {
        let x = x.device(card);
        card.launch(&KERNELS, "copy", Grid::over(y.len()), &[&y.device_mut(card), &x, &(y.len() as u32)]);
    }
}

/// A kernel of x, y and a factor.
pub(super) fn with_factor(card: &'static Card, kernel: &'static str, factor: f32, x: &Buffer, y: &Buffer) {
    let x = x.device(card);
    card.launch(&KERNELS, kernel, Grid::over(y.len()), &[&y.device_mut(card), &x, &(y.len() as u32), &factor]);
}

/// A kernel of two operands.
pub(super) fn of_two(card: &'static Card, kernel: &'static str, a: &Buffer, b: &Buffer, y: &Buffer) {
    let (a, b) = (a.device(card), b.device(card));
    card.launch(&KERNELS, kernel, Grid::over(y.len()), &[&y.device_mut(card), &a, &b, &(y.len() as u32)]);
}

/// y = Σ terms, one by one in their order.
pub(super) fn add_all(card: &'static Card, terms: &[&Buffer], y: &Buffer) {
    match terms {
        [] => fill(card, 0.0, y),
        [only] => copy(card, only, y),
        [first, second, rest @ ..] => {
            of_two(card, "add", first, second, y);
            rest.iter().for_each(|term| of_two(card, "add", y, term, y));
        }
    }
}
