//! Checks of resizing.

use crate::{
    ops::resize::{self, Axis, Bilinear},
    selftest::check::{OpCheck, Trial},
    tensor::Device,
};

pub static CHECKS: &[OpCheck] = &[OpCheck { name: "bilinear", run: bilinear }];

fn axis(trial: &mut Trial) -> Axis {
    let source = trial.size(40);
    let start = trial.whole(0, source - 1);
    let window = trial.whole(1, source - start);
    Axis { source, start, window, result: trial.size(40) }
}

fn bilinear(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let (rows, columns, planes) = (axis(trial), axis(trial), trial.batch(4));
        let plan = Bilinear::new(rows, columns);
        let (source, result) = (planes * rows.source * columns.source, planes * rows.result * columns.result);
        let [x, x_on_card] = trial.results(source);
        let [y, y_on_card] = trial.results(result);
        resize::bilinear_forward(Device::Cpu, &plan, &x, &y);
        resize::bilinear_forward(card, &plan, &x, &y_on_card);
        trial.same("y", &y, &y_on_card);
        resize::bilinear_backward(Device::Cpu, &plan, &y, &x);
        resize::bilinear_backward(card, &plan, &y, &x_on_card);
        trial.close("dx", &x, &x_on_card);
    }
}
