//! Rows of planes as columns of tiles: read where they lie, or from a copy with zeros around them.

use super::{
    lanes::{LANES, Lanes},
    tiles::{Side, Tiles},
};
use crate::ops::gemm::gather::{Lay, NO_ROW};

/// Rows of a block's planes, those at one place of their tiles.
pub(super) struct Rows<'a> {
    pub tiles: &'a Tiles,
    pub side: &'a Side,
    pub rows: &'a [u32],
    pub planes: &'a [f32],
}

impl Rows<'_> {
    /// Hands out the columns of so many vectors of tiles. Rows of whole vectors and tiles are read where they lie, others from a copy in
    /// `lines`; behind the last row come zeros.
    #[inline(always)]
    pub fn take_apart<L: Lanes, const TILE: usize>(
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

    /// Has the same rows of the next channel brought near: a plane is often no longer than a page, too short for the processor to see
    /// that it is read in order.
    #[inline(always)]
    pub fn fetch_next<L: Lanes>(&self) {
        let next = self.planes.as_ptr().wrapping_add(self.side.place.plane());
        for row in self.rows.iter().filter(|row| **row != NO_ROW) {
            for value in (0..self.side.place.columns.len()).step_by(LANES) {
                L::fetch(next.wrapping_add(*row as usize + value));
            }
        }
    }
}
