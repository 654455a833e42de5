//! Moving values without computing: runs of values from one buffer to places in another.

mod cpu;

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
    }
}

/// Adds the runs to what is at their places in the destination.
pub fn add_runs(device: Device, runs: Runs, from: &Buffer, to: &Buffer) {
    match device {
        Device::Cpu => cpu::add_runs(runs, &from.host(), &mut to.host_mut()),
    }
}
