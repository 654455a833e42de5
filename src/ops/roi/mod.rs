//! Pooling over regions of an image: each is cut into bins, and each bin gives its largest or its mean value.
//!
//! A region is five numbers: which image of the batch, then x and y of its first and of its last corner, in units that are
//! multiplied by a scale to give positions of the planes.

mod cpu;

use crate::{
    ops::softmax::class,
    tensor::{Buffer, Device},
};

/// Sizes of a pooling over regions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Geometry {
    /// Images of the source.
    pub images: usize,
    /// Channels of the source.
    pub channels: usize,
    /// Rows of the source.
    pub height: usize,
    /// Columns of the source.
    pub width: usize,
    /// Bins of a region, down and across.
    pub bins: [usize; 2],
    /// Positions for each unit of the regions' coordinates.
    pub scale: f32,
}

/// A region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    image: usize,
    /// x and y of both corners.
    corners: [f32; 4],
}

/// What is wrong with a region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadRegion {
    /// Its index.
    pub index: usize,
    /// The number of an image that does not exist, or a coordinate that is not finite.
    pub value: f32,
    /// Whether it is the image.
    pub is_image: bool,
}

/// Reads the regions of a batch of so many images.
///
/// # Errors
/// When a region's image does not exist, or a coordinate is not finite.
pub fn read(rois: &Buffer, images: usize, regions: &mut Vec<Region>) -> Result<(), BadRegion> {
    regions.clear();
    for (index, values) in rois.host().chunks_exact(5).enumerate() {
        let image = class(values[0], images);
        let image = image.ok_or(BadRegion { index, value: values[0], is_image: true })?;
        if let Some(&value) = values[1..].iter().find(|value| !value.is_finite()) {
            return Err(BadRegion { index, value, is_image: false });
        }
        regions.push(Region { image, corners: [values[1], values[2], values[3], values[4]] });
    }
    Ok(())
}

/// Where each maximum was found in its plane.
#[derive(Debug, Default)]
pub struct Winners(Vec<u32>);

impl Winners {
    /// Makes room for so many outputs.
    pub fn resize(&mut self, count: usize) {
        self.0.resize(count, 0);
    }
}

/// y = the largest value of each bin of each region, channel by channel; 0 of a bin outside the plane. Corners are rounded to
/// positions, and both belong to the region.
pub fn max_forward(
    device: Device,
    geometry: &Geometry,
    regions: &[Region],
    x: &Buffer,
    y: &Buffer,
    winners: &mut Winners,
) {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            cpu::max_forward(geometry, regions, &x.host(), &mut y.host_mut(), &mut winners.0)
        }
    }
}

/// dx = the sum of dy over the bins whose maximum the value is.
pub fn max_backward(
    device: Device,
    geometry: &Geometry,
    regions: &[Region],
    dy: &Buffer,
    winners: &Winners,
    dx: &Buffer,
) {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            cpu::max_backward(geometry, regions, &dy.host(), &winners.0, &mut dx.host_mut())
        }
    }
}

/// y = the mean value of each bin of each region; 0 of a bin outside the plane. Bin (h, w) of result o reads channel
/// (o·rows + h)·columns + w of the source. Corners are rounded to whole units, then scaled.
pub fn average_forward(device: Device, geometry: &Geometry, regions: &[Region], x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::average_forward(geometry, regions, &x.host(), &mut y.host_mut()),
    }
}

/// dx = the sum of dy / bin size over the bins that hold the value.
pub fn average_backward(device: Device, geometry: &Geometry, regions: &[Region], dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::average_backward(geometry, regions, &dy.host(), &mut dx.host_mut()),
    }
}
