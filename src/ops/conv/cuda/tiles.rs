//! The tiles that a product can be cut into, each a kernel of its own, and which of them suits a product.

use crate::cuda::{Card, Math, Source};

/// Multiprocessors that there should be work for. Not those of the card at hand: how sums are cut must not depend on it.
const MULTIPROCESSORS: usize = 132;

/// The part of its speed that a multiprocessor reaches with one block.
const ALONE: f64 = 0.7;

/// Summands that starting and ending a tile takes the time of.
const START: usize = 48;

/// Bytes that all multiprocessors together read or write in a cycle.
const BYTES_PER_CYCLE: f64 = 2000.0;

/// The least columns that are a part of a sum over columns, and what their number is a multiple of.
const LEAST_PART: usize = 256;

/// A kernel for each way to multiply.
#[derive(Debug)]
pub(super) struct Kernels {
    f32: Source,
    tf32: Source,
}

impl Kernels {
    /// The kernel for a card, as `--math` asks; cards before 8.0 multiply no TF32.
    pub fn on(&self, card: &Card) -> &Source {
        match card.math() {
            Math::Tf32 if card.properties().capability >= 80 => &self.tf32,
            _ => &self.f32,
        }
    }
}

/// The tile of a product that a block of 256 threads computes; see `product.cu`.
pub(super) struct Tile {
    pub rows: usize,
    pub columns: usize,
    /// Summands of a step: 8 for each group of threads.
    pub depth: usize,
    /// The part of a card's speed that its inner loop is expected to reach.
    speed: f64,
    /// The correlation whose table has an entry for every summand.
    pub each: Kernels,
    /// The correlation whose table has an entry for eight channels.
    pub eights: Kernels,
    /// The gradient of weights whose table has an entry for every weight.
    pub weigh: Kernels,
    /// The same with an entry for [`run`](Tile::run) channels.
    pub weigh_runs: Kernels,
}

impl std::fmt::Debug for Tile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Tile({}×{})", self.rows, self.columns)
    }
}

/// The text of a kernel: a tile's size, for tensor cores or not, and the files.
macro_rules! source {
    ($kind:literal, $tensor:literal, [$rows:literal, $columns:literal, $tall:literal, $wide:literal, $groups:literal], $($part:expr),*) => {
        Source {
            name: concat!($kind, "_", $rows, "x", $columns, "_tensor", $tensor),
            text: concat!(
                "#define TENSOR ", $tensor, "\n#define ROWS ", $rows, "\n#define COLUMNS ", $columns, "\n#define TALL ", $tall,
                "\n#define WIDE ", $wide, "\n#define GROUPS ", $groups, "\n", $($part),*
            ),
        }
    };
}

/// A kernel for each way to multiply.
macro_rules! kernels {
    ($kind:literal, $tile:tt, $($part:expr),*) => {
        Kernels { f32: source!($kind, 0, $tile, $($part),*), tf32: source!($kind, 1, $tile, $($part),*) }
    };
}

macro_rules! tile {
    ([$rows:literal, $columns:literal, $tall:literal, $wide:literal, $groups:literal], $speed:literal) => {
        tile!($rows, $columns, $groups, $speed, [$rows, $columns, $tall, $wide, $groups])
    };
    ($rows:literal, $columns:literal, $groups:literal, $speed:literal, $tile:tt) => {
        Tile {
            rows: $rows,
            columns: $columns,
            depth: 8 * $groups,
            speed: $speed,
            each: kernels!(
                "correlate_each",
                $tile,
                "#define RUN 1\n",
                include_str!("product.cu"),
                include_str!("correlate.cu")
            ),
            eights: kernels!(
                "correlate_eights",
                $tile,
                "#define RUN 8\n",
                include_str!("product.cu"),
                include_str!("correlate.cu")
            ),
            weigh: kernels!(
                "weigh_each",
                $tile,
                "#define RUNS 0\n",
                include_str!("division.cu"),
                include_str!("product.cu"),
                include_str!("weights.cu")
            ),
            weigh_runs: kernels!(
                "weigh_runs",
                $tile,
                "#define RUNS 1\n",
                include_str!("division.cu"),
                include_str!("product.cu"),
                include_str!("weights.cu")
            ),
        }
    };
}

