//! The lines of Caffe's log, word for word, so that tools made for Caffe's logs read rcaffe's.
//!
//! Pure functions: the values in, the text of the line out, without the prefix. Who calls them logs the text with
//! [`log::info!`] unless the function says otherwise.

pub mod solver;
pub mod tool;

use crate::prototxt::number::stream;

/// ` (* 1 = 2.30264 loss)`, the tail of an output's line; empty for an output that is no loss.
fn weighted(loss_weight: f32, value: f32) -> String {
    if loss_weight == 0.0 {
        return String::new();
    }
    format!(" (* {} = {} loss)", stream(loss_weight), stream(loss_weight * value))
}
