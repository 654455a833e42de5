//! What the blobs of a net occupy.

use super::Net;
use crate::tensor::{Buffer, Shape};

/// The memory of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobMemory {
    /// The blob's name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Bytes of memory for data; 0 where it is memory of a blob before or of its gradient: a view (Split, Flatten, Reshape), or
    /// memory that blobs take in turn ([`Net::share_memory`]), which is the first one's.
    pub data_bytes: usize,
    /// Bytes of memory for the gradient, counted in the same way.
    pub diff_bytes: usize,
}

impl Net {
    /// The memory of every blob, in the order in which they are made.
    pub fn memory(&self) -> Vec<BlobMemory> {
        let buffers: Vec<&Buffer> = self.blobs.iter().flat_map(|blob| [blob.data(), blob.diff()]).collect();
        let bytes = |index: usize| {
            let mine = buffers[index];
            let is_anothers = buffers[..index].iter().any(|earlier| earlier.is_same(mine));
            let in_turn = buffers[index..].iter().filter(|later| later.is_same(mine)).map(|buffer| buffer.len());
            if is_anothers { 0 } else { in_turn.max().unwrap_or(0) * size_of::<f32>() }
        };
        let entry = |index: usize| BlobMemory {
            name: self.blob_names[index].clone(),
            shape: self.blobs[index].shape().clone(),
            data_bytes: bytes(2 * index),
            diff_bytes: bytes(2 * index + 1),
        };
        (0..self.blobs.len()).map(entry).collect()
    }
}
