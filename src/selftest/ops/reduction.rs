//! Checks of reductions of rows.

use crate::{
    ops::reduction::{self, Reduction},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[OpCheck { name: "forward and backward", run: both_ways }];

fn both_ways(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let reduction = [Reduction::Sum, Reduction::AbsoluteSum, Reduction::SumOfSquares][case % 3];
        let (rows, length, factor) = (trial.batch(30), trial.size(1_500), trial.number(-2.0, 2.0));
        let (x, dy) = (trial.values(rows * length), trial.values(rows));
        let [y, y_on_card] = trial.results(rows);
        let [dx, dx_on_card] = trial.results(rows * length);
        for (device, y, dx) in [(Device::Cpu, &y, &dx), (card, &y_on_card, &dx_on_card)] {
            reduction::forward(device, reduction, factor, &x, y);
            reduction::backward(device, reduction, factor, &x, &dy, dx);
        }
        trial.close("y", &y, &y_on_card);
        trial.same("dx", &dx, &dx_on_card);
    }
    let (rows, length) = (trial.large(4_096, 3), 4_096);
    let (x, y) = (Buffer::zeros(rows * length), Buffer::zeros(rows));
    let count = (rows * length) as u64;
    trial.time(4 * count, count, || reduction::forward(card, Reduction::Sum, 1.0, &x, &y));
}
