//! Packing: values that lie in pieces in memory are brought together as panels, and results go to places apart. Each instruction set has its
//! own loops.

use std::mem::MaybeUninit;

use super::kernel::{Kernel, MAX_LANES};

/// Neighbouring lanes of a panel that lie side by side in the source too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Segment {
    /// The first lane.
    pub lane: usize,
    /// Where it lies, counted from each row's first value.
    pub source: usize,
    /// How many.
    pub len: usize,
}

/// Packs rows that all consist of the same segments: `packed[k][lane] = source[offsets[k] + place of the lane]`, zero for
/// lanes outside all segments.
pub(crate) struct Gather<'a> {
    /// The source.
    pub source: *const f32,
    /// Where each row begins.
    pub offsets: &'a [u32],
    /// The pieces of a row, by lane.
    pub segments: &'a [Segment],
    /// Vectors per row.
    pub vectors: usize,
    /// The panel's first value.
    pub packed: *mut f32,
}

/// Packs a gather.
///
/// # Safety
/// The processor has the instruction set; every place of every row lies in live memory; `packed` has room for all rows.
pub(crate) type GatherFunction = unsafe fn(&Gather<'_>);

/// Packs the transpose of rows: `packed[p · width + lane] = source[lane · stride + p]`; lanes beyond `lanes` hold anything.
pub(crate) struct Transpose {
    /// The first row.
    pub source: *const f32,
    /// Distance between rows.
    pub stride: usize,
    /// Rows, at least one and at most as many as a vector has lanes.
    pub lanes: usize,
    /// Values per row.
    pub len: usize,
    /// The first value.
    pub packed: *mut f32,
    /// Distance between packed rows.
    pub width: usize,
}

/// Packs a transpose.
///
/// # Safety
/// The processor has the instruction set; all rows lie in live memory; `packed` has room for a vector at each of `len` places.
pub(crate) type TransposeFunction = unsafe fn(&Transpose);

impl Kernel {
    /// The transpose of so many `rows`, as many values long as a vector has lanes and `stride` apart: each row becomes a column.
    #[inline]
    pub(crate) fn turned(&self, values: &[f32], stride: usize, rows: usize) -> Turned {
        assert!((1..=self.lanes).contains(&rows), "{rows} rows in vectors of {}", self.lanes);
        assert!((rows - 1) * stride + self.lanes <= values.len(), "rows outside their memory");
        let mut turned = Turned { values: [MaybeUninit::uninit(); MAX_LANES * MAX_LANES], lanes: self.lanes, rows };
        let transpose = Transpose {
            source: values.as_ptr(),
            stride,
            lanes: rows,
            len: self.lanes,
            packed: turned.values.as_mut_ptr().cast(),
            width: self.lanes,
        };
        // SAFETY: the rows were just checked, and `turned` has room for as many vectors as a vector has lanes.
        unsafe { (self.transpose)(&transpose) };
        turned
    }
}

/// Rows that became columns.
pub(crate) struct Turned {
    values: [MaybeUninit<f32>; MAX_LANES * MAX_LANES],
    lanes: usize,
    /// How many there were.
    rows: usize,
}

impl Turned {
    /// The values of all rows at each place.
    #[inline]
    pub(crate) fn columns(&self) -> impl Iterator<Item = &[f32]> {
        // SAFETY: a transpose writes as many values for each place as there were rows.
        let written = |column: &[MaybeUninit<f32>]| unsafe { &*(&raw const column[..self.rows] as *const [f32]) };
        self.values.chunks_exact(self.lanes).take(self.lanes).map(written)
    }
}

/// Copies rows with zeros around them: each is `before` zeros, `count` values `step` apart, and zeros up to `len`.
pub(crate) struct Lay<'a> {
    /// The source.
    pub source: *const f32,
    /// Where each row's first value lies; [`NO_ROW`] is a row of zeros.
    pub rows: &'a [u32],
    /// Distance between the values of a row.
    pub step: usize,
    /// Zeros in front.
    pub before: usize,
    /// Values of a row.
    pub count: usize,
    /// Length of a copied row.
    pub len: usize,
    /// The first value of the copy.
    pub copy: *mut f32,
    /// Distance between copied rows.
    pub pitch: usize,
}

/// A row of zeros in [`Lay::rows`].
pub(crate) const NO_ROW: u32 = u32::MAX;

