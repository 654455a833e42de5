//! The way from planes to points, and the memory for it.
//!
//! Tiles of a block are mapped as vectors that go over the ends of rows: rows of tiles are often shorter than a vector. To that end
//! the rows of a plane are sorted by their place in the tile, and taken apart into every second or fourth column. What a tile needs of
//! its neighbours lies one tile, or one row of tiles, before or behind; it is masked where rows and planes end.

use super::{
    lanes::{self, LANES, Lanes, Task, at_each},
    maps::{self, Form, POINTS},
    tiles::{Block, Side, Tiles},
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

/// Rows of a block's planes, those at one place of their tiles.
struct Rows<'a> {
    tiles: &'a Tiles,
    side: &'a Side,
    rows: &'a [u32],
    planes: &'a [f32],
}

impl Rows<'_> {
    /// Hands out the columns of so many vectors of tiles. Rows of whole vectors and tiles are read where they lie, others from a copy in
    /// `lines`; behind the last row come zeros.
    #[inline(always)]
    fn take_apart<L: Lanes, const TILE: usize>(
        &self,
        lines: &mut [f32],
        vectors: usize,
        mut hand_out: impl FnMut(usize, [L; TILE]),
    ) {
        static ZEROS: [f32; LANES] = [0.0; LANES];
        let (line, Rows { side, rows, planes, .. }) = (self.tiles.columns * TILE, self);
        let farthest = rows.iter().map(|row| if *row == NO_ROW { 0 } else { *row }).max().unwrap_or(0);
        assert!(farthest as usize + side.place.columns.len() <= planes.len(), "a row outside its planes");
        if side.place.columns == (0..line) && line.is_multiple_of(LANES) {
            let (mut row, mut column) = (0, 0);
            for vector in 0..vectors {
                let mut addresses = [ZEROS.as_ptr(); TILE];
                for address in &mut addresses {
                    let Some(&first) = rows.get(row) else { break };
                    if first != NO_ROW {
                        *address = planes.as_ptr().wrapping_add(first as usize + column);
                    }
                    column += LANES;
                    (row, column) = if column == line { (row + 1, 0) } else { (row, column) };
                }
                // SAFETY: all rows lie in their planes, as just checked.
                hand_out(vector, unsafe { L::take_apart(addresses) });
            }
            return;
        }
        self.lay(line, lines);
        assert!(vectors * TILE * LANES <= lines.len(), "lines outside their memory");
        for vector in 0..vectors {
            let first = lines.as_ptr().wrapping_add(vector * TILE * LANES);
            let addresses = std::array::from_fn(
                #[inline(always)]
                |number| first.wrapping_add(number * LANES),
            );
            // SAFETY: just checked.
            hand_out(vector, unsafe { L::take_apart(addresses) });
        }
    }

    /// Copies the rows to lines, with zeros to whole tiles, and behind them. They lie in their planes.
    fn lay(&self, line: usize, lines: &mut [f32]) {
        let Rows { tiles, side, rows, planes } = self;
        assert!(rows.len() * line <= lines.len() && side.place.columns.end <= line, "lines outside their memory");
        let lay = Lay {
            source: planes.as_ptr(),
            rows,
            step: 1,
            before: side.place.columns.start,
            count: side.place.columns.len(),
            len: line,
            copy: lines.as_mut_ptr(),
            pitch: line,
        };
        // SAFETY: `take_apart` checked the values, the room was just checked.
        unsafe { (tiles.kernel.lay)(&lay) };
        lines[rows.len() * line..].fill(0.0);
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
            Rows { tiles, side, rows, planes }.take_apart::<L, TILE>(
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
            fetch_next::<L>(side, rows, planes);
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
            Rows { tiles, side, rows, planes }.take_apart::<L, TILE>(
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
            fetch_next::<L>(side, rows, planes);
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

/// Has the same rows of the next channel brought near: a plane is often no longer than a page, too short for the processor to see
/// that it is read in order.
#[inline(always)]
fn fetch_next<L: Lanes>(side: &Side, rows: &[u32], planes: &[f32]) {
    let next = planes.as_ptr().wrapping_add(side.place.plane());
    for row in rows.iter().filter(|row| **row != NO_ROW) {
        for value in (0..side.place.columns.len()).step_by(LANES) {
            L::fetch(next.wrapping_add(*row as usize + value));
        }
    }
}