/// All tiles: rows, columns, results of a thread down and across, groups of threads, speed.
pub(super) static TILES: [Tile; 7] = [
    tile!([128, 128, 8, 8, 1], 0.75),
    tile!([64, 128, 8, 8, 2], 0.7),
    tile!([64, 64, 8, 4, 2], 0.6),
    tile!([32, 128, 8, 4, 2], 0.57),
    tile!([32, 64, 8, 4, 4], 0.5),
    tile!([32, 32, 4, 4, 4], 0.4),
    tile!([16, 128, 4, 8, 4], 0.5),
];

/// The kernels around the products.
pub(super) static AROUND: Source =
    Source { name: "conv", text: concat!(include_str!("division.cu"), include_str!("conv.cu")) };

impl Tile {
    /// Channels that a thread loads for the gradient of weights.
    pub fn run(&self) -> usize {
        self.columns * self.depth / 256
    }

    /// The tiles that cover so many rows, and columns.
    pub fn count(&self, rows: usize, columns: usize) -> [usize; 2] {
        [rows.div_ceil(self.rows), columns.div_ceil(self.columns)]
    }

    /// About how many cycles so many blocks take, each with so many summands.
    fn cycles(&self, blocks: usize, summands: usize) -> f64 {
        let waves = blocks.div_ceil(MULTIPROCESSORS);
        let speed = if waves == 1 { self.speed * ALONE } else { self.speed };
        let products = self.rows * self.columns * (summands.next_multiple_of(self.depth) + START);
        waves as f64 * products as f64 / (128.0 * speed)
    }
}

/// The tile with which `groups` products of so many rows, columns and summands should take least time.
pub(super) fn fastest(tiles: &'static [Tile], [groups, rows, columns, summands]: [usize; 4]) -> &'static Tile {
    let cycles = |tile: &Tile| {
        let [down, across] = tile.count(rows, columns);
        tile.cycles(groups * down * across, summands)
    };
    tiles.iter().min_by(|a, b| cycles(a).total_cmp(&cycles(b))).expect("there are tiles")
}

/// The same for products whose sums are cut into parts: the tile, and the summands of a part.
pub(super) fn fastest_parts(
    tiles: &'static [Tile],
    [groups, rows, columns, summands]: [usize; 4],
) -> (&'static Tile, usize) {
    let mut best = (f64::INFINITY, &tiles[0], summands);
    for tile in tiles {
        let [down, across] = tile.count(rows, columns);
        for parts in 1..=summands.div_ceil(LEAST_PART).clamp(1, 1024) {
            let part = part_of(summands, parts);
            let parts = summands.div_ceil(part).max(1);
            let traffic = (groups * rows * columns * parts * 2 * size_of::<f32>()) as f64 / BYTES_PER_CYCLE;
            let cycles = tile.cycles(groups * down * across * parts, part) + traffic;
            if cycles < best.0 {
                best = (cycles, tile, part);
            }
        }
    }
    (best.1, best.2)
}

/// The summands of a part when there are to be about so many parts.
pub(super) fn part_of(summands: usize, parts: usize) -> usize {
    summands.div_ceil(parts).max(1).next_multiple_of(LEAST_PART)
}

/// So many parts that each of `blocks` has its share of the card, for sums that take no time but that of reading.
pub(super) fn plain_part(blocks: usize, summands: usize) -> usize {
    const LEAST: usize = 2048;
    part_of(summands, (4 * MULTIPROCESSORS).div_ceil(blocks.max(1)).min(summands.div_ceil(LEAST)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_suit_their_products() {
        // Few filters take no tile of many rows, and many columns no small one.
        assert_eq!(fastest(&TILES, [1, 32, 102_400, 75]).rows, 32);
        assert_eq!(fastest(&TILES, [1, 16, 131_072, 144]).rows, 16);
        let large = fastest(&TILES, [1, 256, 256 * 169, 2304]);
        assert_eq!(large.columns, 128);
        assert!(large.rows >= 64);
        // A product that fills no card goes by small tiles.
        assert!(fastest(&TILES, [1, 64, 6400, 800]).columns <= 64);
    }

    #[test]
    fn parts_cover_the_sum() {
        for (rows, columns, summands) in
            [(32, 75, 102_400), (32, 800, 25_600), (512, 4608, 6272), (1, 1, 1), (5, 7, 300)]
        {
            let (tile, part) = fastest_parts(&TILES, [1, rows, columns, summands]);
            assert!(part.is_multiple_of(tile.depth), "{part}");
            let blocks: usize = tile.count(rows, columns).iter().product::<usize>() * summands.div_ceil(part);
            assert!(summands < 10_000 || blocks >= MULTIPROCESSORS, "{blocks} blocks");
        }
    }
}
