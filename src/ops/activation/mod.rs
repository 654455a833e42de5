//! Activation functions: y = f(x) value by value, and dx = dy · f'(x).

mod cpu;

use crate::tensor::{Buffer, Device};

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// x where x > 0, `negative_slope`·x elsewhere.
    Relu {
        /// The slope below 0; 0 in the plain function.
        negative_slope: f32,
    },
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// The hyperbolic tangent.
    TanH,
}

/// y = f(x); `y` may be the memory of `x`.
pub fn forward(device: Device, function: Activation, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::forward(function, x, y),
    }
}

/// dx = dy · f'(x), from x or y = f(x), whichever gives it with less work; `dx` may be the memory of `dy`. Where y was
/// computed in place, `x` is `y`.
pub fn backward(device: Device, function: Activation, x: &Buffer, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::backward(function, x, y, dy, dx),
    }
}
