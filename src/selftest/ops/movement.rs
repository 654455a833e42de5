//! Checks of moves.

use crate::{
    ops::movement::{self, Moves, NOWHERE, Permutation, Runs, Spacing, Table},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "copy runs", run: |trial| runs(trial, movement::copy_runs) },
    OpCheck { name: "add runs", run: |trial| runs(trial, movement::add_runs) },
    OpCheck { name: "permute", run: permute },
    OpCheck { name: "listed moves", run: listed },
    OpCheck { name: "gather and scatter", run: gather_and_scatter },
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

fn listed(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let (sources, places, length) = (trial.size(30), trial.size(30), trial.size(200));
        let from = trial.values(sources * length);
        let [to, on_card] = trial.results(places * length);
        let mut moves = Moves::default();
        let order: Vec<usize> = (0..places).map(|_| trial.whole(0, sources - 1)).collect();
        moves.set(order.iter().enumerate().map(|(place, source)| (source * length, place * length)));
        movement::copy_listed(Device::Cpu, length, &moves, &from, &to);
        movement::copy_listed(card, length, &moves, &from, &on_card);
        trial.same("copied", &to, &on_card);
        let [sums, sums_on_card] = trial.results(sources * length);
        moves.set(order.iter().enumerate().map(|(place, source)| (place * length, source * length)));
        movement::add_listed(Device::Cpu, length, &moves, &to, &sums);
        movement::add_listed(card, length, &moves, &to, &sums_on_card);
        trial.same("added", &sums, &sums_on_card);
    }
}

fn gather_and_scatter(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let (planes, length, entries) = (trial.batch(9), trial.size(300), trial.size(700));
        let entries: Vec<u32> = (0..entries)
            .map(|_| if trial.whole(0, 5) == 0 { NOWHERE } else { trial.whole(0, length - 1) as u32 })
            .collect();
        let mut table = Table::default();
        table.set(length, entries.iter().copied());
        let [x, x_on_card] = trial.results(planes * length);
        let [y, y_on_card] = trial.results(planes * entries.len());
        movement::gather(Device::Cpu, &table, &x, &y);
        movement::gather(card, &table, &x, &y_on_card);
        trial.same("gathered", &y, &y_on_card);
        movement::scatter(Device::Cpu, &table, &y, &x);
        movement::scatter(card, &table, &y, &x_on_card);
        trial.same("scattered", &x, &x_on_card);
    }
}
