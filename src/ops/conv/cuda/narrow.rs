//! Convolutions with groups of so few channels that a product has nothing to share, depthwise ones first of all.

use super::{
    super::geometry::{self, Geometry},
    division::Division,
    tiles::plain_part,
};
use crate::cuda::Argument;

/// Groups have no more channels and outputs than this.
const MOST_CHANNELS: usize = 4;

#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Axis {
    input: u32,
    output: u32,
    kernel: u32,
    stride: u32,
    pad: u32,
    dilation: u32,
}

impl Axis {
    fn new(axis: &geometry::Axis) -> Self {
        let geometry::Axis { input, kernel, stride, pad, dilation } = *axis;
        Axis {
            input: input as u32,
            output: axis.output().unwrap_or(0) as u32,
            kernel: kernel as u32,
            stride: stride as u32,
            pad: pad as u32,
            dilation: dilation as u32,
        }
    }
}

/// What the kernels are told.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Sizes {
    images: u32,
    channels: u32,
    outputs: u32,
    groups: u32,
    height: Axis,
    width: Axis,
}

// SAFETY: numbers of 32 bits, laid out as in the kernel's file.
unsafe impl Argument for Sizes {}

/// A convolution of narrow groups.
#[derive(Debug)]
pub(super) struct Narrow {
    pub sizes: Sizes,
    /// The weights, and the parts that their gradients' sums are cut into.
    pub weights: usize,
    pub part: usize,
    pub parts: usize,
    /// Positions of all images.
    pub values: usize,
    pub plane: Division,
    pub row: Division,
}

impl Narrow {
    /// The plan, if groups are so narrow.
    pub fn new(geometry: &Geometry, axes: &[geometry::Axis; 2]) -> Option<Self> {
        let Geometry { images, channels, outputs, groups, .. } = *geometry;
        if groups == 1 || channels / groups > MOST_CHANNELS || outputs / groups > MOST_CHANNELS {
            return None;
        }
        let sizes = Sizes {
            images: images as u32,
            channels: channels as u32,
            outputs: outputs as u32,
            groups: groups as u32,
            height: Axis::new(&axes[0]),
            width: Axis::new(&axes[1]),
        };
        let weights = outputs * geometry.fan_in();
        let (plane, row) = (geometry.output_plane(), axes[1].output().unwrap_or(0));
        let values = images * plane;
        let part = plain_part(weights, values);
        let parts = values.div_ceil(part);
        Some(Narrow { sizes, weights, part, parts, values, plane: Division::new(plane), row: Division::new(row) })
    }
}
