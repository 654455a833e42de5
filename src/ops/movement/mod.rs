//! Moving values without computing: runs of values from one buffer to places in another.

mod cpu;
mod cuda;
mod lists;

pub use lists::{Move, Moves, NOWHERE, Table};

use crate::tensor::{Buffer, Device};

/// `count` runs of `length` values each, evenly spaced in source and destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runs {
    /// The number of runs.
    pub count: usize,
    /// Values of one run.
    pub length: usize,
    /// Where the runs lie in the source.
    pub from: Spacing,
    /// Where they go in the destination.
    pub to: Spacing,
}

/// Where runs lie: run `n` begins at `start + n·step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spacing {
    /// The first run's first value.
    pub start: usize,
    /// From one run to the next; no less than a run's length in a destination.
    pub step: usize,
}

/// Copies the runs.
pub fn copy_runs(device: Device, runs: Runs, from: &Buffer, to: &Buffer) {
    match device {
        Device::Cpu => cpu::copy_runs(runs, &from.host(), &mut to.host_mut()),
        Device::Cuda(card) => cuda::runs(card, "copy_runs", runs, from, to),
    }
}

/// Adds the runs to what is at their places in the destination.
pub fn add_runs(device: Device, runs: Runs, from: &Buffer, to: &Buffer) {
    match device {
        Device::Cpu => cpu::add_runs(runs, &from.host(), &mut to.host_mut()),
        Device::Cuda(card) => cuda::runs(card, "add_runs", runs, from, to),
    }
}

/// Copies runs of `length` values each. On a card their places must not overlap.
pub fn copy_listed(device: Device, length: usize, moves: &Moves, from: &Buffer, to: &Buffer) {
    match device {
        Device::Cpu => cpu::copy_listed(length, moves.list(), &from.host(), &mut to.host_mut()),
        Device::Cuda(card) => cuda::copy_listed(card, length, moves, from, to),
    }
}

/// Adds runs of `length` values each to what is at their places, one after another: a place may be named several times, but places
/// lie whole runs apart.
pub fn add_listed(device: Device, length: usize, moves: &Moves, from: &Buffer, to: &Buffer) {
    match device {
        Device::Cpu => cpu::add_listed(length, moves.list(), &from.host(), &mut to.host_mut()),
        Device::Cuda(card) => cuda::add_listed(card, length, moves, from, to),
    }
}

/// For each plane of the source: one value for each entry of the table, taken from that place of the plane.
pub fn gather(device: Device, table: &Table, from: &Buffer, to: &Buffer) {
    match device {
        Device::Cpu => cpu::gather(table.entries(), table.length(), &from.host(), &mut to.host_mut()),
        Device::Cuda(card) => cuda::gather(card, table, from, to),
    }
}

/// The gradient of [`gather`]: each plane of the destination is the sum of what was taken from its places.
pub fn scatter(device: Device, table: &Table, from: &Buffer, to: &Buffer) {
    match device {
        Device::Cpu => cpu::scatter(table.entries(), table.length(), &from.host(), &mut to.host_mut()),
        Device::Cuda(card) => cuda::scatter(card, table, from, to),
    }
}

/// Axes in another order: result axis i is axis `order[i]` of the source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permutation {
    /// The result's dimensions.
    dims: Vec<usize>,
    /// For each axis of the result, the distance of neighbours in the source.
    steps: Vec<usize>,
}

impl Permutation {
    /// The permutation of a source with these dimensions; `order` names each axis once.
    pub fn new(source: &[usize], order: &[usize]) -> Self {
        let step = |axis: usize| source[axis + 1..].iter().product::<usize>();
        let (dims, steps) = order.iter().map(|&axis| (source[axis], step(axis))).unzip();
        Permutation { dims, steps }
    }
}

/// Copies the values in the permutation's order.
pub fn permute(device: Device, permutation: &Permutation, from: &Buffer, to: &Buffer) {
    match device {
        Device::Cuda(card) if permutation.fits_device() => cuda::permute(card, permutation, from, to),
        Device::Cpu | Device::Cuda(_) => cpu::permute(permutation, &from.host(), &mut to.host_mut()),
    }
}
