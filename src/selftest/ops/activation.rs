//! Checks of activation functions: the CPU's bits, but where the CPU calls the system's exp, ln or pow.

use crate::{
    ops::activation::{self, Activation},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "absolute value", run: |trial| both_ways(trial, true, |_| Activation::AbsVal) },
    OpCheck { name: "bnll", run: |trial| both_ways(trial, false, |_| Activation::Bnll) },
    OpCheck { name: "clip", run: |trial| both_ways(trial, true, clip) },
    OpCheck { name: "elu", run: |trial| both_ways(trial, true, elu) },
    OpCheck { name: "exp", run: |trial| both_ways(trial, true, exp) },
    OpCheck { name: "log", run: |trial| both_ways(trial, false, log) },
    OpCheck { name: "power", run: |trial| both_ways(trial, false, power) },
    OpCheck { name: "relu", run: |trial| both_ways(trial, true, relu) },
    OpCheck { name: "relu6", run: |trial| both_ways(trial, true, |_| Activation::Relu6) },
    OpCheck { name: "sigmoid", run: |trial| both_ways(trial, true, |_| Activation::Sigmoid) },
    OpCheck { name: "tanh", run: |trial| both_ways(trial, true, |_| Activation::TanH) },
    OpCheck { name: "threshold", run: |trial| both_ways(trial, true, threshold) },
    OpCheck { name: "swish backward", run: swish_backward },
];

fn clip(trial: &mut Trial) -> Activation {
    Activation::Clip { min: trial.number(-1.0, 0.0), max: trial.number(0.0, 1.0) }
}

fn elu(trial: &mut Trial) -> Activation {
    Activation::Elu { alpha: trial.number(0.1, 2.0) }
}

fn exp(trial: &mut Trial) -> Activation {
    Activation::Exp { inner: trial.number(-2.0, 2.0), outer: trial.number(-2.0, 2.0) }
}

fn log(trial: &mut Trial) -> Activation {
    let (scale, shift, outer) = (trial.number(0.1, 1.0), trial.number(1.0, 8.0), trial.number(0.5, 2.0));
    Activation::Log { scale, shift, outer, slope: scale * outer }
}

fn power(trial: &mut Trial) -> Activation {
    let power = trial.pick(&[0.0, 1.0, 2.0, 3.0, 0.5, -1.0]);
    let (scale, shift) = (trial.pick(&[0.0, 1.0, -0.7]), trial.pick(&[0.0, 4.0, 8.0]));
    Activation::Power { power, scale, shift }
}

fn relu(trial: &mut Trial) -> Activation {
    Activation::Relu { negative_slope: trial.pick(&[0.0, 0.0, 0.1, -0.5]) }
}

fn threshold(trial: &mut Trial) -> Activation {
    Activation::Threshold { threshold: trial.number(-0.5, 0.5) }
}

/// Values among which are those that functions treat in their own way.
fn operand(trial: &mut Trial, count: usize) -> Buffer {
    let x = trial.values(count);
    for special in [0.0, -0.0, 6.0, 0.625, 100.0, -200.0, 1e-30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        if trial.chance() {
            let place = trial.whole(0, count.max(1) - 1);
            if let Some(value) = x.host_mut().get_mut(place) {
                *value = special;
            }
        }
    }
    x
}

fn compare(trial: &mut Trial, exact: bool, what: &str, on_cpu: &Buffer, on_card: &Buffer) {
    if exact {
        trial.same(what, on_cpu, on_card);
    } else {
        trial.close(what, on_cpu, on_card);
    }
}

fn both_ways(trial: &mut Trial, exact: bool, function: fn(&mut Trial) -> Activation) {
    let card = trial.card();
    for case in 0..trial.cases() {
        let (count, function) = (trial.batch(6_000), function(trial));
        let x = operand(trial, count);
        let (y, on_card) = match case % 3 {
            0 => (trial.twin(&x), trial.twin(&x)),
            _ => (trial.values(count), trial.values(count)),
        };
        let in_place = case.is_multiple_of(3);
        activation::forward(Device::Cpu, function, if in_place { &y } else { &x }, &y);
        activation::forward(card, function, if in_place { &on_card } else { &x }, &on_card);
        compare(trial, exact, "y", &y, &on_card);
        let [dy, dy_on_card] = trial.results(count);
        let [dx, dx_on_card] =
            if case.is_multiple_of(2) { [dy.clone(), dy_on_card.clone()] } else { trial.results(count) };
        activation::backward(Device::Cpu, function, &x, &y, &dy, &dx);
        activation::backward(card, function, &x, &y, &dy_on_card, &dx_on_card);
        compare(trial, exact, "dx", &dx, &dx_on_card);
    }
    let (count, function) = (trial.large(1 << 25, 3_000), function(trial));
    let [x, y] = [Buffer::zeros(count), Buffer::zeros(count)];
    trial.time(8 * count as u64, 0, || activation::forward(card, function, &x, &y));
}

fn swish_backward(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let (count, beta) = (trial.batch(6_000), trial.number(0.5, 2.0));
        let (y, sigmoid, dy) = (trial.values(count), trial.values(count), trial.values(count));
        let [dx, on_card] = trial.results(count);
        activation::swish_backward(Device::Cpu, beta, &y, &sigmoid, &dy, &dx);
        activation::swish_backward(trial.card(), beta, &y, &sigmoid, &dy, &on_card);
        trial.same("dx", &dx, &on_card);
    }
}
