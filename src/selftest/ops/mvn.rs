//! Checks of mean-variance normalization.

use crate::{
    ops::mvn,
    selftest::check::{OpCheck, Trial},
    tensor::Device,
};

pub static CHECKS: &[OpCheck] = &[OpCheck { name: "forward and backward", run: both_ways }];

fn both_ways(trial: &mut Trial) {
    for case in 0..trial.cases() {
        let (rows, length) = (trial.batch(20), 1 + trial.size(1_500));
        let (x, dy) = (trial.values(rows * length), trial.values(rows * length));
        let [y, y_on_card] = trial.results(rows * length);
        let [dx, dx_on_card] = trial.results(rows * length);
        let [deviations, on_card] = trial.results(rows);
        let wanted = !case.is_multiple_of(3);
        mvn::forward(Device::Cpu, (rows, 1e-3), &x, &y, wanted.then_some(&deviations));
        mvn::forward(trial.card(), (rows, 1e-3), &x, &y_on_card, wanted.then_some(&on_card));
        trial.close("y", &y, &y_on_card);
        trial.close("deviations", &deviations, &on_card);
        mvn::backward(Device::Cpu, rows, &y, &dy, wanted.then_some(&deviations), &dx);
        mvn::backward(trial.card(), rows, &y, &dy, wanted.then_some(&deviations), &dx_on_card);
        trial.close("dx", &dx, &dx_on_card);
    }
}
