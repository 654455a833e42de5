//! The way from points back to planes: products to the results of tiles, to rows, to planes.

use std::ops::Range;

use super::{
    lanes::{self, LANES, Lanes, Task, at_each},
    maps::{self, Form, POINTS},
    planes::{Space, Strides},
    tiles::{Block, Side, Tiles},
};

/// How one channel's results are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub bias: f32,
    /// Whether they are added to what is there.
    pub accumulate: bool,
}

/// The products of one channel of a block, and what makes results of them.
struct Results<'a, 's> {
    tiles: &'a Tiles,
    side: &'a Side,
    block: &'a Block,
    points: &'a [f32],
    strides: Strides,
    ending: Ending,
    space: &'a mut Space<'s>,
}

struct MapResult<'a, 's, const TILE: usize, P> {
    results: Results<'a, 's>,
    plane: P,
}

impl<'p, const TILE: usize, P: Fn(usize, Range<usize>) -> &'p mut [f32]> Task for MapResult<'_, '_, TILE, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let MapResult { results: Results { tiles, side, block, points, strides, ending, space }, plane } = self;
        let distance = tiles.distance();
        let values = tiles.values(side, block);
        for image in block.images.clone() {
            let plane = plane(image, values.clone());
            plane.iter().step_by(LANES).for_each(|value| L::fetch(value));
        }
        let (half, sorted) = space.half.split_at_mut(POINTS * TILE * distance);
        for column in 0..POINTS {
            for vector in 0..tiles.vectors() {
                // SAFETY: `map_result` checked the points; there is room for the half-mapped values of each tile.
                unsafe {
                    let points = points.as_ptr().add(column * strides.point + vector * strides.vector);
                    let products = at_each(
                        #[inline(always)]
                        |row| L::load(points.add(row * POINTS * strides.point)),
                    );
                    for (place, value) in maps::result::<L, TILE>(products).into_iter().enumerate() {
                        value.store(half.as_mut_ptr().add((place * POINTS + column) * distance + vector * LANES));
                    }
                }
            }
        }
        for place in 0..TILE {
            for vector in 0..tiles.vectors() {
                // SAFETY: the same, and room for the results of each tile.
                unsafe {
                    let half = half.as_ptr().add(place * POINTS * distance + vector * LANES);
                    let products = at_each(
                        #[inline(always)]
                        |column| L::load(half.add(column * distance)),
                    );
                    let results = maps::result::<L, TILE>(products).map(
                        #[inline(always)]
                        |value| value.plus(L::all(ending.bias)),
                    );
                    L::put_together(results, sorted.as_mut_ptr().add((place * distance + vector * LANES) * TILE));
                }
            }
        }
        if ending.accumulate {
            tiles.write_rows::<L, true>(side, block, sorted, plane);
        } else {
            tiles.write_rows::<L, false>(side, block, sorted, plane);
        }
    }
}

impl Tiles {
    /// Maps products at the points of one channel to results; `plane` gives a range of the plane of an image.
    pub fn map_result<'p>(
        &self,
        side: &Side,
        block: &Block,
        (points, strides): (&[f32], Strides),
        ending: Ending,
        space: &mut Space<'_>,
        plane: impl Fn(usize, Range<usize>) -> &'p mut [f32],
    ) {
        self.check(points, strides);
        let results = Results { tiles: self, side, block, points, strides, ending, space };
        match self.form {
            Form::Three => lanes::run(self.kernel, MapResult::<4, _> { results, plane }),
            Form::Five => lanes::run(self.kernel, MapResult::<2, _> { results, plane }),
        }
    }

    /// Which values of its planes a block has on one side.
    fn values(&self, side: &Side, block: &Block) -> Range<usize> {
        let (tile, rows, width) = (self.form.tile(), &side.place.rows, side.place.columns.len());
        let (first, end) = (rows.start.max(block.rows.start * tile), rows.end.min(block.rows.end * tile));
        (first - rows.start) * width..(end - rows.start) * width
    }

    /// Writes or adds rows that are sorted by their place in the tile.
    #[inline(always)]
    fn write_rows<'p, L: Lanes, const ADD: bool>(
        &self,
        side: &Side,
        block: &Block,
        sorted: &[f32],
        plane: impl Fn(usize, Range<usize>) -> &'p mut [f32],
    ) {
        let tile = self.form.tile();
        let (line, place, width) = (self.columns * tile, self.distance() * tile, side.place.columns.len());
        let values = self.values(side, block);
        for (number, image) in block.images.clone().enumerate() {
            let plane = plane(image, values.clone());
            let first = side.place.rows.start + values.start / width;
            for row in 0..values.len() / width {
                let tiles = number * block.rows.len() + (first + row) / tile - block.rows.start;
                let from = (first + row) % tile * place + tiles * line + side.place.columns.start;
                if ADD {
                    add_row::<L>(&sorted[from..], &mut plane[row * width..], width);
                } else {
                    copy_row::<L>(&sorted[from..], &mut plane[row * width..], width);
                }
            }
        }
    }
}

/// Copies a row to the beginning of `plane`, whose next rows are written later: a whole vector is the shortest way.
#[inline(always)]
fn copy_row<L: Lanes>(row: &[f32], plane: &mut [f32], width: usize) {
    let room = plane.len().min(row.len());
    for start in (0..width).step_by(LANES) {
        if start + LANES <= room {
            // SAFETY: just checked.
            unsafe { L::load(row.as_ptr().add(start)).store(plane.as_mut_ptr().add(start)) };
        } else {
            let end = width.min(start + LANES);
            plane[start..end].copy_from_slice(&row[start..end]);
        }
    }
}

/// Adds a row to the beginning of `plane`, and to nothing behind it.
#[inline(always)]
fn add_row<L: Lanes>(row: &[f32], plane: &mut [f32], width: usize) {
    let (row, plane) = (&row[..width], &mut plane[..width]);
    let whole = width / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        // SAFETY: both are `width` values long.
        unsafe {
            let address = plane.as_mut_ptr().add(start);
            L::load(row.as_ptr().add(start)).plus(L::load(address)).store(address);
        }
    }
    for (sum, value) in plane[whole..].iter_mut().zip(&row[whole..]) {
        *sum += value;
    }
}
