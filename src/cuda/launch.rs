//! What a launch is made of: pointers and other arguments, and the grid of blocks.

use std::ffi::c_void;

/// An address in a card's memory. It is good until the memory that it was taken from moves or is given back: it is used in a launch at
/// once, never kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Pointer(pub(super) u64);

impl Pointer {
    /// What a kernel is given where there is nothing.
    pub const NULL: Pointer = Pointer(0);

    /// The address so many f32 (or other values of four bytes) further on.
    #[must_use]
    pub fn at(self, values: usize) -> Pointer {
        Pointer(self.0 + 4 * values as u64)
    }
}

/// A value that a kernel takes as an argument.
///
/// # Safety
/// The type has the size and layout of the kernel's parameter: a plain C value.
pub unsafe trait Argument {
    /// Where the value lies.
    fn place(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast::<c_void>().cast_mut()
    }
}

// SAFETY: these are C's unsigned int, int, float, unsigned long long and a device pointer.
unsafe impl Argument for u32 {}
// SAFETY: as above.
unsafe impl Argument for i32 {}
// SAFETY: as above.
unsafe impl Argument for f32 {}
// SAFETY: as above.
unsafe impl Argument for u64 {}
// SAFETY: a pointer is an address of eight bytes.
unsafe impl Argument for Pointer {}

/// How many blocks a kernel runs in, and how many threads each has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    pub(super) blocks: [usize; 3],
    pub(super) threads: u32,
}

/// Threads of a block where a value is a thread's work: `THREADS` of the kernels' prelude.
const THREADS: usize = 256;

/// Blocks that fill any card several times over.
const MOST_BLOCKS: usize = 16 * 1024;

impl Grid {
    /// For a kernel that loops over values with `EACH`: a thread for each, up to what fills a card.
    pub fn over(count: usize) -> Grid {
        Grid::blocks(count.div_ceil(THREADS).min(MOST_BLOCKS), THREADS as u32)
    }

    /// So many blocks in a row.
    pub fn blocks(blocks: usize, threads: u32) -> Grid {
        Grid::blocks_3d([blocks, 1, 1], threads)
    }

    /// Blocks in two dimensions.
    pub fn blocks_2d([x, y]: [usize; 2], threads: u32) -> Grid {
        Grid::blocks_3d([x, y, 1], threads)
    }

    /// Blocks in three dimensions.
    pub fn blocks_3d(blocks: [usize; 3], threads: u32) -> Grid {
        Grid { blocks, threads }
    }

    /// Whether there is nothing to run.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.contains(&0)
    }

    /// The numbers as CUDA takes them.
    ///
    /// # Errors
    /// When they are beyond what any card takes.
    pub(super) fn checked(&self) -> Result<[u32; 3], String> {
        let [x, y, z] = self.blocks;
        let fits = x <= i32::MAX as usize && y <= 65_535 && z <= 65_535;
        if !fits || self.threads == 0 || self.threads > 1024 || !self.threads.is_multiple_of(32) {
            return Err(format!("a grid of {x}×{y}×{z} blocks of {} threads is beyond what cards run", self.threads));
        }
        Ok([x as u32, y as u32, z as u32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_cover_or_are_refused() {
        assert!(Grid::over(0).is_empty());
        assert_eq!(Grid::over(257).checked(), Ok([2, 1, 1]));
        assert_eq!(Grid::over(usize::MAX / 2).checked(), Ok([16 * 1024, 1, 1]));
        for wrong in [Grid::blocks(1 << 32, 32), Grid::blocks_2d([1, 65_536], 32), Grid::blocks(1, 33)] {
            assert!(wrong.checked().is_err(), "{wrong:?}");
        }
    }
}
