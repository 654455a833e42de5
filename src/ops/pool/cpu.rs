//! Pooling on the host, parallel over planes.
//!
//! Windows that overlap or skip make strided reads. So each plane is first taken apart into *phases*: the columns
//! `w = j·stride + s` of a row, for each `s`, become a contiguous run, with room for the padding at both ends. Then one
//! position (kh, kw) of all windows of an output row is one contiguous run of one phase, and the loop over the outputs is
//! vector code. Positions are visited in Caffe's scan order, so sums and ties come out as Caffe's.

use std::cell::RefCell;

use rayon::prelude::*;

use super::{Axis, Geometry, Mask};
use crate::ops::vector::widest;

/// Input values per task, about; whole planes.
const TASK: usize = 32 * 1024;

/// Values per vector in [`max_run`].
const LANES: usize = 8;

thread_local! {
    /// The phases of the plane that a thread works on; grows to the largest plane and stays.
    static PHASES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// How a row is taken apart.
#[derive(Clone, Copy)]
struct Phases {
    axis: Axis,
    /// Values of one phase of a row, padding included.
    length: usize,
    /// Where column 0 of phase 0 lies: the padding in front, in whole strides.
    front: usize,
}

impl Phases {
    fn new(axis: Axis) -> Self {
        let front = axis.pad.div_ceil(axis.stride);
        let behind = (axis.output - 1) * axis.stride + axis.kernel;
        let length = front + behind.max(axis.input).div_ceil(axis.stride) + 1;
        Phases { axis, length, front }
    }

    /// Values of a whole row.
    fn row(&self) -> usize {
        self.length * self.axis.stride
    }

    /// Where the run of window position `kw` begins in a row: it holds the values for outputs 0, 1, 2, ...
    fn run(&self, kw: usize) -> usize {
        let column = kw + self.front * self.axis.stride - self.axis.pad;
        (column % self.axis.stride) * self.length + column / self.axis.stride
    }

    /// The run's place for column `w` of the plane.
    fn place(&self, w: usize) -> usize {
        (w % self.axis.stride) * self.length + self.front + w / self.axis.stride
    }

    /// Takes a row apart; what is padding in `phases` stays.
    #[inline(always)]
    fn split(&self, row: &[f32], phases: &mut [f32]) {
        match self.axis.stride {
            1 => phases[self.front..][..row.len()].copy_from_slice(row),
            2 => {
                let (even, odd) = phases.split_at_mut(self.length);
                let pairs = row.chunks_exact(2);
                if let [last] = pairs.remainder() {
                    even[self.front + row.len() / 2] = *last;
                }
                let (even, odd) = (&mut even[self.front..], &mut odd[self.front..]);
                pairs.zip(even).zip(odd).for_each(|((pair, even), odd)| (*even, *odd) = (pair[0], pair[1]));
            }
            _ => row.iter().enumerate().for_each(|(w, &value)| phases[self.place(w)] = value),
        }
    }

    /// Puts a row together again.
    #[inline(always)]
    fn join(&self, phases: &[f32], row: &mut [f32]) {
        match self.axis.stride {
            1 => row.copy_from_slice(&phases[self.front..][..row.len()]),
            2 => {
                let (even, odd) = phases.split_at(self.length);
                let (even, odd) = (&even[self.front..], &odd[self.front..]);
                let half = row.len() / 2;
                let mut pairs = row.chunks_exact_mut(2);
                (&mut pairs).zip(even).zip(odd).for_each(|((pair, &even), &odd)| (pair[0], pair[1]) = (even, odd));
                if let [last] = pairs.into_remainder() {
                    *last = even[half];
                }
            }
            _ => row.iter_mut().enumerate().for_each(|(w, value)| *value = phases[self.place(w)]),
        }
    }
}

/// The input rows of output row `ph`, and the window row of the first of them.
fn rows(axis: Axis, ph: usize) -> (std::ops::Range<usize>, usize) {
    let start = ph * axis.stride;
    let end = (start + axis.kernel).saturating_sub(axis.pad).min(axis.input);
    (start.saturating_sub(axis.pad)..end, axis.pad.saturating_sub(start))
}

/// The size of a window along one axis, clipped to the padded plane. A window beyond it (stride above kernel, rounded up) gets
/// a size of 0 or less, as in Caffe.
fn extent(axis: Axis, output: usize) -> isize {
    let start = output * axis.stride;
    (start + axis.kernel).min(axis.input + 2 * axis.pad) as isize - start as isize
}

/// Gives `work` a thread's phases, filled with `padding`.
fn with_phases(count: usize, padding: f32, work: impl FnOnce(&mut [f32])) {
    PHASES.with_borrow_mut(|phases| {
        if phases.len() < count {
            phases.resize(count, 0.0);
        }
        phases[..count].fill(padding);
        work(&mut phases[..count]);
    });
}

/// Planes per task.
fn group(geometry: &Geometry) -> usize {
    (TASK / geometry.input_plane().max(1)).max(1)
}

pub(super) fn max_forward(geometry: &Geometry, x: &[f32], y: &mut [f32], mask: &mut [u32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    let tasks = x.par_chunks(group * input).zip(y.par_chunks_mut(group * output));
    tasks.zip(mask.par_chunks_mut(group * output)).for_each(|((x, y), mask)| {
        let phases = Phases::new(geometry.width);
        with_phases(geometry.height.input * phases.row(), f32::NEG_INFINITY, |split| {
            let planes = x.chunks_exact(input).zip(y.chunks_exact_mut(output)).zip(mask.chunks_exact_mut(output));
            planes.for_each(|((x, y), mask)| widest(|| max_plane(geometry, phases, x, split, y, mask)));
        });
    });
}

#[inline(always)]
fn max_plane(geometry: &Geometry, phases: Phases, x: &[f32], split: &mut [f32], y: &mut [f32], mask: &mut [u32]) {
    let (height, width) = (geometry.height, geometry.width);
    for (row, split) in x.chunks_exact(width.input).zip(split.chunks_exact_mut(phases.row())) {
        phases.split(row, split);
    }
    let outputs = y.chunks_exact_mut(width.output).zip(mask.chunks_exact_mut(width.output));
    for (ph, (y, mask)) in outputs.enumerate() {
        y.fill(-f32::MAX);
        mask.fill(Mask::NONE);
        for h in rows(height, ph).0 {
            let row = &split[h * phases.row()..][..phases.row()];
            for kw in 0..width.kernel {
                // The plane's index for output 0; in front of the plane it wraps, but nothing there is ever chosen.
                let index = ((h * width.input + kw) as u32).wrapping_sub(width.pad as u32);
                max_run(&row[phases.run(kw)..], index, width.stride as u32, y, mask);
            }
        }
    }
}

/// One window position of all outputs of a row: in whole vectors, then the rest.
#[inline(always)]
fn max_run(run: &[f32], index: u32, stride: u32, y: &mut [f32], mask: &mut [u32]) {
    let (runs, rest) = run[..y.len()].as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks_mut::<LANES>();
    let (mask, mask_rest) = mask.as_chunks_mut::<LANES>();
    let mut output = 0;
    for ((run, y), mask) in runs.iter().zip(y).zip(mask) {
        for lane in 0..LANES {
            choose(run[lane], index.wrapping_add((output + lane as u32) * stride), &mut y[lane], &mut mask[lane]);
        }
        output += LANES as u32;
    }
    for ((&value, y), mask) in rest.iter().zip(y_rest).zip(mask_rest) {
        choose(value, index.wrapping_add(output * stride), y, mask);
        output += 1;
    }
}

/// Takes the value and its index when it is larger. Written with bits: a condition would become a branch that nobody can
/// foresee, many times slower.
#[inline(always)]
fn choose(value: f32, index: u32, y: &mut f32, mask: &mut u32) {
    let larger = u32::from(value > *y).wrapping_neg();
    *y = f32::from_bits((value.to_bits() & larger) | (y.to_bits() & !larger));
    *mask = (index & larger) | (*mask & !larger);
}

pub(super) fn max_backward(geometry: &Geometry, dy: &[f32], mask: &[u32], dx: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    let tasks = dx.par_chunks_mut(group * input).zip(dy.par_chunks(group * output));
    tasks.zip(mask.par_chunks(group * output)).for_each(|((dx, dy), mask)| {
        dx.fill(0.0);
        let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output)).zip(mask.chunks_exact(output));
        for ((dx, dy), mask) in planes {
            for (&dy, &index) in dy.iter().zip(mask) {
                // `Mask::NONE` is outside every plane.
                if let Some(dx) = dx.get_mut(index as usize) {
                    *dx += dy;
                }
            }
        }
    });
}

