//! Launches of `activation.cu`.

use super::Activation;
use crate::{
    cuda::{Argument, Card, Grid, Source},
    ops::elementwise,
    tensor::{Buffer, Device},
};

static KERNELS: Source = Source { name: "activation", text: include_str!("activation.cu") };

pub(super) fn forward(card: &'static Card, function: Activation, x: &Buffer, y: &Buffer) {
    let map = |kernel, options: &[f32]| launch(card, kernel, &[x], options, y);
    match function {
        Activation::AbsVal => map("absolute_forward", &[]),
        Activation::Bnll => map("bnll_forward", &[]),
        Activation::Clip { min, max } => map("clip_forward", &[min, max]),
        Activation::Elu { alpha } => map("elu_forward", &[alpha]),
        Activation::Exp { inner, outer } => map("exp_forward", &[inner, outer]),
        Activation::Log { scale, shift, outer, .. } => map("log_forward", &[scale, shift, outer]),
        Activation::Power { power, scale, shift } if power * scale == 0.0 => {
            elementwise::fill(Device::Cuda(card), super::constant_power(power, shift), y);
        }
        Activation::Power { power: 1.0, scale, shift } => map("affine_forward", &[scale, shift]),
        Activation::Power { power: 2.0, scale, shift } => map("square_forward", &[scale, shift]),
        Activation::Power { power, scale, shift } => map("power_forward", &[scale, shift, power]),
        Activation::Relu { negative_slope: 0.0 } => map("relu_forward", &[]),
        Activation::Relu { negative_slope } => map("leaky_relu_forward", &[negative_slope]),
        Activation::Relu6 => map("clip_forward", &[0.0, 6.0]),
        Activation::Sigmoid => map("sigmoid_forward", &[]),
        Activation::TanH => map("tanh_forward", &[]),
        Activation::Threshold { threshold } => map("threshold_forward", &[threshold]),
    }
}

pub(super) fn backward(card: &'static Card, function: Activation, x: &Buffer, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    let map = |kernel, operands: &[&Buffer], options: &[f32]| launch(card, kernel, operands, options, dx);
    match function {
        Activation::AbsVal => map("absolute_backward", &[x, dy], &[]),
        Activation::Bnll => map("bnll_backward", &[x, dy], &[]),
        Activation::Clip { min, max } => map("clip_backward", &[x, dy], &[min, max]),
        Activation::Elu { alpha } => map("elu_backward", &[x, y, dy], &[alpha]),
        Activation::Exp { inner, .. } => map("exp_backward", &[y, dy], &[inner]),
        Activation::Log { scale, shift, slope, .. } => map("log_backward", &[x, dy], &[scale, shift, slope]),
        Activation::Power { power, scale, shift } => power_backward(card, power, scale, shift, [x, y, dy, dx]),
        Activation::Relu { negative_slope } => map("relu_backward", &[x, dy], &[negative_slope]),
        Activation::Relu6 => map("relu6_backward", &[x, dy], &[]),
        Activation::Sigmoid => map("sigmoid_backward", &[y, dy], &[]),
        Activation::TanH => map("tanh_backward", &[y, dy], &[]),
        Activation::Threshold { .. } => elementwise::fill(Device::Cuda(card), 0.0, dx),
    }
}

fn power_backward(card: &'static Card, power: f32, scale: f32, shift: f32, [x, y, dy, dx]: [&Buffer; 4]) {
    let slope = power * scale;
    if slope == 0.0 {
        elementwise::fill(Device::Cuda(card), 0.0, dx);
    } else if power == 1.0 {
        elementwise::scale(Device::Cuda(card), slope, dy, dx);
    } else if power == 2.0 {
        launch(card, "square_backward", &[x, dy], &[slope * scale, slope * shift], dx);
    } else if shift == 0.0 {
        launch(card, "pure_power_backward", &[x, y, dy], &[power], dx);
    } else {
        launch(card, "power_backward", &[x, y, dy], &[scale, shift, slope], dx);
    }
}

pub(super) fn swish_backward(card: &'static Card, beta: f32, [y, sigmoid, dy]: [&Buffer; 3], dx: &Buffer) {
    launch(card, "swish_backward", &[y, sigmoid, dy], &[beta], dx);
}

/// A kernel of the result, the operands, their number of values and the function's options. A thread does four values.
fn launch(card: &'static Card, kernel: &'static str, operands: &[&Buffer], options: &[f32], y: &Buffer) {
    let operands: Vec<_> = operands.iter().map(|operand| operand.device(card)).collect();
    let (y_at, count) = (y.device_mut(card), y.len() as u32);
    let mut arguments: Vec<&dyn Argument> = vec![&y_at];
    arguments.extend(operands.iter().map(|operand| operand as &dyn Argument));
    arguments.push(&count);
    arguments.extend(options.iter().map(|option| option as &dyn Argument));
    card.launch(&KERNELS, kernel, Grid::over(y.len().div_ceil(4)), &arguments);
}
