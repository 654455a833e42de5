//! What `Crop` and `CropCenter` share: a block cut out of a blob.

use crate::{
    ops::{elementwise, movement, movement::Moves},
    tensor::{Buffer, Device, Shape},
};

/// Where the block lies.
#[derive(Debug, Default)]
pub struct Cut {
    /// Values of a run along the last axis.
    length: usize,
    /// From the blob to the block.
    moves: Moves,
    /// From the block to the blob.
    back: Moves,
}

impl Cut {
    /// A block of these extents, that begins at these places of a blob of this shape; one of each for every axis.
    pub fn set(&mut self, whole: &Shape, starts: &[usize], extents: &[usize]) {
        let Some(last) = extents.len().checked_sub(1) else {
            self.length = 1;
            self.moves.set([(0, 0)]);
            self.back.set([(0, 0)]);
            return;
        };
        self.length = extents[last];
        let runs: usize = extents[..last].iter().product();
        self.moves.set((0..runs).map(|run| {
            let (mut rest, mut source) = (run, starts[last]);
            for axis in (0..last).rev() {
                source += (starts[axis] + rest % extents[axis]) * whole.count_from(axis + 1);
                rest /= extents[axis];
            }
            (source, run * extents[last])
        }));
        self.back.set(self.moves.list().iter().map(|&(source, place)| (place, source)));
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
