//! Checks of softmax and its loss.

use super::loss::{normalizer, one};
use crate::{
    ops::{
        loss::Total,
        softmax::{self, Axes},
    },
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "forward", run: forward },
    OpCheck { name: "backward", run: backward },
    OpCheck { name: "loss", run: loss },
    OpCheck { name: "bad labels", run: bad_labels },
];

/// Axes of some thousand values.
pub fn axes(trial: &mut Trial) -> Axes {
    let inner = trial.pick(&[1, 1, 1, 2, 7, 33, 100]);
    let channels = if inner == 1 { trial.size(1_100) } else { trial.size(40) };
    Axes { outer: trial.batch(40), channels, inner }
}

fn count(axes: Axes) -> usize {
    axes.places() * axes.channels
}

fn forward(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let axes = axes(trial);
        let (x, factor) = (trial.values(count(axes)), trial.pick(&[1.0, 5.0, 30.0]));
        x.host_mut().iter_mut().for_each(|x| *x *= factor);
        let (y, on_card) = (trial.twin(&x), trial.twin(&x));
        let in_place = case.is_multiple_of(3);
        softmax::forward(Device::Cpu, axes, if in_place { &y } else { &x }, &y);
        softmax::forward(card, axes, if in_place { &on_card } else { &x }, &on_card);
        trial.close("y", &y, &on_card);
    }
    let axes = Axes { outer: trial.large(4_096, 4), channels: 1_000, inner: 1 };
    let [x, y] = [(); 2].map(|()| Buffer::zeros(count(axes)));
    let count = count(axes) as u64;
    trial.time(8 * count, 3 * count, || softmax::forward(card, axes, &x, &y));
}

fn backward(trial: &mut Trial) {
    for case in 0..trial.cases() {
        let axes = axes(trial);
        let (y, dy) = (trial.values_within(0.0, 1.0, count(axes)), trial.values(count(axes)));
        let (dx, on_card) = (trial.twin(&dy), trial.twin(&dy));
        let in_place = case.is_multiple_of(3);
        softmax::backward(Device::Cpu, axes, &y, if in_place { &dx } else { &dy }, &dx);
        softmax::backward(trial.card(), axes, &y, if in_place { &on_card } else { &dy }, &on_card);
        trial.close("dx", &dx, &on_card);
    }
}

fn loss(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let axes = if case == 0 { Axes { outer: 3, channels: 4, inner: 4_100 } } else { axes(trial) };
        let (probabilities, labels) = (trial.values_within(0.0, 1.0, count(axes)), labels(trial, axes));
        let ignore = (case.is_multiple_of(2)).then_some(axes.channels as i32 / 2);
        let (normalizer, loss_diff) = (normalizer(trial, case), one(trial.number(0.1, 2.0)));
        let [on_cpu, on_card] = [Device::Cpu, card].map(|device| {
            let (total, loss, dx) = (Total::default(), one(7.0), trial.values(count(axes)));
            let operands = [&probabilities, &labels];
            let good = softmax::loss_forward(device, axes, operands, ignore, normalizer, &total, &loss).is_ok();
            trial.expect(good, || "labels are good".into());
            let operands = [&probabilities, &labels, &loss_diff];
            softmax::loss_backward(device, axes, operands, ignore, &total, &dx);
            (loss, dx)
        });
        trial.close("loss", &on_cpu.0, &on_card.0);
        trial.same("dx", &on_cpu.1, &on_card.1);
    }
    let axes = Axes { outer: trial.large(4_096, 4), channels: 1_000, inner: 1 };
    let [probabilities, dx] = [(); 2].map(|()| Buffer::zeros(count(axes)));
    let (labels, loss_diff, total) = (Buffer::zeros(axes.outer), one(1.0), Total::default());
    let operands = [&probabilities, &labels, &loss_diff];
    trial.time(8 * count(axes) as u64, count(axes) as u64, || {
        softmax::loss_backward(card, axes, operands, None, &total, &dx);
    });
}

/// Labels, not all of which are whole numbers.
pub fn labels(trial: &mut Trial, axes: Axes) -> Buffer {
    let labels = trial.labels(axes.channels, axes.places());
    let places: Vec<usize> = (0..axes.places()).step_by(5).collect();
    for place in places {
        labels.host_mut()[place] += 0.7;
    }
    labels
}

fn bad_labels(trial: &mut Trial) {
    for case in 0..trial.cases() {
        let mut axes = axes(trial);
        axes.outer = axes.outer.max(1);
        let (probabilities, labels) = (trial.values_within(0.0, 1.0, count(axes)), labels(trial, axes));
        let bad = [-1.0, axes.channels as f32, 1e20, -1e20, f32::NAN, f32::INFINITY][case % 6];
        let place = trial.whole(0, axes.places() - 1);
        labels.host_mut()[place] = bad;
        let (total, loss) = (Total::default(), one(7.0));
        let operands = [&probabilities, &labels];
        for (device, ignore) in [(Device::Cpu, None), (trial.card(), None), (trial.card(), Some(i32::MAX))] {
            let normalizer = normalizer(trial, case);
            let result = softmax::loss_forward(device, axes, operands, ignore, normalizer, &total, &loss);
            let is_card = device != Device::Cpu;
            let found = softmax::check_labels(axes, &labels, ignore).is_err();
            let ignored = ignore.is_some() && matches!(case % 6, 2 | 5);
            let is_right = if is_card { result.is_ok() && loss.host()[0].is_nan() != ignored } else { result.is_err() };
            trial.expect(is_right && found != ignored, || format!("label {bad} of {axes:?} on {device:?}"));
        }
    }
}
