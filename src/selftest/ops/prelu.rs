//! Checks of the parametric rectifier.

use super::broadcast::spans;
use crate::{
    ops::{broadcast::Spans, prelu},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "forward", run: forward },
    OpCheck { name: "backward", run: backward },
    OpCheck { name: "slope gradient", run: slope_gradient },
];

fn forward(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let spans = spans(trial);
        let (x, slopes) = (trial.values(spans.count()), trial.values(spans.dim));
        let (y, on_card) = (trial.twin(&x), trial.twin(&x));
        let in_place = case.is_multiple_of(2);
        prelu::forward(Device::Cpu, spans, if in_place { &y } else { &x }, &slopes, &y);
        prelu::forward(card, spans, if in_place { &on_card } else { &x }, &slopes, &on_card);
        trial.same("y", &y, &on_card);
    }
    let spans = Spans { outer: trial.large(256, 3), dim: 64, inner: 28 * 28 };
    let (x, y, slopes) = (Buffer::zeros(spans.count()), Buffer::zeros(spans.count()), Buffer::zeros(spans.dim));
    let count = spans.count() as u64;
    trial.time(8 * count, count, || prelu::forward(card, spans, &x, &slopes, &y));
}

fn backward(trial: &mut Trial) {
    for case in 0..trial.cases() {
        let spans = spans(trial);
        let (x, dy, slopes) = (trial.values(spans.count()), trial.values(spans.count()), trial.values(spans.dim));
        let (dx, on_card) = (trial.twin(&dy), trial.twin(&dy));
        let in_place = case.is_multiple_of(2);
        prelu::backward(Device::Cpu, spans, &x, &slopes, if in_place { &dx } else { &dy }, &dx);
        prelu::backward(trial.card(), spans, &x, &slopes, if in_place { &on_card } else { &dy }, &on_card);
        trial.same("dx", &dx, &on_card);
    }
}

fn slope_gradient(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let spans = spans(trial);
        let (x, dy) = (trial.values(spans.count()), trial.values(spans.count()));
        let sums = Buffer::zeros(spans.outer * spans.dim);
        let [gradient, on_card] = trial.results(spans.dim);
        prelu::slope_gradient(Device::Cpu, spans, &x, &dy, &sums, &gradient);
        prelu::slope_gradient(trial.card(), spans, &x, &dy, &sums, &on_card);
        trial.close("gradient", &gradient, &on_card);
    }
}
