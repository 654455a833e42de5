//! The way from planes to points, and the memory for it.
//!
//! Tiles of a block are mapped as vectors that go over the ends of rows: rows of tiles are often shorter than a vector. To that end
//! the rows of a plane are sorted by their place in the tile, and taken apart into every second or fourth column. What a tile needs of
//! its neighbours lies one tile, or one row of tiles, before or behind; it is masked where rows and planes end.

use super::{
    lanes::{self, LANES, Lanes, Task, at_each},
    maps::{self, Form, POINTS},
    rows::Rows,
    tiles::{Block, Side, Tiles},
};

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
    /// Their values, taken apart by column of the tile, with room for neighbours at both ends.
    columns: &'a mut [f32],
    /// What is mapped along one axis.
    pub half: &'a mut [f32],
}

impl Tiles {
    /// Values of [`Space`].
    pub fn space(&self) -> usize {
        2 * self.form.tile() * self.around() + 2 * LANES + self.half()
    }

    /// Tiles of the largest block and of the rows of tiles around them, in whole vectors.
    fn around(&self) -> usize {
        self.vectors_around() * LANES
    }

    /// Half-mapped values: those of a source, or those of a result with the results.
    fn half(&self) -> usize {
        let tile = self.form.tile();
        (POINTS * tile * self.around()).max((POINTS + tile) * tile * self.distance())
    }

    /// Divides memory of that size.
    pub fn divide<'a>(&self, memory: &'a mut [f32]) -> Space<'a> {
        let values = self.form.tile() * self.around();
        let (lines, rest) = memory.split_at_mut(values);
        let (columns, half) = rest.split_at_mut(values + 2 * LANES);
        assert!(half.len() >= self.half(), "half-mapped values outside their memory");
        Space { lines, columns, half }
    }

    /// Maps one channel of a source to points; `planes` begins with that of the block's first image.
    pub fn map_source(
        &self,
        side: &Side,
        block: &Block,
        planes: &[f32],
        space: &mut Space<'_>,
        (points, strides): (&mut [f32], Strides),
    ) {
        self.check(points, strides);
        let channel = Channel { tiles: self, side, block, planes, space, points, strides };
        match self.form {
            Form::Three => lanes::run(self.kernel, MapSource::<4>(channel)),
            Form::Five => lanes::run(self.kernel, MapSource::<2>(channel)),
        }
    }

    /// Maps the gradient of one channel of a result to points; `planes` begins with that of the block's first image.
    pub fn map_result_gradient(
        &self,
        side: &Side,
        block: &Block,
        planes: &[f32],
        space: &mut Space<'_>,
        (points, strides): (&mut [f32], Strides),
    ) {
        self.check(points, strides);
        let channel = Channel { tiles: self, side, block, planes, space, points, strides };
        match self.form {
            Form::Three => lanes::run(self.kernel, MapResultGradient::<4>(channel)),
            Form::Five => lanes::run(self.kernel, MapResultGradient::<2>(channel)),
        }
    }

    pub fn check(&self, points: &[f32], strides: Strides) {
        let last = (POINTS * POINTS - 1) * strides.point + (self.vectors() - 1) * strides.vector;
        assert!(last + LANES <= points.len(), "points outside their memory");
    }
}

/// One channel of a block, and the points it is mapped to.
struct Channel<'a, 's> {
    tiles: &'a Tiles,
    side: &'a Side,
    block: &'a Block,
    planes: &'a [f32],
    space: &'a mut Space<'s>,
    points: &'a mut [f32],
    strides: Strides,
}

struct MapSource<'a, 's, const TILE: usize>(Channel<'a, 's>);

