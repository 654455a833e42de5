//! Local response normalisation: y = x · s^(-β), s = k + α · (mean of x² over a neighbourhood).
//!
//! The neighbourhood is a row of channels or a square of one channel. `s` of a square is kept for the backward pass; that of a row is
//! computed anew there on the host, which takes less time than memory does, and kept on a card. With `v` the part of
//! the gradient that goes through `s`, dx = dy · s^(-β) + 2x · (sum of v over the neighbourhood).

mod cpu;
mod cuda;

use crate::tensor::{Blob, Buffer, Device};

/// The options of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// Channels, or rows and columns, of the neighbourhood: odd.
    pub size: usize,
    /// α: the weight of the mean square.
    pub alpha: f32,
    /// β: the exponent.
    pub beta: f32,
    /// k: what the weighted mean square is added to.
    pub k: f32,
}

/// Normalises over neighbouring channels. `x`, `y`: N×C×H×W, `scale` takes s on a card.
pub fn across_channels_forward(device: Device, options: Normalization, x: &Blob, y: &Blob, scale: &mut Buffer) {
    if device.card().is_some() {
        scale.resize(x.count());
    }
    match device {
        Device::Cpu => cpu::across_channels_forward(options, x, y),
        Device::Cuda(card) => cuda::across_channels_forward(card, options, x, y, scale),
    }
}

/// The gradient of [`across_channels_forward`], from `y`'s diff to `x`'s, which on the CPU may be one memory.
pub fn across_channels_backward(device: Device, options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    match device {
        Device::Cpu => cpu::across_channels_backward(options, x, y),
        Device::Cuda(card) => cuda::across_channels_backward(card, options, x, y, scale),
    }
}

/// Normalises over a square of each channel, zero beyond the edges. `x`, `y`: N×C×H×W, `scale` takes s.
pub fn within_channel_forward(device: Device, options: Normalization, x: &Blob, y: &Blob, scale: &mut Buffer) {
    scale.resize(x.count());
    match device {
        Device::Cpu => cpu::within_channel_forward(options, x, y, scale),
        Device::Cuda(card) => cuda::within_channel_forward(card, options, x, y, scale),
    }
}

/// The gradient of [`within_channel_forward`], from `y`'s diff to `x`'s, which on the CPU may be one memory.
pub fn within_channel_backward(device: Device, options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    match device {
        Device::Cpu => cpu::within_channel_backward(options, x, y, scale),
        Device::Cuda(card) => cuda::within_channel_backward(card, options, x, y, scale),
    }
}