pub(super) fn average_forward(geometry: &Geometry, x: &[f32], y: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    x.par_chunks(group * input).zip(y.par_chunks_mut(group * output)).for_each(|(x, y)| {
        let phases = Phases::new(geometry.width);
        with_phases(geometry.height.input * phases.row(), 0.0, |split| {
            let planes = x.chunks_exact(input).zip(y.chunks_exact_mut(output));
            planes.for_each(|(x, y)| widest(|| average_plane(geometry, phases, x, split, y)));
        });
    });
}

#[inline(always)]
fn average_plane(geometry: &Geometry, phases: Phases, x: &[f32], split: &mut [f32], y: &mut [f32]) {
    let (height, width) = (geometry.height, geometry.width);
    for (row, split) in x.chunks_exact(width.input).zip(split.chunks_exact_mut(phases.row())) {
        phases.split(row, split);
    }
    for (ph, y) in y.chunks_exact_mut(width.output).enumerate() {
        y.fill(0.0);
        for h in rows(height, ph).0 {
            let row = &split[h * phases.row()..][..phases.row()];
            for kw in 0..width.kernel {
                y.iter_mut().zip(&row[phases.run(kw)..]).for_each(|(y, value)| *y += value);
            }
        }
        let high = extent(height, ph);
        y.iter_mut().enumerate().for_each(|(pw, y)| *y /= (high * extent(width, pw)) as f32);
    }
}

