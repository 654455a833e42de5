//! Checks of batch normalisation.

use super::broadcast::spans;
use crate::{
    ops::{
        batch_norm::{self, Averages, Epilogue, Normalization, Operands, Source, Statistics},
        broadcast::{Spans, Sums},
    },
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "forward and backward", run: both_ways },
    OpCheck { name: "forward", run: time_forward },
    OpCheck { name: "backward", run: time_backward },
    OpCheck { name: "read average", run: read_average },
];

fn statistics(channels: usize) -> Statistics {
    let mut statistics = Statistics::default();
    statistics.resize(channels);
    statistics
}

fn sums(channels: usize) -> Sums {
    let mut sums = Sums::default();
    sums.resize(channels);
    sums
}

fn both_ways(trial: &mut Trial) {
    for case in 0..trial.cases() {
        let spans = match case {
            // Several parts of a channel.
            0 => Spans { outer: 11, dim: 2, inner: 1021 },
            1 => Spans { outer: 19, dim: 2, inner: 1024 },
            2 => Spans { outer: 4_099, dim: 1, inner: 3 },
            _ => spans(trial),
        };
        one_case(trial, case, spans);
    }
}

/// Both passes of one case, on the CPU and on the card; the second from what the CPU computed in the first.
fn one_case(trial: &mut Trial, case: usize, spans: Spans) {
    let source = if case % 4 == 3 { Source::Given } else { Source::Batch };
    let keeps = source == Source::Batch || trial.chance();
    let (factors, shifts) = (trial.values(spans.dim), trial.values(spans.dim));
    let epilogue = match case % 5 {
        0 => Epilogue::default(),
        1 => Epilogue { is_relu: true, ..Epilogue::default() },
        2 => Epilogue { factors: Some(&factors), ..Epilogue::default() },
        _ => Epilogue { factors: Some(&factors), shifts: Some(&shifts), is_relu: case.is_multiple_of(2) },
    };
    let normalization = Normalization { spans, source, epsilon: 1e-3, epilogue };
    let given = [trial.values(spans.dim), trial.values_within(0.5, 2.0, spans.dim)];
    let (x, dy) = (trial.values(spans.count()), trial.values(spans.count()));
    // Far from 0 beside their spread, as activations may be.
    let offset = trial.pick(&[0.0, 0.0, 3.0, -10.0]);
    x.host_mut().iter_mut().for_each(|x| *x += offset);

    let [on_cpu, on_card] = [Device::Cpu, trial.card()].map(|device| {
        let statistics = statistics(spans.dim);
        statistics.mean.host_mut().copy_from_slice(&given[0].host());
        statistics.variance.host_mut().copy_from_slice(&given[1].host());
        let averages = given.each_ref().map(|values| Buffer::from(values.host().to_vec()));
        let (weight, y, kept) = (Buffer::from(vec![3.0]), trial.twin(&x), trial.twin(&x));
        let moves = Averages { fraction: 0.9, mean: &averages[0], variance: &averages[1], weight: &weight };
        let moves = (source == Source::Batch).then_some(moves);
        let from = if case.is_multiple_of(3) { &y } else { &x };
        batch_norm::forward(device, normalization, from, &statistics, &y, keeps.then_some(&kept), moves);
        (statistics, y, kept, averages, weight)
    });
    trial.close("mean", &on_cpu.0.mean, &on_card.0.mean);
    trial.close("variance", &on_cpu.0.variance, &on_card.0.variance);
    trial.close("deviation", &on_cpu.0.deviation, &on_card.0.deviation);
    trial.close("y", &on_cpu.1, &on_card.1);
    trial.close("x̂", &on_cpu.2, &on_card.2);
    trial.close("moving mean", &on_cpu.3[0], &on_card.3[0]);
    trial.close("moving variance", &on_cpu.3[1], &on_card.3[1]);
    trial.close("moving weight", &on_cpu.4, &on_card.4);

    let (statistics, y, kept, ..) = on_cpu;
    let [on_cpu, on_card] = [Device::Cpu, trial.card()].map(|device| {
        let (sums, dx) = (sums(spans.dim), trial.twin(&dy));
        let (factor_diff, shift_diff) = (trial.twin(&factors), trial.twin(&shifts));
        let diffs = [keeps.then_some(&factor_diff), (keeps && case.is_multiple_of(2)).then_some(&shift_diff)];
        let from = if case.is_multiple_of(2) { &dx } else { &dy };
        let of = Operands { dy: from, y: &y, normalized: keeps.then_some(&kept), statistics: &statistics };
        batch_norm::backward(device, normalization, of, &sums, diffs, (case % 7 != 6).then_some(&dx));
        (sums, dx, factor_diff, shift_diff)
    });
    if keeps {
        trial.close("Σ g", &on_cpu.0.plain, &on_card.0.plain);
        trial.close("Σ g·x̂", &on_cpu.0.products, &on_card.0.products);
    }
    trial.close("dx", &on_cpu.1, &on_card.1);
    trial.close("gradient of γ", &on_cpu.2, &on_card.2);
    trial.close("gradient of β", &on_cpu.3, &on_card.3);
}

/// The spans of a convolution's output, large where it is timed.
fn timed(trial: &Trial) -> (Spans, [Buffer; 4]) {
    let spans = Spans { outer: trial.large(128, 2), dim: 64, inner: 32 * 32 };
    (spans, [(); 4].map(|()| Buffer::zeros(spans.count())))
}

fn time_forward(trial: &mut Trial) {
    let (spans, [x, y, kept, _]) = timed(trial);
    let normalization = Normalization { spans, source: Source::Batch, epsilon: 1e-5, epilogue: Epilogue::default() };
    let (statistics, card, count) = (statistics(spans.dim), trial.card(), spans.count() as u64);
    trial.time(16 * count, 6 * count, || {
        batch_norm::forward(card, normalization, &x, &statistics, &y, Some(&kept), None);
    });
}

fn time_backward(trial: &mut Trial) {
    let (spans, [y, dy, kept, dx]) = timed(trial);
    let normalization = Normalization { spans, source: Source::Batch, epsilon: 1e-5, epilogue: Epilogue::default() };
    let (statistics, sums) = (statistics(spans.dim), sums(spans.dim));
    let (card, count) = (trial.card(), spans.count() as u64);
    let of = Operands { dy: &dy, y: &y, normalized: Some(&kept), statistics: &statistics };
    trial.time(20 * count, 8 * count, || batch_norm::backward(card, normalization, of, &sums, [None; 2], Some(&dx)));
}

fn read_average(trial: &mut Trial) {
    for case in 0..trial.cases() {
        let count = trial.batch(2_000);
        let average = trial.values(count);
        let weight = Buffer::from(vec![if case.is_multiple_of(3) { 0.0 } else { trial.number(0.1, 5.0) }]);
        let [x, on_card] = trial.results(count);
        batch_norm::read_average(Device::Cpu, &average, &weight, &x);
        batch_norm::read_average(trial.card(), &average, &weight, &on_card);
        trial.same("x", &x, &on_card);
    }
}
