//! Planes as tiles of 4×4 places, in blocks: whole rows of tiles of some images, side by side, image by image and row by row.

use std::ops::Range;

use super::{
    lanes::{LANES, TILE},
    maps::POINTS,
};
use crate::ops::gemm::{Kernel, gather::NO_ROW};

/// Tiles that a block has about: two panels of columns.
const BLOCK_TILES: usize = 96;

/// Tiles that a block has at most.
const MOST_TILES: usize = 112;

/// What a block costs besides its tiles, in tiles.
const BLOCK_COST: usize = 8;

/// Values that a plane may be away from the first of its block: rows are listed in 32 bits.
const FARTHEST: usize = 1 << 31;

/// The tiles of all images, in blocks.
#[derive(Debug)]
pub(super) struct Tiles {
    pub kernel: &'static Kernel,
    images: usize,
    pub height: usize,
    pub width: usize,
    /// Tiles along each axis.
    rows: usize,
    pub columns: usize,
    /// Images, and rows of tiles, of a block.
    block_images: usize,
    block_rows: usize,
    /// For each vector of a block's tiles, which of them have neighbours before and behind them in their row.
    pub before: Vec<u16>,
    pub behind: Vec<u16>,
}

/// Some tiles: whole rows of tiles of some images.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub images: Range<usize>,
    pub rows: Range<usize>,
    /// How many tiles.
    pub tiles: usize,
}

/// Where the rows of a block's planes lie, sorted by their place in the tile.
#[derive(Debug, Default)]
pub(super) struct RowLists {
    /// For each band of a plane and each of the places -1 to 4, the rows of a full block.
    bands: Vec<[Vec<u32>; POINTS]>,
}

impl Tiles {
    /// Cuts planes into tiles and blocks.
    pub fn new(kernel: &'static Kernel, images: usize, height: usize, width: usize) -> Self {
        let (rows, columns) = (height.div_ceil(TILE), width.div_ceil(TILE));
        let plane = rows * columns;
        let bands = if plane > MOST_TILES { plane.div_ceil(BLOCK_TILES).min(rows) } else { 1 };
        let block_rows = rows.div_ceil(bands);
        let cost = |block: &usize| images.div_ceil(*block) * ((block * plane).next_multiple_of(LANES) + BLOCK_COST);
        let most = if bands == 1 { (MOST_TILES / plane).clamp(1, images.max(1)) } else { 1 };
        let block_images = (1..=most).min_by_key(cost).unwrap_or(1);
        let tiles = block_images * block_rows * columns;
        let masks = |has: &dyn Fn(usize) -> bool| {
            let mask = |first| (0..LANES).fold(0, |mask, lane| mask | u16::from(has(first + lane)) << lane);
            (0..tiles).step_by(LANES).map(mask).collect()
        };
        let before = masks(&|tile| tile % columns != 0);
        let behind = masks(&|tile| tile % columns + 1 != columns);
        Tiles { kernel, images, height, width, rows, columns, block_images, block_rows, before, behind }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.images * self.rows * self.columns
    }

    fn bands(&self) -> usize {
        self.rows.div_ceil(self.block_rows)
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.images.div_ceil(self.block_images) * self.bands()
    }

    /// Vectors that hold the tiles of the largest block.
    pub fn vectors(&self) -> usize {
        self.before.len()
    }

    /// Tiles of the largest block, in whole vectors.
    pub fn distance(&self) -> usize {
        self.vectors() * LANES
    }

    /// A block by number.
    pub fn block(&self, number: usize) -> Block {
        let (image, row) = (number / self.bands() * self.block_images, number % self.bands() * self.block_rows);
        let images = image..self.images.min(image + self.block_images);
        let rows = row..self.rows.min(row + self.block_rows);
        Block { tiles: images.len() * rows.len() * self.columns, images, rows }
    }

    /// Lists the rows of planes whose images are `image` values apart; none when they are too far apart.
    pub fn row_lists(&self, image: usize) -> Option<RowLists> {
        if image.checked_mul(self.block_images)? >= FARTHEST {
            return None;
        }
        let list = |band: usize, place: usize| {
            let rows = band * self.block_rows..self.rows.min((band + 1) * self.block_rows);
            let row = |(number, row): (usize, usize)| match (row * TILE + place).checked_sub(1) {
                Some(row) if row < self.height => (number * image + row * self.width) as u32,
                _ => NO_ROW,
            };
            let of_image = |image: usize| rows.clone().map(move |row| (image, row));
            (0..self.block_images).flat_map(of_image).map(row).collect()
        };
        let bands = (0..self.bands()).map(|band| std::array::from_fn(|place| list(band, place))).collect();
        Some(RowLists { bands })
    }
}

impl RowLists {
    /// For each of the places -1 to 4 the rows of a block's planes.
    pub fn of(&self, tiles: &Tiles, block: &Block) -> &[Vec<u32>; POINTS] {
        &self.bands[block.rows.start / tiles.block_rows]
    }
}
