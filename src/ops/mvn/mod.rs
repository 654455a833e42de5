//! Mean-variance normalization of rows.

mod cpu;

use crate::tensor::{Buffer, Device};

/// y = x − the row's mean, for each of `rows` rows; with `deviations`, divided by √variance + `eps`, which it gets.
pub fn forward(device: Device, (rows, eps): (usize, f32), x: &Buffer, y: &Buffer, deviations: Option<&Buffer>) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::forward((rows, eps), &x.host(), &mut y.host_mut(), deviations),
    }
}

/// dx = dy − mean(dy), or (dy − mean(dy) − y·mean(y·dy)) / deviation.
pub fn backward(device: Device, rows: usize, y: &Buffer, dy: &Buffer, deviations: Option<&Buffer>, dx: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::backward(rows, &y.host(), &dy.host(), deviations, &mut dx.host_mut()),
    }
}
