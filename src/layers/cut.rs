//! What `Crop` and `CropCenter` share: a block cut out of a blob.

use crate::{
    ops::{elementwise, movement, movement::Move},
    tensor::{Buffer, Device, Shape},
};

/// Where the block lies.
#[derive(Debug, Default)]
pub struct Cut {
    /// Values of a run along the last axis.
    length: usize,
    /// From the blob to the block.
    moves: Vec<Move>,
    /// From the block to the blob.
    back: Vec<Move>,
}

impl Cut {
    /// A block of these extents, that begins at these places of a blob of this shape; one of each for every axis.
    pub fn set(&mut self, whole: &Shape, starts: &[usize], extents: &[usize]) {
        let Some(last) = extents.len().checked_sub(1) else {
            (self.length, self.moves, self.back) = (1, vec![(0, 0)], vec![(0, 0)]);
            return;
        };
        self.length = extents[last];
        let runs: usize = extents[..last].iter().product();
        self.moves.clear();
        self.moves.extend((0..runs).map(|run| {
            let (mut rest, mut source) = (run, starts[last]);
            for axis in (0..last).rev() {
                source += (starts[axis] + rest % extents[axis]) * whole.count_from(axis + 1);
                rest /= extents[axis];
            }
            (source, run * extents[last])
        }));
        self.back.clear();
        self.back.extend(self.moves.iter().map(|&(source, place)| (place, source)));
    }

    /// Copies the block out.
    pub fn take(&self, device: Device, whole: &Buffer, block: &Buffer) {
        movement::copy_listed(device, self.length, &self.moves, whole, block);
    }

    /// Copies the block to its place; all else becomes 0.
    pub fn put(&self, device: Device, block: &Buffer, whole: &Buffer) {
        elementwise::fill(device, 0.0, whole);
        movement::copy_listed(device, self.length, &self.back, block, whole);
    }
}
