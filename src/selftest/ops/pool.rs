//! Checks of pooling: windows that overlap, skip, stick out; ties and values that are no numbers.

use crate::{
    ops::pool::{self, Axis, Geometry, Mask},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "largest of a window", run: largest },
    OpCheck { name: "mean of a window", run: mean },
    OpCheck { name: "random value of a window", run: stochastic },
    OpCheck { name: "expected value of a window", run: expected },
];

fn largest(trial: &mut Trial) {
    let card = trial.card();
    for number in 0..trial.cases() {
        let geometry = random(trial, true);
        let x = trial.values(inputs(&geometry));
        spoil(&x, number);
        let (y, masks) = (trial.results(outputs(&geometry)), [mask(&geometry), mask(&geometry)]);
        for ((device, y), mask) in [Device::Cpu, card].into_iter().zip(&y).zip(&masks) {
            pool::max_forward(device, &geometry, &x, y, mask);
        }
        trial.same(&format!("y of {geometry:?}"), &y[0], &y[1]);
        let indices = trial.results(outputs(&geometry));
        masks[0].write(Device::Cpu, &indices[0]);
        masks[1].write(card, &indices[1]);
        trial.same("the mask", &indices[0], &indices[1]);
        let dy = trial.values(outputs(&geometry));
        let dx = trial.results(inputs(&geometry));
        pool::max_backward(Device::Cpu, &geometry, &dy, &masks[0], &dx[0]);
        pool::max_backward(card, &geometry, &dy, &masks[1], &dx[1]);
        trial.same(&format!("dx of {geometry:?}"), &dx[0], &dx[1]);
    }
    let geometry = timed(trial);
    let ([x, y], mask) = ([inputs(&geometry), outputs(&geometry)].map(Buffer::zeros), mask(&geometry));
    let bytes = 4 * (x.len() + 2 * y.len());
    trial.time(bytes as u64, x.len() as u64, || pool::max_forward(card, &geometry, &x, &y, &mask));
}

fn mean(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let geometry = random(trial, true);
        let (x, dy) = (trial.values(inputs(&geometry)), trial.values(outputs(&geometry)));
        let (y, dx) = (trial.results(outputs(&geometry)), trial.results(inputs(&geometry)));
        for ((device, y), dx) in [Device::Cpu, card].into_iter().zip(&y).zip(&dx) {
            pool::average_forward(device, &geometry, &x, y);
            pool::average_backward(device, &geometry, &dy, dx);
        }
        trial.close(&format!("y of {geometry:?}"), &y[0], &y[1]);
        trial.close(&format!("dx of {geometry:?}"), &dx[0], &dx[1]);
    }
    let geometry = timed(trial);
    let [x, y] = [inputs(&geometry), outputs(&geometry)].map(Buffer::zeros);
    let bytes = 4 * (x.len() + y.len());
    trial.time(bytes as u64, x.len() as u64, || pool::average_forward(card, &geometry, &x, &y));
}

fn stochastic(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let geometry = random(trial, false);
        let x = trial.values_within(0.0, 1.0, inputs(&geometry));
        let draws = trial.values_within(0.0, 1.0, outputs(&geometry));
        let (y, mut masks) = (trial.results(outputs(&geometry)), [Mask::default(), Mask::default()]);
        masks.iter_mut().for_each(|mask| mask.resize_for_indices(&geometry));
        for ((device, y), mask) in [Device::Cpu, card].into_iter().zip(&y).zip(&masks) {
            pool::stochastic_forward(device, &geometry, &x, &draws, y, mask);
        }
        trial.same(&format!("y of {geometry:?}"), &y[0], &y[1]);
        let indices = trial.results(outputs(&geometry));
        masks[0].write(Device::Cpu, &indices[0]);
        masks[1].write(card, &indices[1]);
        trial.same("the mask", &indices[0], &indices[1]);
    }
}

fn expected(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let geometry = random(trial, false);
        let (x, dy) = (trial.values_within(0.0, 1.0, inputs(&geometry)), trial.values(outputs(&geometry)));
        let (y, dx) = (trial.results(outputs(&geometry)), trial.results(inputs(&geometry)));
        for ((device, y), dx) in [Device::Cpu, card].into_iter().zip(&y).zip(&dx) {
            pool::expected_forward(device, &geometry, &x, y);
            pool::expected_backward(device, &geometry, &x, y, &dy, dx);
        }
        trial.close(&format!("y of {geometry:?}"), &y[0], &y[1]);
        trial.close(&format!("dx of {geometry:?}"), &dx[0], &dx[1]);
    }
}

fn mask(geometry: &Geometry) -> Mask {
    let mut mask = Mask::default();
    mask.resize(geometry);
    mask
}

fn inputs(geometry: &Geometry) -> usize {
    geometry.planes * geometry.height.input * geometry.width.input
}

fn outputs(geometry: &Geometry) -> usize {
    geometry.planes * geometry.height.output * geometry.width.output
}

/// Puts ties, infinities and no numbers among the values.
fn spoil(x: &Buffer, number: usize) {
    for (place, value) in x.host_mut().iter_mut().enumerate() {
        match (number % 3, place % 7) {
            (1, 0..=2) => *value = 0.5,
            (2, 0..=3) => *value = f32::NEG_INFINITY,
            (2, 4..=5) => *value = f32::NAN,
            _ => {}
        }
    }
}

/// The pooling of a net for pictures.
fn timed(trial: &Trial) -> Geometry {
    let axis = Axis { input: 56, output: 28, kernel: 3, stride: 2, pad: 0 };
    Geometry { planes: trial.large(64 * 192, 3), height: axis, width: axis }
}

fn random(trial: &mut Trial, padded: bool) -> Geometry {
    let planes = trial.batch(9);
    let whole = trial.whole(0, 5) == 0;
    let mut axis = || {
        let input = trial.whole(1, 34);
        if whole {
            return Axis { input, output: 1, kernel: input, stride: 1, pad: 0 };
        }
        let kernel = trial.whole(1, input.min(7));
        let pad = if padded { trial.whole(0, kernel - 1) } else { 0 };
        let stride = trial.whole(1, 4);
        // Some windows stick out, some begin behind the plane.
        let output = (input + 2 * pad - kernel).div_ceil(stride) + 1;
        Axis { input, output, kernel, stride, pad }
    };
    let (height, width) = (axis(), axis());
    Geometry { planes, height, width }
}
