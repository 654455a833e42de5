//! Rows taken apart so that strided windows become contiguous reads.
//!
//! Windows that overlap or skip make strided reads. So a row is taken apart into *phases*: the columns `w = j·stride + s`, for
//! each `s`, become a contiguous run, with room for the padding at both ends. Then one position kw of all windows along a row
//! is one run of neighbouring values.

use std::{cell::RefCell, ops::Range};

use super::Axis;

/// Outputs worked on together.
pub(super) const LANES: usize = 16;

thread_local! {
    /// Working memory of a thread; grows to what the largest plane takes and stays.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Gives `work` this many values of the thread's working memory, all `value`.
pub(super) fn with_scratch(count: usize, value: f32, work: impl FnOnce(&mut [f32])) {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < count {
            scratch.resize(count, 0.0);
        }
        scratch[..count].fill(value);
        work(&mut scratch[..count]);
    });
}

/// How a row is taken apart.
#[derive(Clone, Copy)]
pub(super) struct Phases {
    axis: Axis,
    /// Values of one phase of a row, padding included.
    length: usize,
    /// Where column 0 of phase 0 lies: the padding in front, in whole strides.
    front: usize,
    /// Phase and place in it of the first window's first position.
    first: (usize, usize),
}

impl Phases {
    pub(super) fn new(axis: Axis) -> Self {
        let front = axis.pad.div_ceil(axis.stride);
        let reach = ((axis.output - 1) * axis.stride + axis.kernel).max(axis.input);
        // A block of lanes may reach beyond the last output.
        let length = front + reach.div_ceil(axis.stride) + LANES;
        let column = front * axis.stride - axis.pad;
        Phases { axis, length, front, first: (column % axis.stride, column / axis.stride) }
    }

    /// Values of one phase of a row.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Where column 0 lies in its phase.
    pub(super) fn front(&self) -> usize {
        self.front
    }

    /// Values of a whole row.
    pub(super) fn row(&self) -> usize {
        self.length * self.axis.stride
    }

    /// Where the run of each window position begins in a row: it holds the values for outputs 0, 1, 2, ...
    #[inline(always)]
    pub(super) fn runs(&self) -> impl Iterator<Item = usize> + use<> {
        let (stride, length) = (self.axis.stride, self.length);
        let (mut phase, mut place) = self.first;
        (0..self.axis.kernel).map(
            #[inline(always)]
            move |_| {
                let start = phase * length + place;
                phase += 1;
                if phase == stride {
                    (phase, place) = (0, place + 1);
                }
                start
            },
        )
    }

    /// Takes all rows of a plane apart; what is padding in `split` stays.
    #[inline(always)]
    pub(super) fn split_plane(&self, x: &[f32], split: &mut [f32]) {
        for (row, split) in x.chunks_exact(self.axis.input).zip(split.chunks_exact_mut(self.row())) {
            self.split(row, split);
        }
    }

    #[inline(always)]
    fn split(&self, row: &[f32], split: &mut [f32]) {
        let front = self.front;
        match self.axis.stride {
            1 => split[front..][..row.len()].copy_from_slice(row),
            2 => {
                let half = row.len() / 2;
                let (even, odd) = split.split_at_mut(self.length);
                let (pairs, last) = row.as_chunks::<2>();
                let (even, odd) = (&mut even[front..][..half + last.len()], &mut odd[front..][..half]);
                for (([first, second], even), odd) in pairs.iter().zip(&mut *even).zip(odd) {
                    (*even, *odd) = (*first, *second);
                }
                even[half..].copy_from_slice(last);
            }
            stride => {
                for (phase, split) in split.chunks_exact_mut(self.length).enumerate() {
                    let columns = row.iter().skip(phase).step_by(stride);
                    split[front..].iter_mut().zip(columns).for_each(|(split, column)| *split = *column);
                }
            }
        }
    }

    /// Puts a row together again.
    #[inline(always)]
    pub(super) fn join(&self, split: &[f32], row: &mut [f32]) {
        let front = self.front;
        match self.axis.stride {
            1 => row.copy_from_slice(&split[front..][..row.len()]),
            2 => {
                let half = row.len() / 2;
                let (even, odd) = split.split_at(self.length);
                let (pairs, last) = row.as_chunks_mut::<2>();
                let (even, odd) = (&even[front..][..half + last.len()], &odd[front..][..half]);
                pairs.iter_mut().zip(even).zip(odd).for_each(|((pair, even), odd)| *pair = [*even, *odd]);
                last.copy_from_slice(&even[half..]);
            }
            stride => {
                for (phase, split) in split.chunks_exact(self.length).enumerate() {
                    let columns = row.iter_mut().skip(phase).step_by(stride);
                    columns.zip(&split[front..]).for_each(|(column, split)| *column = *split);
                }
            }
        }
    }
}

/// The input rows of output row `ph`.
pub(super) fn rows(axis: Axis, ph: usize) -> Range<usize> {
    let start = ph * axis.stride;
    start.saturating_sub(axis.pad)..(start + axis.kernel).saturating_sub(axis.pad).min(axis.input)
}

/// The size of a window along one axis, clipped to the padded plane. A window beyond it (stride above kernel, rounded up) gets
/// a size of 0 or less, as in Caffe.
#[inline(always)]
pub(super) fn extent(axis: Axis, output: usize) -> isize {
    let start = output * axis.stride;
    (start + axis.kernel).min(axis.input + 2 * axis.pad) as isize - start as isize
}
