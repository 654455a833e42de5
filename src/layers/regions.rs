//! What `ROIPooling` and `PSROIPooling` share: the bottom with the regions.

use crate::{
    error::{Error, Result},
    layers::Io,
    ops::roi::{self, BadRegion, Region},
};

/// The dimensions of the first bottom, and the number of regions in the second.
///
/// # Errors
/// When the bottoms have other shapes than N×C×H×W and R×5 (or R×5×1×1).
pub fn shapes(io: &Io<'_>) -> Result<([usize; 4], usize)> {
    let (x, rois) = (io.bottom(0).shape(), io.bottom(1).shape());
    let &[images, channels, height, width] = x.dims() else {
        return Err(Error::shape(format!("bottom 0 needs shape N×C×H×W, it is {x}")));
    };
    if rois.axes() < 2 || rois.count_from(1) != 5 {
        let message =
            format!("bottom 1 needs shape R×5, an image's number and two corners for each region; it is {rois}");
        return Err(Error::shape(message));
    }
    if height == 0 || width == 0 {
        return Err(Error::shape(format!("the planes of bottom 0 have no values (shape {x})")));
    }
    Ok(([images, channels, height, width], rois.dims()[0]))
}

/// Reads the regions.
///
/// # Errors
/// When one has an image that does not exist or a coordinate that is not finite.
pub fn read(io: &Io<'_>, regions: &mut Vec<Region>) -> Result<()> {
    let images = io.bottom(0).dim(0);
    roi::read(io.bottom(1).data(), images, regions).map_err(|BadRegion { index, value, is_image }| {
        let message = match is_image {
            true => format!("number {index} is of image {value}, which is not one of the {images} of bottom 0"),
            false => format!("number {index} has a corner at {value}"),
        };
        Error::data("region", message)
    })
}

/// The scale that the options give.
///
/// # Errors
/// When it is not a number above 0.
pub fn check_scale(scale: f32, field: &str) -> Result<f32> {
    if scale > 0.0 && scale.is_finite() {
        return Ok(scale);
    }
    Err(Error::config(field, format!("must be above 0, is {scale}")))
}
