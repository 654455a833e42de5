//! Checks of losses.

use super::softmax::{axes, labels};
use crate::{
    ops::{
        loss::{self, Margin, Normalizer, Total},
        softmax::Axes,
    },
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "squared distance", run: squared_distance },
    OpCheck { name: "sigmoid cross entropy", run: sigmoid_cross_entropy },
    OpCheck { name: "hinge", run: hinge },
    OpCheck { name: "multinomial logistic", run: multinomial },
    OpCheck { name: "infogain", run: infogain },
    OpCheck { name: "contrastive", run: contrastive },
];

/// A buffer of one value.
pub fn one(value: f32) -> Buffer {
    Buffer::from(vec![value])
}

/// One of all kinds.
pub fn normalizer(trial: &mut Trial, case: usize) -> Normalizer {
    if case.is_multiple_of(2) { Normalizer::Counted } else { Normalizer::Fixed(trial.number(1.0, 50.0)) }
}

fn squared_distance(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        // In the first case several blocks.
        let count = if case == 0 { 9_001 } else { trial.batch(5_000) };
        let (a, b, loss_diff) = (trial.values(count), trial.values(count), one(trial.number(0.1, 2.0)));
        let images = trial.whole(1, 64) as f32;
        let [on_cpu, on_card] = [Device::Cpu, card].map(|device| {
            let (total, loss) = (Total::default(), one(7.0));
            let (difference, dx) = (trial.values(count), trial.values(count));
            loss::squared_distance(device, [&a, &b], images, &difference, &total, &loss);
            loss::squared_distance_backward(device, -1.0, images, &difference, &loss_diff, &dx);
            (loss, difference, dx)
        });
        trial.close("loss", &on_cpu.0, &on_card.0);
        trial.same("difference", &on_cpu.1, &on_card.1);
        trial.same("dx", &on_cpu.2, &on_card.2);
    }
    let count = trial.large(1 << 24, 3_000);
    let [a, b, difference] = [(); 3].map(|()| Buffer::zeros(count));
    let (total, loss) = (Total::default(), one(0.0));
    trial.time(12 * count as u64, 3 * count as u64, || {
        loss::squared_distance(card, [&a, &b], 1.0, &difference, &total, &loss);
    });
}

fn sigmoid_cross_entropy(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let count = if case == 0 { 9_001 } else { trial.batch(5_000) };
        let (x, targets) = (trial.values(count), trial.values_within(0.0, 1.0, count));
        if case.is_multiple_of(3) {
            targets.host_mut().iter_mut().step_by(3).for_each(|target| *target = -1.5);
        }
        let ignore = (case.is_multiple_of(2)).then_some(-1);
        let (normalizer, loss_diff) = (normalizer(trial, case), one(trial.number(0.1, 2.0)));
        let [on_cpu, on_card] = [Device::Cpu, card].map(|device| {
            let (total, loss, dx) = (Total::default(), one(7.0), trial.values(count));
            loss::sigmoid_cross_entropy(device, [&x, &targets], ignore, normalizer, &total, &loss);
            loss::sigmoid_cross_entropy_backward(device, [&x, &targets, &loss_diff], ignore, &total, &dx);
            (loss, dx)
        });
        trial.close("loss", &on_cpu.0, &on_card.0);
        trial.close("dx", &on_cpu.1, &on_card.1);
    }
    let count = trial.large(1 << 24, 3_000);
    let [x, targets] = [(); 2].map(|()| Buffer::zeros(count));
    let (total, loss) = (Total::default(), one(0.0));
    trial.time(8 * count as u64, 10 * count as u64, || {
        loss::sigmoid_cross_entropy(card, [&x, &targets], None, Normalizer::Counted, &total, &loss);
    });
}

/// Rows of scores, and a label for each.
fn rows(trial: &mut Trial) -> (Axes, Buffer, Buffer) {
    let axes = Axes { outer: trial.batch(60), channels: trial.size(150), inner: 1 };
    (axes, trial.values(axes.outer * axes.channels), labels(trial, axes))
}

