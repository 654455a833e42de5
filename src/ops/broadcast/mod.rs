//! A vector laid along some axes of a larger blob: y = factor·x + shift, and the sums that are its gradients.
//!
//! The blob is seen as `outer`×`dim`×`inner` values; the vector has `dim` values, each for `outer` runs of `inner` values.

pub(crate) mod cpu;
pub(in crate::ops) mod cuda;

use crate::tensor::{Buffer, Device};

/// How a vector lies along a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spans {
    /// Product of the blob's dimensions before those of the vector.
    pub outer: usize,
    /// Values of the vector.
    pub dim: usize,
    /// Product of the blob's dimensions behind those of the vector.
    pub inner: usize,
}

impl Spans {
    /// Values of the blob.
    pub fn count(&self) -> usize {
        self.outer * self.dim * self.inner
    }
}

/// y = factors·x + shifts; without factors these count as 1, without shifts as 0. `y` may be the memory of `x`.
pub fn affine(device: Device, spans: Spans, x: &Buffer, factors: Option<&Buffer>, shifts: Option<&Buffer>, y: &Buffer) {
    match device {
        Device::Cpu => cpu::affine(spans, x, factors, shifts, y),
        Device::Cuda(card) => cuda::affine(card, spans, x, factors, shifts, y),
    }
}

/// Memory for the sums over all values that belong to one value of the vector.
#[derive(Debug, Default)]
pub struct Sums {
    /// Σ a.
    pub plain: Buffer,
    /// Σ a·b.
    pub products: Buffer,
    /// On a card: the sums over parts of the values.
    partial: Buffer,
}

impl Sums {
    /// Makes room for a vector of this many values.
    pub fn resize(&mut self, dim: usize) {
        self.plain.resize(dim);
        self.products.resize(dim);
        self.partial.resize(cuda::partial_sums(dim));
    }
}

/// Sums `a` and, when given, `a·b` for each value of the vector.
pub fn sums(device: Device, spans: Spans, a: &Buffer, b: Option<&Buffer>, sums: &Sums) {
    match device {
        Device::Cpu => cpu::sums(spans, a, b, sums),
        Device::Cuda(card) => cuda::sums(card, spans, a, b, sums),
    }
}
