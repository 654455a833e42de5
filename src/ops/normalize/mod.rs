//! Values divided by the length of their image, or of their place's vector of channels, and multiplied by γ.
//!
//! y = γ\[c\]·x / norm with norm = √(Σ x² + eps), the sum over the image or over the channels of a place.

mod cpu;
mod cuda;

use crate::tensor::{Buffer, Device};

/// Sizes, and what a length is of.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Geometry {
    /// Images.
    pub images: usize,
    /// Channels.
    pub channels: usize,
    /// Places: values of a channel.
    pub places: usize,
    /// One length for an image rather than one for each place.
    pub is_whole: bool,
    /// Added to the sum of squares.
    pub eps: f32,
}

impl Geometry {
    /// How many lengths there are.
    pub fn lengths(&self) -> usize {
        if self.is_whole { self.images } else { self.images * self.places }
    }

    /// Values of an image.
    fn image(&self) -> usize {
        self.channels * self.places
    }
}

/// y = γ·x / norm; `norms` gets the lengths. γ has one value for each channel, or one for all.
pub fn forward(device: Device, geometry: &Geometry, x: &Buffer, factors: &Buffer, norms: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => {
            cpu::forward(geometry, &x.host(), &factors.host(), &mut norms.host_mut(), &mut y.host_mut());
        }
        Device::Cuda(card) => cuda::forward(card, geometry, [x, factors], norms, y),
    }
}

/// dx = (γ·dy − x·(Σ γ·dy·x) / norm²) / norm; `sums`, one value for each length, is scratch memory.
pub fn backward(
    device: Device,
    geometry: &Geometry,
    [x, factors, norms, dy]: [&Buffer; 4],
    sums: &Buffer,
    dx: &Buffer,
) {
    match device {
        Device::Cuda(card) => cuda::backward(card, geometry, [x, factors, norms, dy], dx),
        Device::Cpu => {
            let (x, factors, norms, dy) = (x.host(), factors.host(), norms.host(), dy.host());
            cpu::backward(geometry, [&x, &factors, &norms, &dy], &mut sums.host_mut(), &mut dx.host_mut());
        }
    }
}

/// Adds the gradient of γ: Σ dy·x / norm over a channel, or over all.
pub fn backward_factors(device: Device, geometry: &Geometry, [x, norms, dy]: [&Buffer; 3], diff: &Buffer) {
    match device {
        Device::Cuda(card) => cuda::backward_factors(card, geometry, [x, norms, dy], diff),
        Device::Cpu => {
            cpu::backward_factors(geometry, [&x.host(), &norms.host(), &dy.host()], &mut diff.host_mut());
        }
    }
}
