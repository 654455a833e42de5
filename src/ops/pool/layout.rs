//! Planes taken apart so that all windows of a plane become one run of neighbouring values.
//!
//! Windows that overlap or skip make strided reads. So a plane, with padding around it, is taken apart into *phases*: the rows
//! `h = i·stride + r` and columns `w = j·stride + s` of each pair (r, s) become a small plane of their own, all with the same
//! number of places in a row, the *pitch*. Then what position (kh, kw) of all windows holds is one run, which begins at an
//! offset that depends on (kh, kw) alone: output (ph, pw) stands at `ph·pitch + pw` of it. The few places of the run behind the
//! last output of each row mean nothing.

use std::{cell::RefCell, ops::Range};

use super::{Axis, Geometry};

/// Runs are whole vectors of this many values.
pub(super) const LANES: usize = 16;

/// A vector of a run takes about as long as this many outputs that are computed one by one.
const OUTPUTS_OF_A_VECTOR: usize = 4;

/// How planes are taken apart.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    geometry: Geometry,
    /// Rows and columns of a phase.
    rows: usize,
    pitch: usize,
}

/// Places of one phase along an axis.
fn places(axis: Axis) -> usize {
    let by_windows = axis.output + (axis.kernel - 1) / axis.stride;
    by_windows.max((axis.input + axis.pad).div_ceil(axis.stride))
}

impl Layout {
    /// None when windows are few or padding is large: then window by window is less work.
    pub(super) fn new(geometry: &Geometry) -> Option<Self> {
        let (rows, pitch) = (places(geometry.height), places(geometry.width));
        let layout = Layout { geometry: *geometry, rows, pitch };
        let few = layout.outputs() / LANES * OUTPUTS_OF_A_VECTOR >= geometry.output_plane();
        let padding = layout.values().unwrap_or(usize::MAX) / 16 > geometry.input_plane().max(1024);
        (!few && !padding).then_some(layout)
    }

    /// Places in a row.
    pub(super) fn pitch(&self) -> usize {
        self.pitch
    }

    /// The length of the runs.
    pub(super) fn outputs(&self) -> usize {
        (self.geometry.height.output * self.pitch).next_multiple_of(LANES)
    }

    /// Values of a plane that is taken apart; None when they cannot be counted.
    fn values(&self) -> Option<usize> {
        let Geometry { height, width, .. } = self.geometry;
        let phase = self.rows.checked_mul(self.pitch)?;
        let phases = height.stride.checked_mul(width.stride)?;
        // The last runs reach beyond the last phase.
        phases.checked_mul(phase)?.checked_add(width.kernel / width.stride + LANES)
    }

    /// For each position of the windows, in scan order, where its run begins.
    fn list_positions(&self, positions: &mut Vec<usize>) {
        let Geometry { height, width, .. } = self.geometry;
        positions.clear();
        for kh in 0..height.kernel {
            for kw in 0..width.kernel {
                let phase = kh % height.stride * width.stride + kw % width.stride;
                positions.push((phase * self.rows + kh / height.stride) * self.pitch + kw / width.stride);
            }
        }
    }

    /// Where the parts of row `h` of the plane lie: the first column of each, the distance of its columns in the plane, and
    /// where they begin.
    #[inline(always)]
    fn parts(&self, h: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Geometry { height, width, .. } = self.geometry;
        let (rows, pitch) = (self.rows, self.pitch);
        let row = h + height.pad;
        let (above, row) = (row % height.stride, row / height.stride);
        (0..width.stride.min(width.input)).map(
            #[inline(always)]
            move |first| {
                let column = first + width.pad;
                let phase = above * width.stride + column % width.stride;
                (first, (phase * rows + row) * pitch + column / width.stride)
            },
        )
    }

    /// Takes a plane apart; what is padding in `apart` stays.
    #[inline(always)]
    pub(super) fn split(&self, plane: &[f32], apart: &mut [f32]) {
        let width = self.geometry.width;
        for (h, row) in plane.chunks_exact(width.input).enumerate() {
            let mut parts = self.parts(h);
            match width.stride {
                1 => {
                    let start = parts.next().map_or(0, |(_, start)| start);
                    apart[start..][..row.len()].copy_from_slice(row);
                }
                2 => {
                    let [first, second] = [parts.next(), parts.next()].map(|part| part.map_or(0, |(_, start)| start));
                    let (pairs, last) = row.as_chunks::<2>();
                    let [evens, odds] = two_parts(apart, [first, second], [pairs.len() + last.len(), pairs.len()]);
                    for (([one, two], even), odd) in pairs.iter().zip(&mut *evens).zip(odds) {
                        (*even, *odd) = (*one, *two);
                    }
                    evens[pairs.len()..].copy_from_slice(last);
                }
                stride => {
                    for (first, start) in parts {
                        let columns = row.iter().skip(first).step_by(stride);
                        apart[start..].iter_mut().zip(columns).for_each(|(apart, column)| *apart = *column);
                    }
                }
            }
        }
    }

