//! Boxes in an image: the default boxes around each position, and what a detector makes of them.
//!
//! A box is four numbers, x and y of its first and of its last corner, in parts of the image's width and height.

mod detect;
mod prior;

pub use detect::{BadPrior, Coding, Detector, Found, Suppression};
pub use prior::Priors;

use crate::tensor::{Buffer, Device};

/// A box.
pub(crate) type Corners = [f32; 4];

/// Writes the boxes of all positions, row by row, then their variances.
pub fn priors(device: Device, priors: &Priors, y: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => priors.write(&mut y.host_mut()),
    }
}

/// Finds the boxes that a detector keeps, from offsets (N×P×(boxes of a prior)×4), scores (N×P×classes) and the priors with their
/// variances (2×P×4). The list is short and its length is known only when it is there, so it is made on the host.
///
/// # Errors
/// When a prior that a box is relative to has no area.
pub fn detect(detector: &Detector, [offsets, scores, priors]: [&Buffer; 3], found: &mut Found) -> Result<(), BadPrior> {
    detector.detect(&offsets.host(), &scores.host(), &priors.host(), found)
}