/// Copies rows.
///
/// # Safety
/// The processor has the instruction set; all values lie in live memory; `copy` has room for all rows.
pub(crate) type LayFunction = unsafe fn(&Lay<'_>);

/// Writes rows of values to places that lie evenly apart: `result[row · pitch + i · step] (+)= values[row · width + i]`.
pub(crate) struct Spread {
    /// The first value.
    pub values: *const f32,
    /// Distance between rows of values.
    pub width: usize,
    /// How many rows.
    pub rows: usize,
    /// Values of a row.
    pub count: usize,
    /// The place of the first value.
    pub result: *mut f32,
    /// Distance between the places of rows.
    pub pitch: usize,
    /// Distance between the places of a row's values.
    pub step: usize,
    /// Whether values are added to what is there.
    pub accumulate: bool,
}

/// Writes rows.
///
/// # Safety
/// The processor has the instruction set; all values and places lie in live memory, and no one else touches the places meanwhile.
pub(crate) type SpreadFunction = unsafe fn(&Spread);

/// The part of the segments within one vector of `LANES` lanes, as lane ranges and the place that lane 0 would have.
#[cfg(target_arch = "x86_64")]
pub(super) fn parts<const LANES: usize>(segments: &[Segment], vector: usize, parts: &mut [Part; LANES]) -> usize {
    let mut count = 0;
    let first = vector * LANES;
    for segment in segments {
        let start = segment.lane.max(first);
        let end = (segment.lane + segment.len).min(first + LANES);
        if start < end {
            let origin = (segment.source + first).wrapping_sub(segment.lane) as isize;
            parts[count] = Part { start: start - first, end: end - first, origin };
            count += 1;
        }
    }
    count
}

/// A segment's part within a vector.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part {
    /// The first lane.
    pub start: usize,
    /// The lane behind the last.
    pub end: usize,
    /// The place lane 0 would have, counted from the row's first value.
    pub origin: isize,
}

/// [`GatherFunction`] in plain Rust.
///
/// # Safety
/// As [`GatherFunction`].
pub(super) unsafe fn gather<const LANES: usize>(gather: &Gather<'_>) {
    let width = gather.vectors * LANES;
    for (number, offset) in gather.offsets.iter().enumerate() {
        // SAFETY: the caller vouches for every place of every row and for the room; segments lie within a row.
        unsafe {
            let row = std::slice::from_raw_parts_mut(gather.packed.add(number * width), width);
            let mut next = 0;
            for segment in gather.segments {
                let source =
                    std::slice::from_raw_parts(gather.source.add(*offset as usize + segment.source), segment.len);
                row[next..segment.lane].fill(0.0);
                next = segment.lane + segment.len;
                for (value, source) in row[segment.lane..next].iter_mut().zip(source) {
                    *value = *source;
                }
            }
            row[next..].fill(0.0);
        }
    }
}

/// [`TransposeFunction`] in plain Rust, from position `first` on.
///
/// # Safety
/// As [`TransposeFunction`].
pub(super) unsafe fn transpose_from(transpose: &Transpose, first: usize) {
    for lane in 0..transpose.lanes {
        for position in first..transpose.len {
            // SAFETY: the caller vouches for all rows and for the room.
            unsafe {
                *transpose.packed.add(position * transpose.width + lane) =
                    *transpose.source.add(lane * transpose.stride + position);
            }
        }
    }
}

/// [`TransposeFunction`] in plain Rust.
///
/// # Safety
/// As [`TransposeFunction`].
pub(super) unsafe fn transpose(transpose: &Transpose) {
    // SAFETY: passed on to the caller.
    unsafe { transpose_from(transpose, 0) }
}

/// [`LayFunction`] in plain Rust.
///
/// # Safety
/// As [`LayFunction`].
pub(super) unsafe fn lay(lay: &Lay<'_>) {
    for (number, row) in lay.rows.iter().enumerate() {
        // SAFETY: the caller vouches for the room and for the values.
        unsafe {
            let copy = std::slice::from_raw_parts_mut(lay.copy.add(number * lay.pitch), lay.len);
            if *row == NO_ROW {
                copy.fill(0.0);
                continue;
            }
            copy[..lay.before].fill(0.0);
            copy[lay.before + lay.count..].fill(0.0);
            for (index, value) in copy[lay.before..lay.before + lay.count].iter_mut().enumerate() {
                *value = *lay.source.add(*row as usize + index * lay.step);
            }
        }
    }
}

/// [`SpreadFunction`] in plain Rust.
///
/// # Safety
/// As [`SpreadFunction`].
pub(super) unsafe fn spread(spread: &Spread) {
    for row in 0..spread.rows {
        for index in 0..spread.count {
            // SAFETY: the caller vouches for all values and places.
            unsafe {
                let value = *spread.values.add(row * spread.width + index);
                let place = spread.result.add(row * spread.pitch + index * spread.step);
                *place = if spread.accumulate { *place + value } else { value };
            }
        }
    }
}
