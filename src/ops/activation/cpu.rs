//! Activation functions on the host. Comparisons are written so that NaN in gives NaN out.

use super::Activation;
use crate::{
    ops::{
        elementwise::cpu::{fill, map, map2, map3},
        math,
    },
    tensor::Buffer,
};

pub(super) fn forward(function: Activation, x: &Buffer, y: &Buffer) {
    match function {
        Activation::AbsVal => map(x, y, f32::abs),
        Activation::Bnll => map(x, y, bnll),
        Activation::Clip { min, max } => map(x, y, move |x| {
            let x = if x > max { max } else { x };
            if x < min { min } else { x }
        }),
        Activation::Elu { alpha } => map(x, y, move |x| if x > 0.0 { x } else { alpha * (math::exp(x) - 1.0) }),
        Activation::Exp { inner, outer } => map(x, y, move |x| outer * math::exp(inner * x)),
        Activation::Log { scale, shift, outer, .. } => map(x, y, move |x| outer * (scale * x + shift).ln()),
        Activation::Power { power, scale, shift } => power_forward(power, scale, shift, x, y),
        Activation::Relu { negative_slope: 0.0 } => map(x, y, move |x| if x < 0.0 { 0.0 } else { x }),
        Activation::Relu { negative_slope } => map(x, y, move |x| if x < 0.0 { negative_slope * x } else { x }),
        Activation::Relu6 => map(x, y, move |x| {
            let x = if x > 6.0 { 6.0 } else { x };
            if x < 0.0 { 0.0 } else { x }
        }),
        Activation::Sigmoid => map(x, y, math::sigmoid),
        Activation::TanH => map(x, y, math::tanh),
        Activation::Threshold { threshold } => map(x, y, move |x| if x > threshold { 1.0 } else { 0.0 }),
    }
}

pub(super) fn backward(function: Activation, x: &Buffer, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    match function {
        Activation::AbsVal => map2(x, dy, dx, move |x, dy| sign(x) * dy),
        Activation::Bnll => map2(x, dy, dx, move |x, dy| {
            // Above 50 the slope is 1 to the last place; eˣ itself would overflow.
            let power = x.min(50.0).exp();
            (f64::from(dy * power) / (f64::from(power) + 1.0)) as f32
        }),
        Activation::Clip { min, max } => map2(x, dy, dx, move |x, dy| if x >= min && x <= max { dy } else { dy * 0.0 }),
        Activation::Elu { alpha } => map3(x, y, dy, dx, move |x, y, dy| dy * if x > 0.0 { 1.0 } else { alpha + y }),
        Activation::Exp { inner, .. } => map2(y, dy, dx, move |y, dy| y * dy * inner),
        Activation::Log { scale, shift, slope, .. } => {
            map2(x, dy, dx, move |x, dy| dy * (slope * (1.0 / (scale * x + shift))));
        }
        Activation::Power { power, scale, shift } => power_backward(power, scale, shift, [x, y, dy, dx]),
        Activation::Relu { negative_slope } => {
            map2(x, dy, dx, move |x, dy| dy * if x > 0.0 { 1.0 } else { negative_slope });
        }
        Activation::Relu6 => map2(x, dy, dx, move |x, dy| dy * if x > 0.0 && x < 6.0 { 1.0 } else { 0.0 }),
        Activation::Sigmoid => map2(y, dy, dx, move |y, dy| dy * y * (1.0 - y)),
        Activation::TanH => map2(y, dy, dx, move |y, dy| dy * (1.0 - y * y)),
        Activation::Threshold { .. } => fill(0.0, dx),
    }
}

/// The gradient of a ReLU whose output is `y`.
#[inline(always)]
pub(crate) fn through_relu(dy: f32, y: f32) -> f32 {
    dy * if y > 0.0 { 1.0 } else { 0.0 }
}

pub(super) fn swish_backward(beta: f32, y: &Buffer, sigmoid: &Buffer, dy: &Buffer, dx: &Buffer) {
    map3(y, sigmoid, dy, dx, move |y, sigmoid, dy| dy * (beta * y + sigmoid * (1.0 - beta * y)));
}

/// In f64, as Caffe: the 1 it adds is a double.
fn bnll(x: f32) -> f32 {
    let small = (1.0 + f64::from((-x.abs()).exp())).ln();
    (if x > 0.0 { f64::from(x) + small } else { small }) as f32
}

/// -1, 0 or 1.
fn sign(x: f32) -> f32 {
    f32::from(x > 0.0) - f32::from(x < 0.0)
}

fn power_forward(power: f32, scale: f32, shift: f32, x: &Buffer, y: &Buffer) {
    if power * scale == 0.0 {
        fill(super::constant_power(power, shift), y);
    } else if power == 1.0 {
        map(x, y, move |x| scale * x + shift);
    } else if power == 2.0 {
        map(x, y, move |x| (scale * x + shift) * (scale * x + shift));
    } else {
        map(x, y, move |x| (scale * x + shift).powf(power));
    }
}

/// The forms are those of Caffe, which differ in rounding and in where they give NaN.
fn power_backward(power: f32, scale: f32, shift: f32, [x, y, dy, dx]: [&Buffer; 4]) {
    let slope = power * scale;
    if slope == 0.0 {
        fill(0.0, dx);
    } else if power == 1.0 {
        map(dy, dx, move |dy| slope * dy);
    } else if power == 2.0 {
        map2(x, dy, dx, move |x, dy| dy * (slope * scale * x + slope * shift));
    } else if shift == 0.0 {
        map3(x, y, dy, dx, move |x, y, dy| dy * (power * (y / x)));
    } else {
        map3(x, y, dy, dx, move |x, y, dy| dy * (slope * (y / (scale * x + shift))));
    }
}
