//! Planes as tiles, in blocks: whole rows of tiles of some images, side by side, image by image and row by row.
//!
//! Both sides of the convolution lie in one grid, so that a result stands where the middle of its filter is.

use std::{iter, ops::Range};

use super::{super::super::geometry::Axis, lanes::LANES, maps::Form};
use crate::ops::gemm::{Kernel, core::panels, gather::NO_ROW};

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
    pub form: Form,
    images: usize,
    /// Rows of tiles that hold results, in the grid.
    rows: Range<usize>,
    pub columns: usize,
    /// Whether a block has whole planes.
    is_whole: bool,
    /// Images, and rows of tiles, of a block.
    block_images: usize,
    block_rows: usize,
    /// The panels of a block's tiles: the first tile, and how many of the kernel's vectors.
    pub panels: Vec<(usize, usize)>,
    /// For each vector of a block's tiles and of the rows of tiles around them, which of them have neighbours before and behind them
    /// in their row.
    pub before: Vec<u16>,
    pub behind: Vec<u16>,
    /// For each vector of a block's tiles, which of them have neighbours above and below them that are not outside their plane.
    pub above: Vec<u16>,
    pub below: Vec<u16>,
    /// The sides of the convolution.
    pub bottom: Side,
    pub top: Side,
}

/// Some tiles: whole rows of tiles of some images.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub images: Range<usize>,
    pub rows: Range<usize>,
    /// How many tiles.
    pub tiles: usize,
}

/// Where the planes of one side lie in the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

/// One side of the convolution.
#[derive(Debug)]
pub(super) struct Side {
    pub place: Place,
    /// For each band of a plane and each place in a tile, where the rows of a full block lie: one above the first tile, one of each row of
    /// tiles, and in a plane of several bands one below the last.
    bands: Vec<Vec<Vec<u32>>>,
}

/// Where the planes of the bottom and of the top lie in the grid.
pub(super) fn places(form: Form, rows: Axis, columns: Axis) -> Option<(Place, Place)> {
    let reach = form.reach();
    let bottom = |axis: Axis| (axis.pad.saturating_sub(reach), axis.input);
    let top = |axis: Axis| Some((reach.saturating_sub(axis.pad), axis.output()?));
    let range = |(first, len): (usize, usize)| Some(first..first.checked_add(len)?);
    let bottom = Place { rows: range(bottom(rows))?, columns: range(bottom(columns))? };
    let top = Place { rows: range(top(rows)?)?, columns: range(top(columns)?)? };
    Some((bottom, top))
}

impl Place {
    /// Values of a plane.
    pub fn plane(&self) -> usize {
        self.rows.len() * self.columns.len()
    }
}

/// A side's place, and how many channels all its groups have.
pub(super) type Planes<'a> = (&'a Place, usize);

