//! The way from planes to points and back.
//!
//! Tiles of a block are mapped as vectors that go over the ends of rows: rows of tiles are often shorter than a vector. To that end
//! the rows of a plane are sorted by their place in the tile, taken apart into every fourth column, and neighbours in the tile
//! before and behind are masked at the ends of rows.

use std::ops::Range;

use super::{
    lanes::{self, LANES, Lanes, TILE, Task},
    maps::{self, POINTS},
    tiles::{Block, RowLists, Tiles},
};
use crate::ops::gemm::gather::{Lay, NO_ROW};

/// Where the points of one channel lie: values of sixteen tiles for each point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strides {
    /// Distance between points.
    pub point: usize,
    /// Distance between vectors of tiles.
    pub vector: usize,
}

/// Memory for mapping one channel.
pub(super) struct Space<'a> {
    /// Rows side by side.
    lines: &'a mut [f32],
    /// Every fourth of their values.
    columns: &'a mut [f32],
    /// What is mapped along one axis.
    half: &'a mut [f32],
}

impl Tiles {
    /// Values of [`Space`].
    pub fn space(&self) -> usize {
        (TILE + TILE + POINTS * TILE + TILE * TILE) * self.distance()
    }

    /// Divides memory of that size.
    pub fn divide<'a>(&self, memory: &'a mut [f32]) -> Space<'a> {
        let distance = self.distance();
        let (lines, rest) = memory.split_at_mut(TILE * distance);
        let (columns, half) = rest.split_at_mut(TILE * distance);
        assert!(half.len() >= (POINTS * TILE + TILE * TILE) * distance, "half-mapped values outside their memory");
        Space { lines, columns, half }
    }

    /// Maps one channel of a source to points; `planes` begins with that of the block's first image.
    pub fn map_source(
        &self,
        lists: &RowLists,
        block: &Block,
        planes: &[f32],
        space: &mut Space<'_>,
        (points, strides): (&mut [f32], Strides),
    ) {
        self.check(points, strides);
        let rows = lists.of(self, block);
        lanes::run(self.kernel, MapSource(Channel { tiles: self, rows, block, planes, space, points, strides }));
    }

    /// Maps the gradient of one channel of a result to points; `planes` begins with that of the block's first image.
    pub fn map_result_gradient(
        &self,
        lists: &RowLists,
        block: &Block,
        planes: &[f32],
        space: &mut Space<'_>,
        (points, strides): (&mut [f32], Strides),
    ) {
        self.check(points, strides);
        let rows = lists.of(self, block);
        lanes::run(
            self.kernel,
            MapResultGradient(Channel { tiles: self, rows, block, planes, space, points, strides }),
        );
    }

    /// Maps products at the points of one channel to results, plus a bias; `plane` gives a range of the plane of an image.
    pub fn map_result<'p>(
        &self,
        block: &Block,
        (points, strides): (&[f32], Strides),
        bias: f32,
        space: &mut Space<'_>,
        plane: impl Fn(usize, Range<usize>) -> &'p mut [f32],
    ) {
        self.check(points, strides);
        lanes::run(self.kernel, MapResult { tiles: self, block, points, strides, bias, space, plane });
    }

    fn check(&self, points: &[f32], strides: Strides) {
        let last = (POINTS * POINTS - 1) * strides.point + (self.vectors() - 1) * strides.vector;
        assert!(last + LANES <= points.len(), "points outside their memory");
    }

    /// The rows of the block's planes at one place of the tiles, with zeros to whole tiles, and behind them.
    fn lay(&self, rows: &[u32], block: &Block, planes: &[f32], lines: &mut [f32]) {
        let line = self.columns * TILE;
        let rows = &rows[..block.tiles / self.columns];
        let farthest = rows.iter().map(|row| if *row == NO_ROW { 0 } else { *row }).max().unwrap_or(0);
        assert!(farthest as usize + self.width <= planes.len(), "a row outside its planes");
        assert!(rows.len() * line <= lines.len(), "lines outside their memory");
        let lay = Lay {
            source: planes.as_ptr(),
            rows,
            step: 1,
            before: 0,
            count: self.width,
            len: line,
            copy: lines.as_mut_ptr(),
            pitch: line,
        };
        // SAFETY: values and room were just checked.
        unsafe { (self.kernel.lay)(&lay) };
        lines[rows.len() * line..].fill(0.0);
    }
}

/// One channel of a block, and the points it is mapped to.
struct Channel<'a, 's> {
    tiles: &'a Tiles,
    rows: &'a [Vec<u32>; POINTS],
    block: &'a Block,
    planes: &'a [f32],
    space: &'a mut Space<'s>,
    points: &'a mut [f32],
    strides: Strides,
}

struct MapSource<'a, 's>(Channel<'a, 's>);

impl Task for MapSource<'_, '_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Channel { tiles, rows, block, planes, space: Space { lines, columns, half }, points, strides } = self.0;
        let distance = tiles.distance();
        for (place, rows) in rows.iter().enumerate() {
            tiles.lay(rows, block, planes, lines);
            let (first, half) = (columns.as_mut_ptr(), half.as_mut_ptr());
            for vector in 0..tiles.vectors() {
                // SAFETY: there are four lines and four columns of `distance` values.
                unsafe {
                    let apart = L::take_apart(lines.as_ptr().add(vector * TILE * LANES));
                    for (column, values) in apart.into_iter().enumerate() {
                        values.store(first.add(column * distance + vector * LANES));
                    }
                }
            }
            for vector in 0..tiles.vectors() {
                // SAFETY: the same; the neighbours of the first and last tiles that do not exist are masked. There are more than
                // 36 half-mapped vectors of `distance` values.
                unsafe {
                    let column = |column: usize| first.add(column * distance + vector * LANES);
                    let values = [
                        L::load_masked(column(3).wrapping_sub(1), tiles.before[vector]),
                        L::load(column(0)),
                        L::load(column(1)),
                        L::load(column(2)),
                        L::load(column(3)),
                        L::load_masked(column(0).add(1), tiles.behind[vector]),
                    ];
                    for (point, value) in maps::source(values).into_iter().enumerate() {
                        value.store(half.add((point * POINTS + place) * distance + vector * LANES));
                    }
                }
            }
        }
        // SAFETY: all half-mapped values have their place, and `map_source` checked that of the points.
        unsafe { map_rows(half, points, distance, strides, maps::source::<L>) };
    }
}