    /// Puts a plane together again.
    #[inline(always)]
    pub(super) fn join(&self, apart: &mut [f32], plane: &mut [f32]) {
        let width = self.geometry.width;
        for (h, row) in plane.chunks_exact_mut(width.input).enumerate() {
            let mut parts = self.parts(h);
            match width.stride {
                1 => {
                    let start = parts.next().map_or(0, |(_, start)| start);
                    row.copy_from_slice(&apart[start..][..row.len()]);
                }
                2 => {
                    let [first, second] = [parts.next(), parts.next()].map(|part| part.map_or(0, |(_, start)| start));
                    let (pairs, last) = row.as_chunks_mut::<2>();
                    let [evens, odds] = two_parts(apart, [first, second], [pairs.len() + last.len(), pairs.len()]);
                    pairs.iter_mut().zip(&*evens).zip(odds).for_each(|((pair, even), odd)| *pair = [*even, *odd]);
                    last.copy_from_slice(&evens[pairs.len()..]);
                }
                stride => {
                    for (first, start) in parts {
                        let columns = row.iter_mut().skip(first).step_by(stride);
                        columns.zip(&apart[start..]).for_each(|(column, apart)| *column = *apart);
                    }
                }
            }
        }
    }
}

/// Two ranges, given by start and length.
#[inline(always)]
fn two_parts(values: &mut [f32], starts: [usize; 2], lengths: [usize; 2]) -> [&mut [f32]; 2] {
    let range = |part: usize| starts[part]..starts[part] + lengths[part];
    values.get_disjoint_mut([range(0), range(1)]).expect("phases of a row do not overlap")
}

/// Working memory of a thread; grows to what the largest plane takes and stays.
struct Scratch {
    values: Vec<f32>,
    places: Vec<u32>,
    positions: Vec<usize>,
}

/// A task's working memory.
pub(super) struct Work<'a> {
    /// A plane that is taken apart.
    pub apart: &'a mut [f32],
    /// A value for each output of a run.
    pub run: &'a mut [f32],
    /// A place for each output of a run.
    pub places: &'a mut [u32],
    /// A value for each place of a row of outputs.
    pub row: &'a mut [f32],
    /// Where the run of each position of the windows begins, in scan order.
    pub positions: &'a [usize],
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const {
        RefCell::new(Scratch { values: Vec::new(), places: Vec::new(), positions: Vec::new() })
    };
}

/// Gives `work` the thread's working memory, with `padding` wherever the planes will not be.
pub(super) fn with_scratch(layout: &Layout, padding: f32, work: impl FnOnce(Work<'_>)) {
    SCRATCH.with_borrow_mut(|scratch| {
        let (outputs, apart) = (layout.outputs(), layout.values().expect("a layout's values can be counted"));
        let count = apart + outputs + layout.pitch;
        scratch.values.resize(scratch.values.len().max(count), 0.0);
        scratch.places.resize(scratch.places.len().max(outputs), 0);
        layout.list_positions(&mut scratch.positions);
        let (apart, rest) = scratch.values[..count].split_at_mut(apart);
        let (run, row) = rest.split_at_mut(outputs);
        apart.fill(padding);
        work(Work { apart, run, places: &mut scratch.places[..outputs], row, positions: &scratch.positions });
    });
}

/// The values of a window along one axis.
pub(super) fn window(axis: Axis, output: usize) -> Range<usize> {
    let start = output * axis.stride;
    start.saturating_sub(axis.pad)..(start + axis.kernel).saturating_sub(axis.pad).min(axis.input)
}

/// The size of a window along one axis, clipped to the padded plane. A window beyond it (stride above kernel, rounded up) gets
/// a size of 0 or less, as in Caffe.
pub(super) fn extent(axis: Axis, output: usize) -> isize {
    let start = output * axis.stride;
    (start + axis.kernel).min(axis.input + 2 * axis.pad) as isize - start as isize
}

/// The sizes of the windows along a row.
pub(super) fn list_widths(geometry: &Geometry, widths: &mut [f32]) {
    let width = geometry.width;
    widths.iter_mut().enumerate().for_each(|(pw, wide)| *wide = extent(width, pw) as f32);
}
