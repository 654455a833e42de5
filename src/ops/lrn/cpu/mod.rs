//! Normalisation on the host's cores: one pass over memory in each direction. What is summed over neighbours stays in the cache.

mod across;
mod box_sum;
mod passes;
mod within;

use std::cell::RefCell;

pub(super) use self::{
    across::{across_channels_backward, across_channels_forward},
    within::{within_channel_backward, within_channel_forward},
};
use crate::tensor::Blob;

/// Values that a vector holds.
const LANES: usize = 16;

thread_local! {
    /// Scratch memory of a thread; it grows to what the largest plane takes and stays.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Values of one channel of one image.
fn plane_of(x: &Blob) -> usize {
    x.shape().count_from(2).max(1)
}

/// Calls `work` with scratch memory of this thread.
fn with_scratch(len: usize, work: impl FnOnce(&mut [f32])) {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            scratch.resize(len, 0.0);
        }
        work(&mut scratch[..len]);
    });
}