struct MapResultGradient<'a, 's>(Channel<'a, 's>);

impl Task for MapResultGradient<'_, '_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Channel { tiles, rows, block, planes, space: Space { lines, half, .. }, points, strides } = self.0;
        let distance = tiles.distance();
        for (place, rows) in rows[1..=TILE].iter().enumerate() {
            tiles.lay(rows, block, planes, lines);
            for vector in 0..tiles.vectors() {
                // SAFETY: there are four lines of `distance` values, and room for 24 half-mapped ones.
                unsafe {
                    let values = L::take_apart(lines.as_ptr().add(vector * TILE * LANES));
                    for (point, value) in maps::result_gradient(values).into_iter().enumerate() {
                        value.store(half.as_mut_ptr().add((point * TILE + place) * distance + vector * LANES));
                    }
                }
            }
        }
        // SAFETY: all half-mapped values have their place, and `map_result_gradient` checked that of the points.
        unsafe { map_rows(half, points, distance, strides, maps::result_gradient::<L>) };
    }
}

/// Maps along the other axis: point of a row × place × tile to points.
///
/// # Safety
/// `half` has all of them, `distance` values each; the points lie in their memory.
#[inline(always)]
unsafe fn map_rows<L: Lanes, const PLACES: usize>(
    half: &[f32],
    points: &mut [f32],
    distance: usize,
    strides: Strides,
    map: impl Fn([L; PLACES]) -> [L; POINTS],
) {
    for column in 0..POINTS {
        for vector in 0..distance / LANES {
            // SAFETY: the caller vouches for both.
            unsafe {
                let half = half.as_ptr().add(column * PLACES * distance + vector * LANES);
                let values = at_each(
                    #[inline(always)]
                    |place| L::load(half.add(place * distance)),
                );
                let points = points.as_mut_ptr().add(column * strides.point + vector * strides.vector);
                for (row, value) in map(values).into_iter().enumerate() {
                    value.store(points.add(row * POINTS * strides.point));
                }
            }
        }
    }
}

struct MapResult<'a, 's, P> {
    tiles: &'a Tiles,
    block: &'a Block,
    points: &'a [f32],
    strides: Strides,
    bias: f32,
    space: &'a mut Space<'s>,
    plane: P,
}

impl<'p, P: Fn(usize, Range<usize>) -> &'p mut [f32]> Task for MapResult<'_, '_, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let MapResult { tiles, block, points, strides, bias, space, plane } = self;
        let distance = tiles.distance();
        let (half, sorted) = space.half.split_at_mut(POINTS * TILE * distance);
        for column in 0..POINTS {
            for vector in 0..tiles.vectors() {
                // SAFETY: `map_result` checked the points; there is room for 24 half-mapped values of each tile.
                unsafe {
                    let points = points.as_ptr().add(column * strides.point + vector * strides.vector);
                    let products = at_each(
                        #[inline(always)]
                        |row| L::load(points.add(row * POINTS * strides.point)),
                    );
                    for (place, value) in maps::result(products).into_iter().enumerate() {
                        value.store(half.as_mut_ptr().add((place * POINTS + column) * distance + vector * LANES));
                    }
                }
            }
        }
        for place in 0..TILE {
            for vector in 0..tiles.vectors() {
                // SAFETY: the same, and room for the 16 results of each tile.
                unsafe {
                    let half = half.as_ptr().add(place * POINTS * distance + vector * LANES);
                    let products = at_each(
                        #[inline(always)]
                        |column| L::load(half.add(column * distance)),
                    );
                    let results = maps::result(products).map(
                        #[inline(always)]
                        |value| value.plus(L::all(bias)),
                    );
                    L::put_together(results, sorted.as_mut_ptr().add((place * distance + vector * LANES) * TILE));
                }
            }
        }
        tiles.write_rows::<L>(block, sorted, plane);
    }
}

impl Tiles {
    /// Writes rows that are sorted by their place in the tile.
    #[inline(always)]
    fn write_rows<'p, L: Lanes>(
        &self,
        block: &Block,
        sorted: &[f32],
        plane: impl Fn(usize, Range<usize>) -> &'p mut [f32],
    ) {
        let (line, place) = (self.columns * TILE, self.distance() * TILE);
        let rows = block.rows.start * TILE..self.height.min(block.rows.end * TILE);
        for (number, image) in block.images.clone().enumerate() {
            let plane = plane(image, rows.start * self.width..rows.end * self.width);
            for row in rows.clone() {
                let tiles = number * block.rows.len() + row / TILE - block.rows.start;
                let from = row % TILE * place + tiles * line;
                copy_row::<L>(&sorted[from..], &mut plane[(row - rows.start) * self.width..], self.width);
            }
        }
    }
}

/// What `value` gives for each point of an axis.
#[inline(always)]
fn at_each<L: Lanes, const COUNT: usize>(value: impl Fn(usize) -> L) -> [L; COUNT] {
    let mut all = [L::all(0.0); COUNT];
    for (point, lanes) in all.iter_mut().enumerate() {
        *lanes = value(point);
    }
    all
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
