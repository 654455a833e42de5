//! Launches of `elementwise.cu`.

use crate::{
    cuda::{Argument, Card, Grid, Pointer, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "elementwise", text: include_str!("elementwise.cu") };

pub(super) fn fill(card: &'static Card, value: f32, y: &Buffer) {
    card.launch(&KERNELS, "fill", grid(y), &[&y.device_mut(card), &(y.len() as u32), &value]);
}

/// y = x; nothing when they are the same memory.
pub(super) fn copy(card: &'static Card, x: &Buffer, y: &Buffer) {
    if !x.is_same(y) {
        let x = x.device(card);
        card.launch(&KERNELS, "copy", grid(y), &[&y.device_mut(card), &x, &(y.len() as u32)]);
    }
}

/// A kernel of x, y and a factor.
pub(super) fn with_factor(card: &'static Card, kernel: &'static str, factor: f32, x: &Buffer, y: &Buffer) {
    let x = x.device(card);
    card.launch(&KERNELS, kernel, grid(y), &[&y.device_mut(card), &x, &(y.len() as u32), &factor]);
}

pub(super) fn scale_by(card: &'static Card, factor: &Buffer, x: &Buffer, y: &Buffer) {
    let (factor, x) = (factor.device(card), x.device(card));
    card.launch(&KERNELS, "scale_by", grid(y), &[&y.device_mut(card), &x, &(y.len() as u32), &factor]);
}

/// A kernel of two operands.
pub(super) fn of_two(card: &'static Card, kernel: &'static str, a: &Buffer, b: &Buffer, y: &Buffer) {
    let (a, b) = (a.device(card), b.device(card));
    card.launch(&KERNELS, kernel, grid(y), &[&y.device_mut(card), &a, &b, &(y.len() as u32)]);
}

/// The kernel's MOST_TERMS.
const MOST_TERMS: usize = 8;

/// As the kernel knows it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Terms {
    at: [Pointer; MOST_TERMS],
    number: u32,
}

// SAFETY: the kernel's Terms, field by field.
unsafe impl Argument for Terms {}

/// y = Σ terms, in their order and as many at once as the kernel takes.
pub(super) fn add_all(card: &'static Card, terms: &[&Buffer], y: &Buffer) {
    if terms.is_empty() {
        return fill(card, 0.0, y);
    }
    let mut sum: Option<&Buffer> = None;
    let mut rest = terms;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(MOST_TERMS - usize::from(sum.is_some())));
        let mut at = [Pointer::NULL; MOST_TERMS];
        let number = sum.iter().chain(now).zip(&mut at).map(|(term, at)| *at = term.device(card)).count();
        let arguments: [&dyn Argument; 3] =
            [&y.device_mut(card), &Terms { at, number: number as u32 }, &(y.len() as u32)];
        card.launch(&KERNELS, "add_all", grid(y), &arguments);
        (sum, rest) = (Some(y), later);
    }
}

/// A thread does four values.
fn grid(y: &Buffer) -> Grid {
    Grid::over(y.len().div_ceil(4))
}
