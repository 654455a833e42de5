//! Pooling on the host, parallel over planes.
//!
//! Row by row where vectors for that are there (`rows/`). Otherwise a plane is taken apart
//! ([`Layout`](super::layout::Layout)), then position by position all of its windows are worked on at once, in loops that the
//! compiler makes vector code of. Positions are visited in Caffe's scan order, so that sums and ties come out as Caffe's.

mod average;
mod max;
#[cfg(test)]
mod tests;

pub(super) use self::{
    average::{average_backward, average_forward},
    max::{backward_by_index, max_backward, max_forward, max_forward_large, write_indices, write_mask},
};
use super::Geometry;

/// Input values per task, about; whole planes.
const TASK: usize = 32 * 1024;

/// Planes per task.
fn group(geometry: &Geometry) -> usize {
    (TASK / geometry.input_plane().max(1)).max(1)
}
