//! Launches of `movement.cu`.

use super::{Moves, Permutation, Runs, Table};
use crate::{
    cuda::{Argument, Card, Grid, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "movement", text: include_str!("movement.cu") };

/// As the kernels know it.
#[repr(C)]
#[derive(Clone, Copy)]
struct DeviceRuns {
    count: u32,
    length: u32,
    from_start: u32,
    from_step: u32,
    to_start: u32,
    to_step: u32,
}

// SAFETY: the kernels' Runs, field by field.
unsafe impl Argument for DeviceRuns {}

/// A kernel that moves runs: `copy_runs` or `add_runs`.
pub(super) fn runs(card: &'static Card, kernel: &'static str, runs: Runs, from: &Buffer, to: &Buffer) {
    let from = from.device(card);
    let arguments = DeviceRuns {
        count: runs.count as u32,
        length: runs.length as u32,
        from_start: runs.from.start as u32,
        from_step: runs.from.step as u32,
        to_start: runs.to.start as u32,
        to_step: runs.to.step as u32,
    };
    let grid = Grid::over((runs.count * runs.length).div_ceil(4));
    card.launch(&KERNELS, kernel, grid, &[&to.device_mut(card), &from, &arguments]);
}

/// The kernels' MOST_AXES.
const MOST_AXES: usize = 8;

/// As the kernels know it.
#[repr(C)]
#[derive(Clone, Copy)]
struct DevicePermutation {
    axes: u32,
    dims: [u32; MOST_AXES],
    steps: [u32; MOST_AXES],
}

// SAFETY: the kernels' Permutation, field by field.
unsafe impl Argument for DevicePermutation {}

impl Permutation {
    /// Whether a card can do it; otherwise the CPU does.
    pub fn fits_device(&self) -> bool {
        self.dims.len() <= MOST_AXES
    }
}

pub(super) fn permute(card: &'static Card, permutation: &Permutation, from: &Buffer, to: &Buffer) {
    let mut arguments =
        DevicePermutation { axes: permutation.dims.len() as u32, dims: [1; MOST_AXES], steps: [0; MOST_AXES] };
    for (axis, (dim, step)) in permutation.dims.iter().zip(&permutation.steps).enumerate() {
        (arguments.dims[axis], arguments.steps[axis]) = (*dim as u32, *step as u32);
    }
    let from = from.device(card);
    card.launch(
        &KERNELS,
        "permute",
        Grid::over(to.len()),
        &[&to.device_mut(card), &from, &(to.len() as u32), &arguments],
    );
}

/// Runs of a list: `copy_listed`, whose places do not overlap, or `add_listed`.
pub(super) fn copy_listed(card: &'static Card, length: usize, moves: &Moves, from: &Buffer, to: &Buffer) {
    let (count, from, pairs) = (moves.list().len(), from.device(card), moves.pairs().device(card));
    let arguments: [&dyn Argument; 5] = [&to.device_mut(card), &from, &pairs, &(count as u32), &(length as u32)];
    card.launch(&KERNELS, "copy_listed", Grid::over(count * length), &arguments);
}

/// A thread for each value of a run adds all of the list, in its order.
pub(super) fn add_listed(card: &'static Card, length: usize, moves: &Moves, from: &Buffer, to: &Buffer) {
    let (count, from, pairs) = (moves.list().len(), from.device(card), moves.pairs().device(card));
    let arguments: [&dyn Argument; 5] = [&to.device_mut(card), &from, &pairs, &(count as u32), &(length as u32)];
    card.launch(&KERNELS, "add_listed", Grid::over(length), &arguments);
}

pub(super) fn gather(card: &'static Card, table: &Table, from: &Buffer, to: &Buffer) {
    let (entries, length) = (table.entries().len(), table.length());
    let planes = to.len() / entries.max(1);
    let (from, [on_card, ..]) = (from.device(card), table.on_card());
    card.launch(
        &KERNELS,
        "gather",
        Grid::over(planes * entries),
        &[&to.device_mut(card), &from, &on_card.device(card), &(entries as u32), &(length as u32), &(planes as u32)],
    );
}

pub(super) fn scatter(card: &'static Card, table: &Table, from: &Buffer, to: &Buffer) {
    let (entries, length) = (table.entries().len(), table.length());
    let planes = to.len() / length.max(1);
    let (from, [_, order, starts]) = (from.device(card), table.on_card());
    card.launch(
        &KERNELS,
        "scatter",
        Grid::over(planes * length),
        &[
            &to.device_mut(card),
            &from,
            &order.device(card),
            &starts.device(card),
            &(entries as u32),
            &(length as u32),
            &(planes as u32),
        ],
    );
}
