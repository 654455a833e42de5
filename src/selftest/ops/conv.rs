//! Checks of convolutions: every direction, with groups, strides, padding and dilation, and every tile that products are cut into.

use crate::{
    cuda::Math,
    ops::conv::{Axis, Convolution, Geometry},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "convolution", run: forward },
    OpCheck { name: "convolution, gradient of the bottom", run: backward_bottom },
    OpCheck { name: "convolution, gradient of the weights", run: backward_weights },
    OpCheck { name: "convolution, gradient of the bias", run: backward_bias },
    OpCheck { name: "convolution by tensor cores", run: tensor_cores },
    OpCheck { name: "convolution by cuDNN, if there", run: by_cudnn },
];

fn forward(trial: &mut Trial) {
    each(trial, |trial, case| {
        let [bottom, weights, bias] =
            [case.bottom, case.weights, case.geometry.outputs].map(|count| trial.values(count));
        let bias = trial.chance().then_some(&bias);
        case.compare(trial, "top", case.top, |op, device, top| op.forward(device, &bottom, &weights, bias, top));
    });
}

/// And the transposed convolution, which it is with a bias.
fn backward_bottom(trial: &mut Trial) {
    each(trial, |trial, case| {
        let [top, weights, bias] = [case.top, case.weights, case.geometry.channels].map(|count| trial.values(count));
        let bias = trial.chance().then_some(&bias);
        case.compare(trial, "bottom_diff", case.bottom, |op, device, bottom| {
            op.backward_bottom(device, &top, &weights, bias, bottom);
        });
    });
}

fn backward_weights(trial: &mut Trial) {
    each(trial, |trial, case| {
        let [bottom, top] = [case.bottom, case.top].map(|count| trial.values(count));
        case.compare(trial, "weights_diff", case.weights, |op, device, diff| {
            op.backward_weights(device, &bottom, &top, diff);
        });
    });
}

fn backward_bias(trial: &mut Trial) {
    for number in 0..trial.cases() {
        let case = Case::random(trial, number);
        let top = trial.values(case.top);
        case.compare(trial, "bias_diff", case.geometry.outputs, |op, device, diff| {
            op.backward_bias(device, &top, diff)
        });
    }
    let case = Case::timed(trial);
    let [top, diff] = [case.top, case.geometry.outputs].map(Buffer::zeros);
    let (mut op, card) = (case.op(), trial.card());
    trial.time(4 * case.top as u64, case.top as u64, || op.backward_bias(card, &top, &diff));
}

/// All directions with `--math tf32`, of values that it does not round.
fn tensor_cores(trial: &mut Trial) {
    let Device::Cuda(card) = trial.card() else { return };
    let math = card.math();
    card.set_math(Math::Tf32);
    for number in 0..trial.cases() {
        let mut case = Case::random(trial, number);
        (case.geometry.images, case.tile) = (1, Some(number));
        let case = Case::new(case.geometry, case.tile, false);
        let [bottom, weights, top] = [case.bottom, case.weights, case.top].map(|count| trial.values(count));
        for values in [&bottom, &weights, &top] {
            values.host_mut().iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits() & 0xffff_e000));
        }
        case.compare(trial, "top", case.top, |op, device, result| op.forward(device, &bottom, &weights, None, result));
        case.compare(trial, "bottom_diff", case.bottom, |op, device, result| {
            op.backward_bottom(device, &top, &weights, None, result);
        });
        case.compare(trial, "weights_diff", case.weights, |op, device, result| {
            op.backward_weights(device, &bottom, &top, result);
        });
    }
    let case = Case::timed(trial);
    let [bottom, weights, top] = [case.bottom, case.weights, case.top].map(Buffer::zeros);
    case.compare(trial, "top", case.top, |op, device, _| op.forward(device, &bottom, &weights, None, &top));
    card.set_math(math);
}

/// All directions; by our own kernels where there is no cuDNN.
fn by_cudnn(trial: &mut Trial) {
    for number in 0..trial.cases() {
        let case = Case::random(trial, number);
        let [bottom, weights, top, bias] =
            [case.bottom, case.weights, case.top, case.geometry.outputs].map(|count| trial.values(count));
        let [mut on_cpu, mut on_card] = [(); 2].map(|()| case.op());
        on_card.use_cudnn();
        let card = trial.card();
        let mut both = |trial: &mut Trial, what: &str, count, run: &dyn Fn(&mut Convolution, Device, &Buffer)| {
            let [expected, actual] = trial.results(count);
            run(&mut on_cpu, Device::Cpu, &expected);
            run(&mut on_card, card, &actual);
            trial.close(&format!("{what} of {case:?}"), &expected, &actual);
        };
        both(trial, "top", case.top, &|op, device, to| op.forward(device, &bottom, &weights, Some(&bias), to));
        both(trial, "bottom_diff", case.bottom, &|op, device, to| op.backward_bottom(device, &top, &weights, None, to));
        both(trial, "weights_diff", case.weights, &|op, device, to| op.backward_weights(device, &bottom, &top, to));
    }
}

