//! Activation functions: y = f(x) value by value, and dx = dy · f'(x).

pub(crate) mod cpu;
mod cuda;

use crate::tensor::{Buffer, Device};

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// |x|.
    AbsVal,
    /// ln(1 + eˣ).
    Bnll,
    /// x, held between two bounds.
    Clip {
        /// The lower bound.
        min: f32,
        /// The upper bound.
        max: f32,
    },
    /// x where x > 0, α·(eˣ − 1) elsewhere.
    Elu {
        /// Minus the limit for x → −∞.
        alpha: f32,
    },
    /// `outer` · e^(`inner`·x).
    Exp {
        /// Factor of the exponent.
        inner: f32,
        /// Factor of the result.
        outer: f32,
    },
    /// `outer` · ln(`scale`·x + `shift`).
    Log {
        /// Factor of x.
        scale: f32,
        /// What is added to it.
        shift: f32,
        /// Factor of the result.
        outer: f32,
        /// Factor of the gradient, `scale · outer` up to rounding.
        slope: f32,
    },
    /// (`shift` + `scale`·x)^`power`.
    Power {
        /// The exponent.
        power: f32,
        /// Factor of x.
        scale: f32,
        /// What is added to it.
        shift: f32,
    },
    /// x where x > 0, `negative_slope`·x elsewhere.
    Relu {
        /// The slope below 0; 0 in the plain function.
        negative_slope: f32,
    },
    /// x, held between 0 and 6.
    Relu6,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// The hyperbolic tangent.
    TanH,
    /// 1 where x > `threshold`, 0 elsewhere; it has no gradient.
    Threshold {
        /// The value to exceed.
        threshold: f32,
    },
}

impl Activation {
    /// Whether the gradient can be had when y was written over x: from y alone, or from the sign that both share.
    pub fn works_in_place(&self) -> bool {
        match self {
            Activation::Power { power, scale, .. } => *power == 1.0 || *power * *scale == 0.0,
            Activation::AbsVal | Activation::Bnll | Activation::Clip { .. } | Activation::Log { .. } => false,
            _ => true,
        }
    }

    /// Whether [`backward`] reads x.
    pub fn gradient_reads_input(&self) -> bool {
        match self {
            Activation::Power { power, scale, .. } => *power != 1.0 && *power * *scale != 0.0,
            Activation::Exp { .. } | Activation::Sigmoid | Activation::TanH | Activation::Threshold { .. } => false,
            _ => true,
        }
    }

    /// Whether [`backward`] reads y.
    pub fn gradient_reads_output(&self) -> bool {
        match self {
            Activation::Power { power, scale, .. } => *power != 1.0 && *power != 2.0 && *power * *scale != 0.0,
            Activation::Elu { .. } | Activation::Exp { .. } | Activation::Sigmoid | Activation::TanH => true,
            _ => false,
        }
    }
}

/// [`Activation::Power`] where x plays no part; 0⁰ is 1 here, as in Caffe.
fn constant_power(power: f32, shift: f32) -> f32 {
    if power == 0.0 { 1.0 } else { shift.powf(power) }
}

/// y = f(x); `y` may be the memory of `x`.
pub fn forward(device: Device, function: Activation, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::forward(function, x, y),
        Device::Cuda(card) => cuda::forward(card, function, x, y),
    }
}

/// dx = dy · f'(x), from x or y = f(x), whichever gives it with less work; `dx` may be the memory of `dy`. Where y was
/// computed in place, `x` is `y`, see [`Activation::works_in_place`].
pub fn backward(device: Device, function: Activation, x: &Buffer, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::backward(function, x, y, dy, dx),
        Device::Cuda(card) => cuda::backward(card, function, x, y, dy, dx),
    }
}

/// dx = dy · (β·y + σ·(1 − β·y)), the gradient of y = x·σ with σ = sigmoid(β·x).
pub fn swish_backward(device: Device, beta: f32, y: &Buffer, sigmoid: &Buffer, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::swish_backward(beta, y, sigmoid, dy, dx),
        Device::Cuda(card) => cuda::swish_backward(card, beta, [y, sigmoid, dy], dx),
    }
}
