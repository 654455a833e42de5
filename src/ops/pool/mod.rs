//! Pooling: each output is the largest, the mean or a random value of a window of one plane.
//!
//! Output (ph, pw) reads rows `ph·stride − pad .. + kernel` and the columns alike, clipped to the plane. MAX takes the first
//! of equal values in scan order. AVE divides by the window's size clipped to the *padded* plane, so that padding counts as
//! zeros but what lies beyond it does not count at all.

mod cpu;
mod cuda;
mod layout;
#[cfg(target_arch = "x86_64")]
mod rows;
mod stochastic;
mod windows;

use crate::tensor::{Buffer, Device, Synced};

/// Sizes along one axis of the planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Axis {
    /// Input values.
    pub input: usize,
    /// Output values.
    pub output: usize,
    /// Size of the window.
    pub kernel: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Padding at each end.
    pub pad: usize,
}

/// Sizes of a pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Geometry {
    /// Planes: images times channels.
    pub planes: usize,
    /// Rows.
    pub height: Axis,
    /// Columns.
    pub width: Axis,
}

impl Geometry {
    /// Values of one input plane.
    fn input_plane(&self) -> usize {
        self.height.input * self.width.input
    }

    /// Values of one output plane.
    fn output_plane(&self) -> usize {
        self.height.output * self.width.output
    }
}

/// Where each value that was picked stood: what the backward passes of MAX and STOCHASTIC need.
///
/// On the host MAX keeps a byte for each output, the place in its window in scan order, where windows are small enough; else, for
/// STOCHASTIC, and on a card it is the index in the plane. So forward and backward must run on the same device.
#[derive(Debug, Default)]
pub struct Mask {
    geometry: Geometry,
    /// Whether the host keeps places.
    keeps_places: bool,
    places: Synced<u8>,
    indices: Synced<u32>,
}

impl Mask {
    /// Among the indices: the window held nothing above -f32::MAX (all NaN or -∞).
    const NONE: u32 = u32::MAX;

    /// The same among the places.
    const NO_PLACE: u8 = u8::MAX;

    /// Makes room for the outputs of this MAX pooling.
    pub fn resize(&mut self, geometry: &Geometry) {
        self.resize_for_indices(geometry);
        self.keeps_places = Mask::is_small(geometry);
        if self.keeps_places {
            self.places.grow(geometry.planes * geometry.output_plane());
        }
    }

    /// Makes room for the outputs of this STOCHASTIC pooling.
    pub fn resize_for_indices(&mut self, geometry: &Geometry) {
        (self.geometry, self.keeps_places) = (*geometry, false);
        // Memory that nobody writes to takes no room.
        self.indices.grow(geometry.planes * geometry.output_plane());
    }

    /// Whether a byte has room for the places of a window, and for none of them.
    fn is_small(geometry: &Geometry) -> bool {
        geometry.height.kernel.saturating_mul(geometry.width.kernel) <= Mask::NO_PLACE.into()
    }

    /// Writes the indices in planes as numbers, as Caffe's second top gives them; -1 where there is none.
    pub fn write(&self, device: Device, values: &Buffer) {
        match device {
            Device::Cpu if self.keeps_places => {
                cpu::write_mask(&self.geometry, &self.places.host(), &mut values.host_mut());
            }
            Device::Cpu => cpu::write_indices(&self.indices.host(), &mut values.host_mut()),
            Device::Cuda(card) => cuda::write_mask(card, self, values),
        }
    }
}

/// y = the largest value of each window; `mask` says where it was.
pub fn max_forward(device: Device, geometry: &Geometry, x: &Buffer, y: &Buffer, mask: &Mask) {
    match device {
        Device::Cpu if mask.keeps_places => {
            cpu::max_forward(geometry, &x.host(), &mut y.host_mut(), &mut mask.places.host_mut());
        }
        Device::Cpu => cpu::max_forward_large(geometry, &x.host(), &mut y.host_mut(), &mut mask.indices.host_mut()),
        Device::Cuda(card) => cuda::max_forward(card, geometry, x, y, mask),
    }
}

/// dx = the sum of dy over the windows that picked the value, as the largest or by chance.
pub fn max_backward(device: Device, geometry: &Geometry, dy: &Buffer, mask: &Mask, dx: &Buffer) {
    match device {
        Device::Cpu if mask.keeps_places => {
            cpu::max_backward(geometry, &dy.host(), &mask.places.host(), &mut dx.host_mut());
        }
        Device::Cpu => cpu::backward_by_index(geometry, &dy.host(), &mask.indices.host(), &mut dx.host_mut()),
        Device::Cuda(card) => cuda::max_backward(card, geometry, dy, mask, dx),
    }
}

/// y = the mean value of each window.
pub fn average_forward(device: Device, geometry: &Geometry, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::average_forward(geometry, &x.host(), &mut y.host_mut()),
        Device::Cuda(card) => cuda::average_forward(card, geometry, x, y),
    }
}

/// dx = the sum of dy / window size over the windows that hold the value.
pub fn average_backward(device: Device, geometry: &Geometry, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::average_backward(geometry, &dy.host(), &mut dx.host_mut()),
        Device::Cuda(card) => cuda::average_backward(card, geometry, dy, dx),
    }
}

/// y = a value of each window, picked with probability x / Σ x by a number of `draws` (0 to 1, one per output); `mask` says
/// where it was. No padding. The gradient is [`max_backward`].
pub fn stochastic_forward(device: Device, geometry: &Geometry, x: &Buffer, draws: &Buffer, y: &Buffer, mask: &Mask) {
    match device {
        Device::Cpu => {
            let (mut y, mut mask) = (y.host_mut(), mask.indices.host_mut());
            stochastic::forward(geometry, &x.host(), &draws.host(), &mut y, &mut mask);
        }
        Device::Cuda(card) => cuda::stochastic_forward(card, geometry, x, draws, y, mask),
    }
}

/// y = Σ x² / Σ x over each window, 0 where the sum is not above 0: what [`stochastic_forward`] gives on average.
pub fn expected_forward(device: Device, geometry: &Geometry, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => stochastic::expected(geometry, &x.host(), &mut y.host_mut()),
        Device::Cuda(card) => cuda::expected_forward(card, geometry, x, y),
    }
}

/// The gradient of [`expected_forward`]: dx = Σ dy·(2x − y) / Σ x over the windows that hold the value.
pub fn expected_backward(device: Device, geometry: &Geometry, x: &Buffer, y: &Buffer, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => stochastic::expected_backward(geometry, &x.host(), [&y.host(), &dy.host()], &mut dx.host_mut()),
        Device::Cuda(card) => cuda::expected_backward(card, geometry, x, [y, dy], dx),
    }
}
