//! Checks of several operands into one.

use crate::{
    ops::eltwise::{self, Winners},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "weighted sum", run: weighted_sum },
    OpCheck { name: "weighted sum backward", run: weighted_sum_backward },
    OpCheck { name: "maximum", run: maximum },
];

fn factors(trial: &mut Trial) -> [f32; 2] {
    if trial.chance() { [1.0; 2] } else { [trial.number(-2.0, 2.0), trial.number(-2.0, 2.0)] }
}

fn weighted_sum(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let (count, factors) = (trial.batch(5_000), factors(trial));
        let (a, b) = (trial.values(count), trial.values(count));
        let [y, on_card] = trial.results(count);
        eltwise::weighted_sum(Device::Cpu, factors, &a, &b, case.is_multiple_of(2), &y);
        eltwise::weighted_sum(card, factors, &a, &b, case.is_multiple_of(2), &on_card);
        trial.same("y", &y, &on_card);
    }
    let count = trial.large(1 << 25, 3_000);
    let [a, b, y] = [(); 3].map(|()| Buffer::zeros(count));
    trial.time(12 * count as u64, count as u64, || eltwise::weighted_sum(card, [1.0; 2], &a, &b, true, &y));
}

fn weighted_sum_backward(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let (count, factors) = (trial.batch(5_000), factors(trial));
        let (y, dy) = (trial.values(count), trial.values(count));
        let y = trial.chance().then_some(&y);
        let [a, a_on_card] = trial.results(count);
        let [b, b_on_card] = trial.results(count);
        let wanted = |a, b| [(case % 4 != 1).then_some(a), (case % 4 != 2).then_some(b)];
        eltwise::weighted_sum_backward(Device::Cpu, factors, y, &dy, wanted(&a, &b));
        eltwise::weighted_sum_backward(card, factors, y, &dy, wanted(&a_on_card, &b_on_card));
        trial.same("da", &a, &a_on_card);
        trial.same("db", &b, &b_on_card);
    }
    let count = trial.large(1 << 25, 3_000);
    let [y, dy, a, b] = [(); 4].map(|()| Buffer::zeros(count));
    trial.time(16 * count as u64, count as u64, || {
        eltwise::weighted_sum_backward(card, [1.0; 2], Some(&y), &dy, [Some(&a), Some(&b)]);
    });
}

fn maximum(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let count = trial.batch(5_000);
        // Few different values, so that some are equal.
        let [a, b, c] = [(); 3].map(|()| trial.labels(5, count));
        let dy = trial.values(count);
        let [y, on_card] = trial.results(count);
        let [dx, dx_on_card] = trial.results(count);
        let mut gradients = Vec::new();
        for (device, y, dx) in [(Device::Cpu, &y, &dx), (card, &on_card, &dx_on_card)] {
            let mut winners = Winners::default();
            winners.resize(count);
            eltwise::maximum(device, &a, &b, y, &mut winners);
            eltwise::raise(device, &c, 2, y, &mut winners);
            for operand in 0..3 {
                eltwise::winner_gradient(device, &winners, operand, &dy, dx);
                gradients.push(Buffer::from(dx.host().to_vec()));
            }
        }
        trial.same("y", &y, &on_card);
        for operand in 0..3 {
            trial.same("dx", &gradients[operand], &gradients[3 + operand]);
        }
    }
}
