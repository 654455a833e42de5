//! Checks of vectors laid along blobs.

use crate::{
    ops::broadcast::{self, Spans, Sums},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "affine", run: affine },
    OpCheck { name: "sums", run: sums },
    OpCheck { name: "sums of rows", run: sums_of_rows },
];

/// Spans of some thousand values.
pub fn spans(trial: &mut Trial) -> Spans {
    let inner = trial.pick(&[1, 1, 3, 4, 16, 31, 49, 64, 65, 784]);
    Spans { outer: trial.batch(16), dim: trial.size(40), inner }
}

fn affine(trial: &mut Trial) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let spans = spans(trial);
        let (factors, shifts) = (trial.values(spans.dim), trial.values(spans.dim));
        let (factors, shifts) = ((case % 4 != 1).then_some(&factors), (case % 4 != 2).then_some(&shifts));
        let [y, on_card] = trial.results(spans.count());
        if case.is_multiple_of(3) {
            broadcast::affine(Device::Cpu, spans, &y, factors, shifts, &y);
            broadcast::affine(card, spans, &on_card, factors, shifts, &on_card);
        } else {
            let x = trial.values(spans.count());
            broadcast::affine(Device::Cpu, spans, &x, factors, shifts, &y);
            broadcast::affine(card, spans, &x, factors, shifts, &on_card);
        }
        trial.same("y", &y, &on_card);
    }
    let spans = Spans { outer: trial.large(256, 3), dim: 64, inner: 28 * 28 };
    let [x, y] = [(); 2].map(|()| Buffer::zeros(spans.count()));
    let [factors, shifts] = [(); 2].map(|()| Buffer::zeros(spans.dim));
    let count = spans.count() as u64;
    trial.time(8 * count, 2 * count, || broadcast::affine(card, spans, &x, Some(&factors), Some(&shifts), &y));
}

fn of_spans(trial: &mut Trial, spans: Spans, with_products: bool) {
    let (a, b) = (trial.values(spans.count()), trial.values(spans.count()));
    let b = with_products.then_some(&b);
    let [on_cpu, on_card] = [Device::Cpu, trial.card()].map(|device| {
        let mut sums = Sums::default();
        sums.resize(spans.dim);
        broadcast::sums(device, spans, &a, b, &sums);
        sums
    });
    trial.close("Σ a", &on_cpu.plain, &on_card.plain);
    trial.close("Σ a·b", &on_cpu.products, &on_card.products);
}

fn sums(trial: &mut Trial) {
    for case in 0..trial.cases() {
        let spans = match case {
            // Several parts for each sum.
            0 => Spans { outer: 9, dim: 3, inner: 1021 },
            1 => Spans { outer: 17, dim: 2, inner: 1024 },
            2 => Spans { outer: 20_001, dim: 1, inner: 2 },
            _ => spans(trial),
        };
        of_spans(trial, spans, !case.is_multiple_of(3));
    }
    time(trial, 28 * 28);
}

fn sums_of_rows(trial: &mut Trial) {
    for case in 0..trial.cases() {
        let (outer, dim) = if case == 0 { (1_500, 3) } else { (trial.batch(700), trial.size(300)) };
        of_spans(trial, Spans { outer, dim, inner: 1 }, !case.is_multiple_of(3));
    }
    time(trial, 1);
}

fn time(trial: &mut Trial, inner: usize) {
    let spans = Spans { outer: trial.large((1 << 24) / 64 / inner, 2), dim: 64, inner };
    let [a, b] = [(); 2].map(|()| Buffer::zeros(spans.count()));
    let (mut sums, card, count) = (Sums::default(), trial.card(), spans.count() as u64);
    sums.resize(spans.dim);
    trial.time(8 * count, 3 * count, || broadcast::sums(card, spans, &a, Some(&b), &sums));
}
