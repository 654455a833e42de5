//! Several operands into one, value by value: what `elementwise` has not.

mod cpu;
mod cuda;

use crate::tensor::{Buffer, Device, Synced};

/// Which operand gave the largest value, value by value.
#[derive(Debug, Default)]
pub struct Winners {
    operands: Synced<u32>,
}

impl Winners {
    /// Makes room for `count` values.
    pub fn resize(&mut self, count: usize) {
        self.operands.grow(count);
    }
}

/// y = `factors[0]`·a + `factors[1]`·b; with a ReLU behind it y = max(0, that).
pub fn weighted_sum(device: Device, factors: [f32; 2], a: &Buffer, b: &Buffer, is_relu: bool, y: &Buffer) {
    match device {
        Device::Cpu => cpu::weighted_sum(factors, a, b, is_relu, y),
        Device::Cuda(card) => cuda::weighted_sum(card, factors, [a, b], is_relu, y),
    }
}

/// The gradient of [`weighted_sum`]: `dx[i]` = `factors[i]`·dy, with a ReLU behind the sum only where its `y` is above 0. One of
/// the results may be the memory of `dy`.
pub fn weighted_sum_backward(
    device: Device,
    factors: [f32; 2],
    y: Option<&Buffer>,
    dy: &Buffer,
    dx: [Option<&Buffer>; 2],
) {
    match device {
        Device::Cpu => cpu::weighted_sum_backward(factors, y, dy, dx),
        Device::Cuda(card) => cuda::weighted_sum_backward(card, factors, y, dy, dx),
    }
}

/// y = a where a > b, else b; the winners are operands 0 and 1.
pub fn maximum(device: Device, a: &Buffer, b: &Buffer, y: &Buffer, winners: &mut Winners) {
    match device {
        Device::Cpu => cpu::maximum(&a.host(), &b.host(), &mut y.host_mut(), &mut winners.operands.host_mut()),
        Device::Cuda(card) => cuda::maximum(card, [a, b], y, &winners.operands),
    }
}

/// y = x where x > y; there operand `operand` wins.
pub fn raise(device: Device, x: &Buffer, operand: usize, y: &Buffer, winners: &mut Winners) {
    match device {
        Device::Cpu => cpu::raise(&x.host(), operand as u32, &mut y.host_mut(), &mut winners.operands.host_mut()),
        Device::Cuda(card) => cuda::raise(card, x, operand as u32, y, &winners.operands),
    }
}

/// dx = dy where `operand` won, else 0.
pub fn winner_gradient(device: Device, winners: &Winners, operand: usize, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => {
            cpu::winner_gradient(&winners.operands.host(), operand as u32, &dy.host(), &mut dx.host_mut());
        }
        Device::Cuda(card) => cuda::winner_gradient(card, &winners.operands, operand as u32, dy, dx),
    }
}