/// A convolution and the values of all that belongs to it.
struct Case {
    geometry: Geometry,
    /// The tile that products are cut into; None: the fastest.
    tile: Option<usize>,
    bottom: usize,
    top: usize,
    weights: usize,
    timed: bool,
}

impl Case {
    fn new(geometry: Geometry, tile: Option<usize>, timed: bool) -> Self {
        let Geometry { images, channels, outputs, .. } = geometry;
        let (bottom, top) = (images * channels * geometry.input_plane(), images * outputs * geometry.output_plane());
        let weights = outputs * geometry.fan_in();
        Case { geometry, tile, bottom, top, weights, timed }
    }

    /// A convolution of a kind that the number says, its sizes by chance; every tile has its turn.
    fn random(trial: &mut Trial, number: usize) -> Self {
        Case::new(random(trial, number), Some(number / KINDS), false)
    }

    /// One of a net for pictures, as large as a card needs to show what it can.
    fn timed(trial: &Trial) -> Self {
        let side = trial.large(28, 5);
        let (images, channels) = (trial.large(64, 2), trial.large(256, 9));
        let axes = vec![Axis { input: side, kernel: 3, stride: 1, pad: 1, dilation: 1 }; 2];
        Case::new(Geometry { images, channels, outputs: channels, groups: 1, axes }, None, true)
    }

    fn op(&self) -> Convolution {
        let mut op = Convolution::direct(self.geometry.clone());
        if let Some(tile) = self.tile {
            op.use_tile(tile);
        }
        op
    }

    /// Runs an op on the host and on the card, both on the same values of what it writes; or times it on the card.
    fn compare(
        &self,
        trial: &mut Trial,
        what: &str,
        count: usize,
        mut run: impl FnMut(&mut Convolution, Device, &Buffer),
    ) {
        let card = trial.card();
        if self.timed {
            let (result, mut op) = (Buffer::zeros(count), self.op());
            let bytes = 4 * (self.bottom + self.top + self.weights);
            let operations = 2 * self.top * self.geometry.fan_in();
            return trial.time(bytes as u64, operations as u64, || run(&mut op, card, &result));
        }
        let [on_cpu, on_card] = trial.results(count);
        run(&mut self.op(), Device::Cpu, &on_cpu);
        run(&mut self.op(), card, &on_card);
        trial.close(&format!("{what} of {self:?}"), &on_cpu, &on_card);
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}, tile {:?}", self.geometry, self.tile)
    }
}

/// Runs a check for random convolutions, and for the one that is timed.
fn each(trial: &mut Trial, check: impl Fn(&mut Trial, &Case)) {
    for number in 0..2 * trial.cases() {
        let case = Case::random(trial, number);
        check(trial, &case);
    }
    let case = Case::timed(trial);
    check(trial, &case);
}

/// Kinds of convolutions that differ in their channels; each goes by every tile.
const KINDS: usize = 6;

fn random(trial: &mut Trial, number: usize) -> Geometry {
    let images = if number % 11 == 7 { 0 } else { trial.whole(1, 4) };
    let (groups, channels, outputs) = match number % KINDS {
        // Channels that are read eight at a time, and not.
        0 => (1, 16 * trial.whole(1, 3), trial.size(70)),
        1 => (1, trial.whole(1, 12), trial.size(40)),
        2 => (trial.whole(1, 3), 8, trial.size(20)),
        3 => (trial.whole(1, 5), trial.whole(1, 5), trial.whole(1, 3)),
        // As many groups as channels.
        4 => (trial.whole(2, 33), 1, trial.whole(1, 2)),
        _ => (1, trial.whole(1, 3), 129),
    };
    loop {
        let count = if number % 7 == 6 { 1 } else { 2 };
        let mut axes: Vec<Axis> = (0..count).map(|_| axis(trial)).collect();
        match number % 5 {
            // A plain product, and a third axis that does not matter.
            3 => axes.iter_mut().for_each(|axis| *axis = Axis { kernel: 1, stride: 1, pad: 0, ..*axis }),
            4 => axes.insert(0, Axis { input: 1, kernel: 1, stride: 1, pad: 0, dilation: 1 }),
            _ => {}
        }
        if axes.iter().all(|axis| axis.output().is_some()) {
            return Geometry { images, channels: channels * groups, outputs: outputs * groups, groups, axes };
        }
    }
}

fn axis(trial: &mut Trial) -> Axis {
    Axis {
        input: trial.whole(1, 13),
        kernel: trial.whole(1, 5),
        stride: trial.whole(1, 4),
        pad: trial.whole(0, 4),
        dilation: trial.whole(1, 3),
    }
}