fn hinge(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let ((axes, x, labels), squared) = (rows(trial), case.is_multiple_of(2));
        let loss_diff = one(trial.number(0.1, 2.0));
        let [on_cpu, on_card] = [Device::Cpu, card].map(|device| {
            let (total, loss) = (Total::default(), one(7.0));
            let (margins, dx) = (trial.twin(&x), trial.twin(&x));
            let good = loss::hinge(device, axes, [&x, &labels], &margins, squared, &total, &loss).is_ok();
            trial.expect(good, || "labels are good".into());
            loss::hinge_backward(device, axes, [&labels, &margins, &loss_diff], squared, &total, &dx);
            (loss, margins, dx)
        });
        trial.close("loss", &on_cpu.0, &on_card.0);
        trial.same("margins", &on_cpu.1, &on_card.1);
        trial.same("dx", &on_cpu.2, &on_card.2);
        if axes.outer > 0 {
            labels.host_mut()[axes.outer / 2] = axes.channels as f32;
            let (total, loss, margins) = (Total::default(), one(7.0), trial.twin(&x));
            let result = loss::hinge(card, axes, [&x, &labels], &margins, squared, &total, &loss);
            trial.expect(result.is_ok() && loss.host()[0].is_nan(), || format!("a bad label of {axes:?}"));
        }
    }
}

fn multinomial(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let (axes, x, labels) = rows(trial);
        x.host_mut().iter_mut().for_each(|x| *x = x.abs().min(1.0));
        let loss_diff = one(trial.number(0.1, 2.0));
        let [on_cpu, on_card] = [Device::Cpu, card].map(|device| {
            let (total, loss, dx) = (Total::default(), one(7.0), trial.twin(&x));
            let good = loss::multinomial_logistic(device, axes, [&x, &labels], &total, &loss).is_ok();
            trial.expect(good, || "labels are good".into());
            loss::multinomial_logistic_backward(device, axes, [&x, &labels, &loss_diff], &total, &dx);
            (loss, dx)
        });
        trial.close("loss", &on_cpu.0, &on_card.0);
        trial.same("dx", &on_cpu.1, &on_card.1);
    }
}

fn infogain(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let mut axes = axes(trial);
        axes.channels = axes.channels.min(60);
        let count = axes.places() * axes.channels;
        let (p, labels) = (trial.values_within(0.0, 1.0, count), labels(trial, axes));
        let matrix = trial.values(axes.channels * axes.channels);
        let ignore = (case % 2 == 1).then_some(axes.channels as i32 / 2);
        let (normalizer, loss_diff) = (normalizer(trial, case), one(trial.number(0.1, 2.0)));
        let [on_cpu, on_card] = [Device::Cpu, card].map(|device| {
            let (total, loss, dx) = (Total::default(), one(7.0), trial.twin(&p));
            let operands = [&p, &labels, &matrix];
            let good = loss::infogain(device, axes, operands, ignore, normalizer, &total, &loss).is_ok();
            trial.expect(good, || "labels are good".into());
            loss::infogain_backward(device, axes, [&p, &labels, &matrix, &loss_diff], ignore, &total, &dx);
            (loss, dx)
        });
        // Terms of both signs: what is left of them has fewer digits than they.
        let off = (on_cpu.0.host()[0] - on_card.0.host()[0]).abs();
        trial.expect(off < 1e-5 * (count + 1) as f32, || format!("the loss is off by {off}"));
        trial.close("dx", &on_cpu.1, &on_card.1);
    }
}

fn contrastive(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let (pairs, length) = (trial.batch(40), trial.size(300));
        let [a, b] = [(); 2].map(|()| trial.values_within(-0.2, 0.2, pairs * length));
        let (similar, loss_diff) = (trial.labels(2, pairs), one(trial.number(0.1, 2.0)));
        let margin = Margin { margin: trial.number(0.5, 3.0), legacy: case % 3 == 1 };
        let [on_cpu, on_card] = [Device::Cpu, card].map(|device| {
            let (total, loss, squares) = (Total::default(), one(7.0), Buffer::zeros(pairs));
            let (difference, gradient) = (trial.twin(&a), trial.twin(&a));
            let results = [&difference, &squares];
            loss::contrastive(device, margin, [&a, &b, &similar], results, &total, &loss);
            let operands = [&similar, &difference, &squares, &loss_diff];
            loss::contrastive_backward(device, margin, -1.0, operands, &total, &gradient);
            (loss, squares, gradient)
        });
        trial.close("loss", &on_cpu.0, &on_card.0);
        trial.close("d²", &on_cpu.1, &on_card.1);
        trial.close("gradient", &on_cpu.2, &on_card.2);
    }
}