impl<const TILE: usize> Task for MapSource<'_, '_, TILE> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Channel { tiles, side, block, planes, space: Space { lines, columns, half }, points, strides } = self.0;
        let around = tiles.around();
        // What a tile's results need of the tile before it.
        let reach = (POINTS - TILE).div_ceil(2);
        for (place, rows) in tiles.rows(side, block).enumerate() {
            let (first, half) = (columns[LANES..].as_mut_ptr(), half.as_mut_ptr());
            let rows = Rows { tiles, side, rows, planes };
            rows.take_apart::<L, TILE>(
                lines,
                tiles.vectors_around(),
                #[inline(always)]
                |vector, apart| {
                    for (column, values) in apart.into_iter().enumerate() {
                        // SAFETY: there are as many columns of `around` values as a tile has.
                        unsafe { values.store(first.add(column * around + vector * LANES)) };
                    }
                },
            );
            rows.fetch_next::<L>();
            for vector in 0..tiles.vectors_around() {
                // SAFETY: the same; there is a vector before and one behind them, so that all neighbours can be read, and for each of
                // their values there are six half-mapped ones.
                unsafe {
                    let column = |column: usize| first.add(column * around + vector * LANES);
                    let values = at_each(
                        #[inline(always)]
                        |value| {
                            if value < reach {
                                L::load(column(TILE - reach + value).sub(1)).keep(tiles.before[vector])
                            } else if value < reach + TILE {
                                L::load(column(value - reach))
                            } else {
                                L::load(column(value - reach - TILE).add(1)).keep(tiles.behind[vector])
                            }
                        },
                    );
                    for (point, value) in maps::source(values).into_iter().enumerate() {
                        value.store(half.add((point * TILE + place) * around + vector * LANES));
                    }
                }
            }
        }
        let (half, row) = (half.as_ptr(), tiles.columns);
        // SAFETY: `map_source` checked the points; the tiles of a block have a row of tiles above and one below them, all of them
        // half-mapped.
        unsafe {
            map_rows(
                points,
                tiles.vectors(),
                strides,
                #[inline(always)]
                |column, vector, value| {
                    let place = |place: usize| half.add((column * TILE + place) * around + vector * LANES);
                    if value < reach {
                        L::load(place(TILE - reach + value)).keep(tiles.above[vector])
                    } else if value < reach + TILE {
                        L::load(place(value - reach).add(row))
                    } else {
                        L::load(place(value - reach - TILE).add(2 * row)).keep(tiles.below[vector])
                    }
                },
                #[inline(always)]
                |values| maps::source::<L>(values),
            );
        }
    }
}

struct MapResultGradient<'a, 's, const TILE: usize>(Channel<'a, 's>);

impl<const TILE: usize> Task for MapResultGradient<'_, '_, TILE> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Channel { tiles, side, block, planes, space: Space { lines, half, .. }, points, strides } = self.0;
        let distance = tiles.distance();
        for (place, rows) in tiles.rows(side, block).enumerate() {
            let rows = &rows[1..][..block.tiles / tiles.columns];
            let rows = Rows { tiles, side, rows, planes };
            rows.take_apart::<L, TILE>(
                lines,
                tiles.vectors(),
                #[inline(always)]
                |vector, values| {
                    for (point, value) in maps::result_gradient(values).into_iter().enumerate() {
                        let place = (point * TILE + place) * distance + vector * LANES;
                        // SAFETY: there is room for the half-mapped values of each tile.
                        unsafe { value.store(half.as_mut_ptr().add(place)) };
                    }
                },
            );
            rows.fetch_next::<L>();
        }
        let half = half.as_ptr();
        // SAFETY: `map_result_gradient` checked the points; all half-mapped values have their place.
        unsafe {
            map_rows(
                points,
                tiles.vectors(),
                strides,
                #[inline(always)]
                |column, vector, place| L::load(half.add((column * TILE + place) * distance + vector * LANES)),
                #[inline(always)]
                |values| maps::result_gradient::<L, TILE>(values),
            );
        }
    }
}

/// Maps along the other axis: the half-mapped values of each column of points, vector of tiles and place to points.
///
/// # Safety
/// The points of so many vectors lie in their memory.
#[inline(always)]
unsafe fn map_rows<L: Lanes, const PLACES: usize>(
    points: &mut [f32],
    vectors: usize,
    strides: Strides,
    load: impl Fn(usize, usize, usize) -> L,
    map: impl Fn([L; PLACES]) -> [L; POINTS],
) {
    for column in 0..POINTS {
        for vector in 0..vectors {
            let values = at_each(
                #[inline(always)]
                |place| load(column, vector, place),
            );
            for (row, value) in map(values).into_iter().enumerate() {
                let place = (row * POINTS + column) * strides.point + vector * strides.vector;
                // SAFETY: the caller vouches for the points.
                unsafe { value.store(points.as_mut_ptr().add(place)) };
            }
        }
    }
}
