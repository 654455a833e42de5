//! Checks of value by value ops: the CPU's bits, in place too.

use crate::{
    ops::elementwise,
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "fill", run: fill },
    OpCheck { name: "copy", run: |trial| of_one(trial, |device, _, x, y| elementwise::copy(device, x, y)) },
    OpCheck { name: "scale", run: |trial| of_one(trial, elementwise::scale) },
    OpCheck { name: "scale_by", run: |trial| of_one(trial, scale_by) },
    OpCheck { name: "add_scaled", run: |trial| of_one(trial, elementwise::add_scaled) },
    OpCheck { name: "add", run: |trial| of_two(trial, elementwise::add) },
    OpCheck { name: "subtract", run: |trial| of_two(trial, elementwise::subtract) },
    OpCheck { name: "multiply", run: |trial| of_two(trial, elementwise::multiply) },
    OpCheck { name: "divide", run: |trial| of_two(trial, elementwise::divide) },
    OpCheck { name: "add_all", run: add_all },
];

/// Values of a timed case, and of one that is not timed.
const TIMED: [usize; 2] = [1 << 25, 3_000];

fn fill(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let (count, value) = (trial.batch(5_000), trial.number(-2.0, 2.0));
        let [y, on_card] = trial.results(count);
        elementwise::fill(Device::Cpu, value, &y);
        elementwise::fill(trial.card(), value, &on_card);
        trial.same("y", &y, &on_card);
    }
    let (count, card) = (trial.large(TIMED[0], TIMED[1]), trial.card());
    let y = Buffer::zeros(count);
    trial.time(4 * count as u64, 0, || elementwise::fill(card, 1.0, &y));
}

fn scale_by(device: Device, factor: f32, x: &Buffer, y: &Buffer) {
    // Factors that count for themselves come up too.
    let factor = if factor.abs() < 0.5 { 0.0 } else { factor };
    elementwise::scale_by(device, &Buffer::from(vec![factor]), x, y);
}

fn of_one(trial: &mut Trial, op: fn(Device, f32, &Buffer, &Buffer)) {
    for case in 0..trial.cases() {
        let (count, factor) = (trial.batch(5_000), trial.number(-2.0, 2.0));
        let [y, on_card] = trial.results(count);
        if case % 3 == 0 {
            op(Device::Cpu, factor, &y, &y);
            op(trial.card(), factor, &on_card, &on_card);
        } else {
            let x = trial.values(count);
            op(Device::Cpu, factor, &x, &y);
            op(trial.card(), factor, &x, &on_card);
        }
        trial.same("y", &y, &on_card);
    }
    let (count, card) = (trial.large(TIMED[0], TIMED[1]), trial.card());
    let [x, y] = [Buffer::zeros(count), Buffer::zeros(count)];
    trial.time(8 * count as u64, count as u64, || op(card, 2.0, &x, &y));
}

fn of_two(trial: &mut Trial, op: fn(Device, &Buffer, &Buffer, &Buffer)) {
    for case in 0..trial.cases() {
        let count = trial.batch(5_000);
        let a = trial.values(count);
        let [y, on_card] = trial.results(count);
        if case % 3 == 0 {
            op(Device::Cpu, &a, &y, &y);
            op(trial.card(), &a, &on_card, &on_card);
        } else {
            let b = trial.values(count);
            op(Device::Cpu, &a, &b, &y);
            op(trial.card(), &a, &b, &on_card);
        }
        trial.same("y", &y, &on_card);
    }
    let (count, card) = (trial.large(TIMED[0], TIMED[1]), trial.card());
    let [a, b, y] = [(); 3].map(|()| Buffer::zeros(count));
    trial.time(12 * count as u64, count as u64, || op(card, &a, &b, &y));
}

fn add_all(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let (count, terms) = (trial.batch(3_000), trial.whole(1, 18));
        let terms: Vec<Buffer> = (0..terms).map(|_| trial.values(count)).collect();
        let terms: Vec<&Buffer> = terms.iter().collect();
        let [y, on_card] = trial.results(count);
        elementwise::add_all(Device::Cpu, &terms, &y);
        elementwise::add_all(trial.card(), &terms, &on_card);
        trial.same("y", &y, &on_card);
    }
}
