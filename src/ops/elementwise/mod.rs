//! One value of the result from the values at the same place of the operands: y\[i\] = f(a\[i\], b\[i\], ...).
//!
//! The result may be the memory of any operand (in place). The calls of this file take a [`Device`]; [`cpu`] has the loops
//! that other families' CPU code builds on.

pub mod cpu;
mod cuda;

use crate::tensor::{Buffer, Device};

/// y = value.
pub fn fill(device: Device, value: f32, y: &Buffer) {
    match device {
        Device::Cpu => cpu::fill(value, y),
        Device::Cuda(card) => cuda::fill(card, value, y),
    }
}

/// y = x.
pub fn copy(device: Device, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::copy(x, y),
        Device::Cuda(card) => cuda::copy(card, x, y),
    }
}

/// y = factor · x.
pub fn scale(device: Device, factor: f32, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::map(x, y, move |x| factor * x),
        Device::Cuda(card) => cuda::with_factor(card, "scale", factor, x, y),
    }
}

/// y = factor · x with the factor in memory, a single value; y = 0 for a factor of 0, whatever x.
pub fn scale_by(device: Device, factor: &Buffer, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => match factor.host()[0] {
            0.0 => cpu::fill(0.0, y),
            1.0 => cpu::copy(x, y),
            factor => cpu::map(x, y, move |x| factor * x),
        },
        Device::Cuda(card) => cuda::scale_by(card, factor, x, y),
    }
}

/// y = y + factor · x.
pub fn add_scaled(device: Device, factor: f32, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::map2(x, y, y, move |x, y| factor * x + y),
        Device::Cuda(card) => cuda::with_factor(card, "add_scaled", factor, x, y),
    }
}

/// y = a + b.
pub fn add(device: Device, a: &Buffer, b: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::map2(a, b, y, |a, b| a + b),
        Device::Cuda(card) => cuda::of_two(card, "add", a, b, y),
    }
}

/// y = the sum of all terms, added up from the first to the last; there is one at least. `y` may be the memory of the first.
pub fn add_all(device: Device, terms: &[&Buffer], y: &Buffer) {
    match device {
        Device::Cpu => cpu::add_all(terms, y),
        Device::Cuda(card) => cuda::add_all(card, terms, y),
    }
}

/// y = a - b.
pub fn subtract(device: Device, a: &Buffer, b: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::map2(a, b, y, |a, b| a - b),
        Device::Cuda(card) => cuda::of_two(card, "subtract", a, b, y),
    }
}

/// y = a · b.
pub fn multiply(device: Device, a: &Buffer, b: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::map2(a, b, y, |a, b| a * b),
        Device::Cuda(card) => cuda::of_two(card, "multiply", a, b, y),
    }
}

/// y = a / b.
pub fn divide(device: Device, a: &Buffer, b: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::map2(a, b, y, |a, b| a / b),
        Device::Cuda(card) => cuda::of_two(card, "divide", a, b, y),
    }
}
