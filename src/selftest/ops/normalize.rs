//! Checks of normalization by length.

use crate::{
    ops::normalize::{self, Geometry},
    selftest::check::{OpCheck, Trial},
    tensor::Device,
};

pub static CHECKS: &[OpCheck] = &[OpCheck { name: "forward and backward", run: both_ways }];

fn both_ways(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let geometry = Geometry {
            images: trial.batch(6),
            channels: trial.size(40),
            places: trial.pick(&[1, 3, 31, 64, 100]),
            is_whole: case.is_multiple_of(2),
            eps: 1e-3,
        };
        let count = geometry.images * geometry.channels * geometry.places;
        let factors = trial.values(if case.is_multiple_of(3) { 1 } else { geometry.channels });
        let (x, dy) = (trial.values(count), trial.values(count));
        let [y, y_on_card] = trial.results(count);
        let [dx, dx_on_card] = trial.results(count);
        let [norms, norms_on_card] = trial.results(geometry.lengths());
        let [diff, diff_on_card] = trial.results(factors.len());
        let sums = trial.values(geometry.lengths());
        normalize::forward(Device::Cpu, &geometry, &x, &factors, &norms, &y);
        normalize::forward(card, &geometry, &x, &factors, &norms_on_card, &y_on_card);
        trial.close("y", &y, &y_on_card);
        trial.close("norms", &norms, &norms_on_card);
        for (device, dx, diff) in [(Device::Cpu, &dx, &diff), (card, &dx_on_card, &diff_on_card)] {
            normalize::backward(device, &geometry, [&x, &factors, &norms, &dy], &sums, dx);
            normalize::backward_factors(device, &geometry, [&x, &norms, &dy], diff);
        }
        trial.close("dx", &dx, &dx_on_card);
        trial.close("gradient of γ", &diff, &diff_on_card);
    }
}
