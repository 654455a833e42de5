//! Activation functions on the host.

use super::Activation;
use crate::{
    ops::{
        elementwise::cpu::{map, map2},
        math,
    },
    tensor::Buffer,
};

pub(super) fn forward(function: Activation, x: &Buffer, y: &Buffer) {
    match function {
        // Written so that NaN stays NaN.
        Activation::Relu { negative_slope: 0.0 } => map(x, y, |x| if x < 0.0 { 0.0 } else { x }),
        Activation::Relu { negative_slope } => map(x, y, |x| if x < 0.0 { negative_slope * x } else { x }),
        Activation::Sigmoid => map(x, y, math::sigmoid),
        Activation::TanH => map(x, y, math::tanh),
    }
}

pub(super) fn backward(function: Activation, x: &Buffer, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    match function {
        Activation::Relu { negative_slope } => {
            map2(x, dy, dx, |x, dy| dy * if x > 0.0 { 1.0 } else { negative_slope });
        }
        Activation::Sigmoid => map2(y, dy, dx, |y, dy| dy * y * (1.0 - y)),
        Activation::TanH => map2(y, dy, dx, |y, dy| dy * (1.0 - y * y)),
    }
}
