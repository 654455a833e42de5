//! Mean-variance normalization of rows.

mod cpu;
mod cuda;

use crate::tensor::{Buffer, Device};

/// y = x − the row's mean, for each of `rows` rows; with `deviations`, divided by √variance + `eps`, which it gets.
pub fn forward(device: Device, (rows, eps): (usize, f32), x: &Buffer, y: &Buffer, deviations: Option<&Buffer>) {
    match device {
        Device::Cpu => cpu::forward((rows, eps), &x.host(), &mut y.host_mut(), deviations),
        Device::Cuda(card) => cuda::forward(card, (rows, eps), x, y, deviations),
    }
}

/// dx = dy − mean(dy), or (dy − mean(dy) − y·mean(y·dy)) / deviation.
pub fn backward(device: Device, rows: usize, y: &Buffer, dy: &Buffer, deviations: Option<&Buffer>, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::backward(rows, &y.host(), &dy.host(), deviations, &mut dx.host_mut()),
        Device::Cuda(card) => cuda::backward(card, rows, [y, dy], deviations, dx),
    }
}
