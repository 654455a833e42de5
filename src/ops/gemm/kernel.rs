//! The innermost step, a tile of the product held in registers, and the choice of the instruction set that computes it.

use std::{env, sync::OnceLock};

use super::gather::{GatherFunction, TransposeFunction};

/// The most rows a tile of any instruction set has.
pub(crate) const MAX_ROWS: usize = 8;

/// The most vectors across a tile.
pub(crate) const MAX_VECTORS: usize = 3;

/// The most lanes of a vector.
pub(crate) const MAX_LANES: usize = 16;

/// The most values of a tile.
pub(crate) const MAX_TILE: usize = MAX_ROWS * MAX_VECTORS * MAX_LANES;

/// Consecutive steps of the reduction: the row operand is read at `start`, `start + step`, ... from each row's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where the run begins, counted from each row's first value.
    pub start: usize,
    /// How many steps it has.
    pub len: usize,
}

/// What a tile function computes: `output[i][j] (+)= Σ_p rows[i][p] · columns[p][j] (+ bias[i])`.
pub(crate) struct Tile<'a> {
    /// The first value of each row; a tile of fewer rows reads only its own.
    pub rows: [*const f32; MAX_ROWS],
    /// The distance between a row's consecutive values within a run.
    pub step: usize,
    /// The positions of the row operand, in the order of the packed columns.
    pub runs: &'a [Run],
    /// The packed columns: for each step of the reduction one value per lane of the tile.
    pub columns: *const f32,
    /// The tile's first value.
    pub output: *mut f32,
    /// The distance between the tile's rows.
    pub output_stride: usize,
    /// One value per row to be added at the end, or null.
    pub bias: *const f32,
    /// Whether the product is added to what `output` holds.
    pub accumulate: bool,
}

/// Computes a tile.
///
/// # Safety
/// The processor has the instruction set. Every row read, `columns` for the length of all runs, `bias` where not null, and
/// every value of the output lie in live memory, and no one else touches the output meanwhile.
pub(crate) type TileFunction = unsafe fn(&Tile<'_>);

/// One instruction set's way to compute tiles.
pub struct Kernel {
    /// The name that `RCAFFE_ISA` takes.
    pub name: &'static str,
    /// Rows of a full tile.
    pub(crate) rows: usize,
    /// Values per vector.
    pub(crate) lanes: usize,
    /// The functions for tiles of 1.. rows and 1.. vectors, indexed from 0.
    pub(crate) tiles: [[TileFunction; MAX_VECTORS]; MAX_ROWS],
    /// Packs rows of segments.
    pub(crate) gather: GatherFunction,
    /// Packs a transpose.
    pub(crate) transpose: TransposeFunction,
    /// Whether this processor can run it.
    pub(crate) available: fn() -> bool,
}

/// Builds a kernel's table of functions from one generic over rows and vectors.
macro_rules! tile_table {
    (@row $tile:ident, $rows:literal) => { [$tile::<$rows, 1>, $tile::<$rows, 2>, $tile::<$rows, 3>] };
    ($tile:ident, 8) => {
        [
            tile_table!(@row $tile, 1), tile_table!(@row $tile, 2), tile_table!(@row $tile, 3), tile_table!(@row $tile, 4),
            tile_table!(@row $tile, 5), tile_table!(@row $tile, 6), tile_table!(@row $tile, 7), tile_table!(@row $tile, 8),
        ]
    };
    ($tile:ident, 4) => {
        [
            tile_table!(@row $tile, 1), tile_table!(@row $tile, 2), tile_table!(@row $tile, 3), tile_table!(@row $tile, 4),
            // Never called: a tile of this kernel has at most four rows.
            tile_table!(@row $tile, 4), tile_table!(@row $tile, 4), tile_table!(@row $tile, 4), tile_table!(@row $tile, 4),
        ]
    };
}
pub(crate) use tile_table;

/// All kernels compiled into this binary, best first.
static KERNELS: &[&Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    &super::avx512::KERNEL,
    #[cfg(target_arch = "x86_64")]
    &super::avx2::KERNEL,
    #[cfg(target_arch = "aarch64")]
    &super::neon::KERNEL,
    &super::portable::KERNEL,
];

impl std::fmt::Debug for Kernel {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Kernel({})", self.name)
    }
}

impl Kernel {
    /// The kernel all ops use: the one `RCAFFE_ISA` names (`avx512`, `avx2`, `neon`, `portable`) if this processor has it,
    /// otherwise the best it has.
    pub fn get() -> &'static Kernel {
        static CHOSEN: OnceLock<&Kernel> = OnceLock::new();
        CHOSEN.get_or_init(|| {
            let wanted = env::var("RCAFFE_ISA").unwrap_or_default();
            let best = Kernel::available().next().unwrap_or(&super::portable::KERNEL);
            if wanted.is_empty() {
                return best;
            }
            Kernel::available().find(|kernel| kernel.name == wanted).unwrap_or_else(|| {
                log::warn!("RCAFFE_ISA={wanted} is not an instruction set of this machine; using {}", best.name);
                best
            })
        })
    }

    /// The kernels this processor can run, best first.
    pub fn available() -> impl Iterator<Item = &'static Kernel> {
        KERNELS.iter().copied().filter(|kernel| (kernel.available)())
    }

    /// How many vectors the next panel has when this many columns are left: panels are kept as even as possible.
    pub(crate) fn vectors(&self, columns_left: usize) -> usize {
        match columns_left.div_ceil(self.lanes) {
            4 => 2,
            vectors => vectors.min(MAX_VECTORS),
        }
    }

    /// The packed width of a matrix with this many columns.
    pub(crate) fn padded(&self, columns: usize) -> usize {
        columns.next_multiple_of(self.lanes)
    }
}
