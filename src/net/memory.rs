//! What the blobs of a net occupy.

use super::Net;
use crate::tensor::Shape;

/// The memory of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobMemory {
    /// The blob's name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Bytes of data that are this blob's own; 0 for a view of another blob (Split, Flatten, Reshape).
    pub data_bytes: usize,
    /// Bytes of gradient that are this blob's own; 0 for a view.
    pub diff_bytes: usize,
}

impl Net {
    /// The memory of every blob, in the order in which they are made.
    pub fn memory(&self) -> Vec<BlobMemory> {
        let bytes = |index: usize, of: fn(&crate::tensor::Blob) -> &crate::tensor::Buffer| {
            let mine = of(&self.blobs[index]);
            let is_view = self.blobs[..index].iter().any(|earlier| of(earlier).is_same(mine));
            if is_view { 0 } else { mine.len() * size_of::<f32>() }
        };
        let entry = |index: usize| BlobMemory {
            name: self.blob_names[index].clone(),
            shape: self.blobs[index].shape().clone(),
            data_bytes: bytes(index, crate::tensor::Blob::data),
            diff_bytes: bytes(index, crate::tensor::Blob::diff),
        };
        (0..self.blobs.len()).map(entry).collect()
    }
}