pub(super) fn average_backward(geometry: &Geometry, dy: &[f32], dx: &mut [f32]) {
    let (input, output, group) = (geometry.input_plane(), geometry.output_plane(), group(geometry));
    dx.par_chunks_mut(group * input).zip(dy.par_chunks(group * output)).for_each(|(dx, dy)| {
        let phases = Phases::new(geometry.width);
        let sums = geometry.height.input * phases.row();
        with_phases(sums + geometry.width.output, 0.0, |scratch| {
            let (sums, shares) = scratch.split_at_mut(sums);
            let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output));
            planes.for_each(|(dx, dy)| widest(|| average_plane_backward(geometry, phases, dy, sums, shares, dx)));
        });
    });
}

#[inline(always)]
fn average_plane_backward(
    geometry: &Geometry,
    phases: Phases,
    dy: &[f32],
    sums: &mut [f32],
    shares: &mut [f32],
    dx: &mut [f32],
) {
    let (height, width) = (geometry.height, geometry.width);
    sums.fill(0.0);
    for (ph, dy) in dy.chunks_exact(width.output).enumerate() {
        let high = extent(height, ph);
        let values = shares.iter_mut().zip(dy).enumerate();
        values.for_each(|(pw, (share, dy))| *share = dy / (high * extent(width, pw)) as f32);
        for h in rows(height, ph).0 {
            let row = &mut sums[h * phases.row()..][..phases.row()];
            // A value's windows from left to right: from the window's last column to its first.
            for kw in (0..width.kernel).rev() {
                row[phases.run(kw)..].iter_mut().zip(&*shares).for_each(|(sum, share)| *sum += share);
            }
        }
    }
    for (row, sums) in dx.chunks_exact_mut(width.input).zip(sums.chunks_exact(phases.row())) {
        phases.join(sums, row);
    }
}

pub(super) fn write_mask(mask: &[u32], values: &mut [f32]) {
    let number = |index: u32| if index == Mask::NONE { -1.0 } else { index as f32 };
    values.iter_mut().zip(mask).for_each(|(value, &index)| *value = number(index));
}
