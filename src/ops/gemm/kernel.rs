//! The innermost step, a tile of the product held in registers, and the choice of the instruction set that computes it.

use std::{env, sync::OnceLock};

use super::gather::{GatherFunction, LayFunction, SpreadFunction, TransposeFunction};

/// The most rows a tile of any instruction set has.
pub(crate) const MAX_ROWS: usize = 8;

/// The most vectors across a tile.
pub(crate) const MAX_VECTORS: usize = 3;

/// The most lanes of a vector.
pub(crate) const MAX_LANES: usize = 16;

/// The most values of a tile.
pub(crate) const MAX_TILE: usize = MAX_ROWS * MAX_VECTORS * MAX_LANES;

/// What a tile function computes: `output[i][j] (+)= Σ_p rows[i][p] · columns[p][j] (+ bias[i])`.
pub(crate) struct Tile {
    /// The first value of each row; a tile of fewer rows reads only its own.
    pub rows: [*const f32; MAX_ROWS],
    /// Steps of the reduction.
    pub len: usize,
    /// [`Mode::Straight`]: the distance between a row's consecutive values.
    pub step: usize,
    /// [`Mode::Listed`] and [`Mode::ListedInPlace`]: where each step's value lies, from each row's first.
    pub positions: *const u32,
    /// The packed columns (the first pointer): for each step of the reduction one value per lane of the tile.
    /// [`Mode::InPlace`] and [`Mode::ListedInPlace`]: where each vector begins.
    pub columns: [*const f32; MAX_VECTORS],
    /// The same: where each step begins, from each vector's place.
    pub offsets: *const u32,
    /// The tile's first value.
    pub output: *mut f32,
    /// The distance between the tile's rows.
    pub output_stride: usize,
    /// One value per row to be added at the end, or null.
    pub bias: *const f32,
    /// Whether the product is added to what `output` holds.
    pub accumulate: bool,
}

/// How a tile function finds its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Rows at even steps, columns packed.
    Straight,
    /// Rows at listed positions, columns packed.
    Listed,
    /// Rows at consecutive places, columns in place.
    InPlace,
    /// Rows at listed positions, columns in place.
    ListedInPlace,
}

/// [`Mode::Listed`] as a constant of a tile function.
pub(super) const LISTED: usize = Mode::Listed as usize;

/// [`Mode::InPlace`] as a constant of a tile function.
pub(super) const IN_PLACE: usize = Mode::InPlace as usize;

/// [`Mode::ListedInPlace`] as a constant of a tile function.
pub(super) const LISTED_IN_PLACE: usize = Mode::ListedInPlace as usize;

/// Computes a tile.
///
/// # Safety
/// The processor has the instruction set. Every row at every step, the columns at every step, `bias` where not null, and every
/// value of the output lie in live memory, and no one else touches the output meanwhile.
pub(crate) type TileFunction = unsafe fn(&Tile);

/// One instruction set's way to compute tiles.
pub struct Kernel {
    /// The name that `RCAFFE_ISA` takes.
    pub name: &'static str,
    /// Rows of a full tile.
    pub(crate) rows: usize,
    /// Values per vector.
    pub(crate) lanes: usize,
    /// The functions for tiles, by [`Mode`], rows less one, vectors less one.
    pub(super) tiles: [[[TileFunction; MAX_VECTORS]; MAX_ROWS]; 4],
    /// Packs rows of segments.
    pub(crate) gather: GatherFunction,
    /// Packs a transpose.
    pub(crate) transpose: TransposeFunction,
    /// Copies rows with zeros around them.
    pub(crate) lay: LayFunction,
    /// Writes rows to places apart.
    pub(crate) spread: SpreadFunction,
    /// Whether this processor can run it.
    pub(crate) available: fn() -> bool,
}

/// Builds a kernel's table of functions from one generic over rows and vectors.
macro_rules! tile_table {
    (@rows $tile:ident, $mode:literal, [$($rows:literal),*]) => {
        [$([$tile::<$rows, 1, $mode>, $tile::<$rows, 2, $mode>, $tile::<$rows, 3, $mode>]),*]
    };
    (@modes $tile:ident, $rows:tt) => {
        [
            tile_table!(@rows $tile, 0, $rows),
            tile_table!(@rows $tile, 1, $rows),
            tile_table!(@rows $tile, 2, $rows),
            tile_table!(@rows $tile, 3, $rows),
        ]
    };
    ($tile:ident, 8) => { tile_table!(@modes $tile, [1, 2, 3, 4, 5, 6, 7, 8]) };
    // The last four are never called: a tile of this kernel has at most four rows.
    ($tile:ident, 4) => { tile_table!(@modes $tile, [1, 2, 3, 4, 4, 4, 4, 4]) };
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

    /// Columns of a full panel.
    pub(crate) fn panel(&self) -> usize {
        self.lanes * MAX_VECTORS
    }

    /// How many rows each tile has where there are so many in all: as even as can be, since a tile of one or two rows waits for its own
    /// sums.
    pub(crate) fn tile_rows(&self, rows: usize) -> usize {
        rows.div_ceil(rows.div_ceil(self.rows).max(1)).max(1)
    }

    /// Computes a tile of so many rows and vectors.
    ///
    /// # Safety
    /// As [`TileFunction`].
    #[inline(always)]
    pub(crate) unsafe fn run(&self, mode: Mode, rows: usize, vectors: usize, tile: &Tile) {
        // SAFETY: passed on to the caller; a kernel is used only where its instructions exist.
        unsafe { self.tiles[mode as usize][rows - 1][vectors - 1](tile) }
    }

    /// The packed width of a matrix with this many columns.
    pub(crate) fn padded(&self, columns: usize) -> usize {
        columns.next_multiple_of(self.lanes)
    }
}
