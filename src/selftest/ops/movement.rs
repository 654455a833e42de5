//! Checks of moves.

use crate::{
    ops::movement::{self, Permutation, Runs, Spacing},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "copy runs", run: |trial| runs(trial, movement::copy_runs) },
    OpCheck { name: "add runs", run: |trial| runs(trial, movement::add_runs) },
    OpCheck { name: "permute", run: permute },
];

/// Runs, and the values of source and destination.
fn some_runs(trial: &mut Trial, case: usize) -> (Runs, usize, usize) {
    let unit = if case.is_multiple_of(2) { 4 } else { 1 };
    let (count, length) = (trial.batch(40), unit * trial.size(100));
    let mut spacing = || Spacing { start: unit * trial.whole(0, 9), step: length + unit * trial.whole(0, 9) };
    let (from, to) = (spacing(), spacing());
    let extent = |spacing: Spacing| spacing.start + count * spacing.step;
    (Runs { count, length, from, to }, extent(from), extent(to))
}

fn runs(trial: &mut Trial, op: fn(Device, Runs, &Buffer, &Buffer)) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let (runs, source, destination) = some_runs(trial, case);
        let from = trial.values(source);
        let [to, on_card] = trial.results(destination);
        op(Device::Cpu, runs, &from, &to);
        op(card, runs, &from, &on_card);
        trial.same("moved", &to, &on_card);
    }
    let (count, length) = (trial.large(256, 3), 64 * 28 * 28);
    let from = Spacing { start: 0, step: length };
    let to = Spacing { start: length, step: 4 * length };
    let (runs, moved) = (Runs { count, length, from, to }, (count * length) as u64);
    let (from, to) = (Buffer::zeros(count * length), Buffer::zeros(4 * count * length));
    trial.time(8 * moved, 0, || op(card, runs, &from, &to));
}

fn permute(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let axes = trial.whole(0, 6);
        let dims: Vec<usize> = (0..axes).map(|_| trial.whole(1, 5)).collect();
        let mut order: Vec<usize> = (0..axes).collect();
        (0..axes).for_each(|axis| order.swap(axis, trial.whole(axis, axes - 1)));
        let (permutation, count) = (Permutation::new(&dims, &order), dims.iter().product());
        let from = trial.values(count);
        let [to, on_card] = trial.results(count);
        movement::permute(Device::Cpu, &permutation, &from, &to);
        movement::permute(card, &permutation, &from, &on_card);
        trial.same("moved", &to, &on_card);
    }
    let dims = [trial.large(256, 2), 64, 28, 28];
    let (permutation, count) = (Permutation::new(&dims, &[0, 2, 3, 1]), dims.iter().product());
    let [from, to] = [(); 2].map(|()| Buffer::zeros(count));
    trial.time(8 * count as u64, 0, || movement::permute(card, &permutation, &from, &to));
}
