//! Checks of losses.

use crate::{
    ops::loss::{self, Normalizer, Total},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "squared distance", run: squared_distance },
    OpCheck { name: "sigmoid cross entropy", run: sigmoid_cross_entropy },
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
