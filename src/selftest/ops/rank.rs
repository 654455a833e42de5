//! Checks of ranks.

use super::{
    loss::one,
    softmax::{axes, labels},
};
use crate::{
    ops::{
        rank::{self, Outcomes},
        softmax::Axes,
    },
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[OpCheck { name: "accuracy", run: accuracy }];

fn accuracy(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let axes = axes(trial);
        let count = axes.places() * axes.channels;
        // Few different scores, so that there are ties.
        let scores = if case.is_multiple_of(2) { trial.labels(6, count) } else { trial.values(count) };
        let labels = labels(trial, axes);
        let options = (trial.whole(1, axes.channels.min(5)), trial.chance().then_some(0));
        let [on_cpu, on_card] = [Device::Cpu, card].map(|device| {
            let mut outcomes = Outcomes::default();
            outcomes.resize(axes);
            let (overall, per_class) = (one(7.0), trial.values(axes.channels));
            let per_class_wanted = (!case.is_multiple_of(3)).then_some(&per_class);
            let operands = [&scores, &labels];
            let result = rank::accuracy(device, axes, operands, options, &outcomes, &overall, per_class_wanted);
            trial.expect(result.is_ok(), || "labels are good".into());
            (overall, if !case.is_multiple_of(3) { per_class } else { Buffer::default() })
        });
        trial.same("accuracy", &on_cpu.0, &on_card.0);
        trial.same("accuracy of classes", &on_cpu.1, &on_card.1);
        if axes.places() > 0 {
            let place = trial.whole(0, axes.places() - 1);
            labels.host_mut()[place] = -2.0;
            let (overall, mut outcomes) = (one(7.0), Outcomes::default());
            outcomes.resize(axes);
            let result = rank::accuracy(card, axes, [&scores, &labels], options, &outcomes, &overall, None);
            trial.expect(result.is_ok() && overall.host()[0].is_nan(), || format!("a bad label of {axes:?}"));
        }
    }
    let axes = Axes { outer: trial.large(4_096, 4), channels: 1_000, inner: 1 };
    let (scores, labels, overall) = (Buffer::zeros(axes.outer * 1_000), Buffer::zeros(axes.outer), one(0.0));
    let mut outcomes = Outcomes::default();
    outcomes.resize(axes);
    trial.time(4_000 * axes.outer as u64, 1_000 * axes.outer as u64, || {
        let _ = rank::accuracy(card, axes, [&scores, &labels], (1, None), &outcomes, &overall, None);
    });
}