impl Tiles {
    /// Cuts the grid into tiles and blocks that hold all of `results`; none when planes are too far apart.
    pub fn new(
        kernel: &'static Kernel,
        form: Form,
        images: usize,
        (bottom, bottom_channels): Planes<'_>,
        (top, top_channels): Planes<'_>,
        results: &Place,
    ) -> Option<Self> {
        let tile = form.tile();
        let columns = bottom.columns.end.max(top.columns.end).div_ceil(tile);
        let all = bottom.rows.end.max(top.rows.end).div_ceil(tile);
        // Where planes follow each other in a block, there is nothing above and below them.
        let is_whole = all * columns <= MOST_TILES;
        let rows = if is_whole { 0..all } else { results.rows.start / tile..results.rows.end.div_ceil(tile) };
        let plane = rows.len() * columns;
        let cost = |blocks: usize, tiles: usize| blocks * (tiles.next_multiple_of(LANES) + BLOCK_COST);
        let most_rows = if is_whole { rows.len() } else { (MOST_TILES / columns).clamp(1, rows.len()) };
        let least_rows = if is_whole { rows.len() } else { 1 };
        let cost_of_rows = |block: &usize| cost(rows.len().div_ceil(*block), block * columns);
        let block_rows = (least_rows..=most_rows).min_by_key(cost_of_rows)?;
        let most_images = if is_whole { (MOST_TILES / plane).clamp(1, images.max(1)) } else { 1 };
        let cost_of_images = |block: &usize| cost(images.div_ceil(*block), block * plane);
        let block_images = (1..=most_images).min_by_key(cost_of_images)?;
        let tiles = block_images * block_rows * columns;
        let panels = panels(kernel, 0..tiles.next_multiple_of(LANES));
        let panels = panels.map(|(columns, width)| (columns.start, width / kernel.lanes)).collect();
        let masks = |tiles: usize, has: &dyn Fn(usize) -> bool| {
            let mask = |first| (0..LANES).fold(0, |mask, lane| mask | u16::from(has(first + lane)) << lane);
            (0..tiles).step_by(LANES).map(mask).collect()
        };
        let around = tiles.next_multiple_of(LANES) + 2 * columns;
        let before = masks(around, &|tile| tile % columns != 0);
        let behind = masks(around, &|tile| tile % columns + 1 != columns);
        let above = masks(tiles, &|tile| !is_whole || tile % plane >= columns);
        let below = masks(tiles, &|tile| !is_whole || tile % plane + columns < plane);
        let side = |place: &Place, channels: usize| {
            let image = channels * place.plane();
            if image.checked_mul(block_images)? >= FARTHEST {
                return None;
            }
            let bands = rows.clone().step_by(block_rows).map(|first| {
                let band = Band { rows: first..rows.end.min(first + block_rows), images: block_images, is_whole };
                (0..tile).map(|offset| band.list(place, image, tile, offset)).collect()
            });
            Some(Side { place: place.clone(), bands: bands.collect() })
        };
        let (bottom, top) = (side(bottom, bottom_channels)?, side(top, top_channels)?);
        Some(Tiles {
            kernel,
            form,
            images,
            rows,
            columns,
            is_whole,
            block_images,
            block_rows,
            panels,
            before,
            behind,
            above,
            below,
            bottom,
            top,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.images * self.rows.len() * self.columns
    }

    fn bands(&self) -> usize {
        self.rows.len().div_ceil(self.block_rows)
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.images.div_ceil(self.block_images) * self.bands()
    }

    /// Vectors that hold the tiles of the largest block.
    pub fn vectors(&self) -> usize {
        self.above.len()
    }

    /// Vectors that hold the tiles of the largest block and the rows of tiles around them.
    pub fn vectors_around(&self) -> usize {
        self.before.len()
    }

    /// Tiles of the largest block, in whole vectors.
    pub fn distance(&self) -> usize {
        self.vectors() * LANES
    }

    /// A block by number.
    pub fn block(&self, number: usize) -> Block {
        let image = number / self.bands() * self.block_images;
        let row = self.rows.start + number % self.bands() * self.block_rows;
        let images = image..self.images.min(image + self.block_images);
        let rows = row..self.rows.end.min(row + self.block_rows);
        Block { tiles: images.len() * rows.len() * self.columns, images, rows }
    }

    /// For each place in a tile where the rows of a block's planes lie on one side, from the one above the first tile.
    pub fn rows<'s>(&self, side: &'s Side, block: &Block) -> impl Iterator<Item = &'s [u32]> + use<'s> {
        let band = &side.bands[(block.rows.start - self.rows.start) / self.block_rows];
        // The last block of whole planes may have fewer of them; below whole planes there is nothing.
        let count = 1 + block.tiles / self.columns + usize::from(!self.is_whole);
        band.iter().map(move |rows| &rows[..count])
    }
}

/// Some rows of tiles of so many images.
struct Band {
    rows: Range<usize>,
    images: usize,
    /// Whether these are all of a plane's.
    is_whole: bool,
}

impl Band {
    /// Where the rows at one place of each tile lie; images are `image` values apart.
    fn list(&self, place: &Place, image: usize, tile: usize, offset: usize) -> Vec<u32> {
        let at = |number: usize, row: usize| match (row * tile + offset).checked_sub(place.rows.start) {
            Some(row) if row < place.rows.len() => (number * image + row * place.columns.len()) as u32,
            _ => NO_ROW,
        };
        let above = self.rows.start.checked_sub(1).map_or(NO_ROW, |row| at(0, row));
        let below = (!self.is_whole).then(|| at(0, self.rows.end));
        let own = (0..self.images).flat_map(|number| self.rows.clone().map(move |row| (number, row)));
        iter::once(above).chain(own.map(|(number, row)| at(number, row))).chain(below).collect()
    }
}
