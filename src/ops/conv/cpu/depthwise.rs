//! A filter of its own for each channel: as many groups as channels and outputs, two spatial axes.
//!
//! A matrix product with one row and one column has nothing to share, so planes are worked on one by one. A plane is first laid
//! out as a *grid*: padded with zeros and, where strides are not 1, cut into parts whose neighbours are a stride apart (as in
//! `geometry.rs`), all parts with rows of one length. In it every tap is a constant distance from an output's place, so outputs
//! of the whole plane are one run of values, some of them (between rows) of no use: result = Σ weight · grid\[distance + place\].
//! The top's gradient is laid out the same way, with zeros in those places; the bottom's gradient, part by part, is then such a
//! run with negated distances, and that of a weight a product of two runs.

use rayon::prelude::*;

use super::super::geometry::{Axis, Geometry};
use crate::ops::{elementwise::cpu::CHUNK, gemm::scratch::with_scratch, vector::widest};

/// Values of a run that are computed together: four vectors of eight.
const LANES: usize = 32;

/// Images whose weight gradients one task adds up.
const IMAGES: usize = 4;

/// The sizes of a convolution with a filter for each channel.
#[derive(Debug)]
pub(super) struct Depthwise {
    rows: Line,
    columns: Line,
    /// Values of a part of the grid.
    part: usize,
    /// Taps: their distance in the grid.
    taps: Vec<usize>,
    /// For each part, the taps that read it, with their distance from the part's beginning.
    readers: Vec<Vec<(usize, usize)>>,
    /// Sums of the weights' gradient: chunk of images × channel × tap.
    sums: Vec<f32>,
}

/// One axis of the grid.
#[derive(Debug, Clone, Copy)]
struct Line {
    axis: Axis,
    /// Outputs.
    outputs: usize,
    /// Parts.
    parts: usize,
    /// Extent of a part.
    extent: usize,
}

impl Line {
    fn new(axis: Axis) -> Self {
        let outputs = axis.output().unwrap_or(0);
        let reach = (axis.kernel - 1) * axis.dilation;
        Line { axis, outputs, parts: axis.stride.min(reach + 1), extent: outputs + reach / axis.stride }
    }

    /// The part that a tap reads, and how far in.
    fn tap(&self, tap: usize) -> (usize, usize) {
        (tap * self.axis.dilation % self.axis.stride, tap * self.axis.dilation / self.axis.stride)
    }

    /// Where in a part the source lies: its first place inside, the source position there, and how many places.
    fn inside(&self, part: usize) -> (usize, usize, usize) {
        let Axis { input, stride, pad, .. } = self.axis;
        let first = pad.saturating_sub(part).div_ceil(stride);
        let position = first * stride + part - pad;
        let count = input.saturating_sub(position).div_ceil(stride).min(self.extent.saturating_sub(first));
        (first, position, count)
    }

    /// Whether the grid is not much larger than the source.
    fn is_near(axis: &Axis) -> bool {
        axis.pad <= axis.input && axis.extent() <= 4 * axis.input
    }
}

impl Depthwise {
    /// The plan, if the convolution is such a one.
    pub fn new(geometry: &Geometry) -> Option<Self> {
        let &[rows, columns] = geometry.axes.as_slice() else { return None };
        let is_depthwise = geometry.groups == geometry.channels && geometry.groups == geometry.outputs;
        if !is_depthwise || !Line::is_near(&rows) || !Line::is_near(&columns) {
            return None;
        }
        let (rows, columns) = (Line::new(rows), Line::new(columns));
        let part = rows.extent * columns.extent;
        let mut taps = Vec::new();
        let mut readers = vec![Vec::new(); rows.parts * columns.parts];
        for row in 0..rows.axis.kernel {
            for column in 0..columns.axis.kernel {
                let ((row_part, down), (column_part, right)) = (rows.tap(row), columns.tap(column));
                let (number, distance) = (row_part * columns.parts + column_part, down * columns.extent + right);
                readers[number].push((taps.len(), distance));
                taps.push(number * part + distance);
            }
        }
        Some(Depthwise { rows, columns, part, taps, readers, sums: Vec::new() })
    }

    /// Places of the run that all outputs lie in, in whole blocks.
    fn run(&self) -> usize {
        ((self.rows.outputs - 1) * self.columns.extent + self.columns.outputs).next_multiple_of(LANES)
    }

    /// Values of a grid; from any tap on there is a whole run.
    fn grid(&self) -> usize {
        self.rows.parts * self.columns.parts * self.part + LANES
    }

    /// The largest distance of a tap from its part's beginning.
    fn margin(&self) -> usize {
        (self.rows.extent - self.rows.outputs) * self.columns.extent + self.columns.extent - self.columns.outputs
    }

    /// Values of a plane of the bottom, and of the top.
    fn planes(&self) -> (usize, usize) {
        (self.rows.axis.input * self.columns.axis.input, self.rows.outputs * self.columns.outputs)
    }

    /// Calls `visit(place in the grid, place in the plane, count)` for the pieces of the bottom's rows that lie in a part; in the
    /// plane their values are a stride apart.
    fn pieces(&self, part: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let (first_row, position, count) = self.rows.inside(part / self.columns.parts);
        let (first, from, len) = self.columns.inside(part % self.columns.parts);
        for row in 0..count {
            let source = (position + row * self.rows.axis.stride) * self.columns.axis.input + from;
            visit(part * self.part + (first_row + row) * self.columns.extent + first, source, len);
        }
    }

    /// Lays out a plane of the bottom.
    fn spread(&self, plane: &[f32], grid: &mut [f32]) {
        let stride = self.columns.axis.stride;
        grid.fill(0.0);
        for part in 0..self.readers.len() {
            self.pieces(part, |place, source, len| match stride {
                1 => grid[place..place + len].copy_from_slice(&plane[source..source + len]),
                _ if len == 0 => {}
                _ => {
                    let values = plane[source..].iter().step_by(stride);
                    grid[place..place + len].iter_mut().zip(values).for_each(|(to, from)| *to = *from);
                }
            });
        }
    }

    /// Lays out a plane of the top as a run, from place `start` on, with zeros around and between the rows.
    fn spread_top(&self, plane: &[f32], start: usize, run: &mut [f32]) {
        run.fill(0.0);
        for (row, values) in plane.chunks_exact(self.columns.outputs).enumerate() {
            run[start + row * self.columns.extent..][..values.len()].copy_from_slice(values);
        }
    }

    /// top = bottom ∗ weights (+ bias).
    pub fn forward(&self, bottom: &[f32], weights: &[f32], bias: Option<&[f32]>, top: &mut [f32]) {
        let (input, output) = self.planes();
        let planes = top.par_chunks_mut(output).zip(bottom.par_chunks(input)).enumerate();
        planes.with_min_len(CHUNK.div_ceil(output)).for_each(|(plane, (top, bottom))| {
            let (weights, channel) = self.filter(weights, plane);
            let bias = bias.map_or(0.0, |bias| bias[channel]);
            with_scratch(|scratch| {
                let (grid, run) = scratch.take(self.grid() + self.run()).split_at_mut(self.grid());
                self.spread(bottom, grid);
                combine(grid, self.taps.iter().copied().zip(weights.iter().copied()), run);
                let rows = top.chunks_exact_mut(self.columns.outputs).zip(run.chunks(self.columns.extent));
                rows.for_each(|(top, run)| top.iter_mut().zip(run).for_each(|(top, value)| *top = value + bias));
            });
        });
    }

    /// The bottom's gradient, overwritten, or as an operation of its own the transposed convolution (+ bias).
    pub fn backward_bottom(&self, top_diff: &[f32], weights: &[f32], bias: Option<&[f32]>, bottom_diff: &mut [f32]) {
        let ((input, output), margin) = (self.planes(), self.margin());
        let (spread, whole) = (margin + self.part + LANES, self.part.next_multiple_of(LANES));
        let planes = bottom_diff.par_chunks_mut(input).zip(top_diff.par_chunks(output)).enumerate();
        planes.with_min_len(CHUNK.div_ceil(input)).for_each(|(plane, (bottom, top))| {
            let (weights, channel) = self.filter(weights, plane);
            let bias = bias.map_or(0.0, |bias| bias[channel]);
            with_scratch(|scratch| {
                let (run, part) = scratch.take(spread + whole).split_at_mut(spread);
                self.spread_top(top, margin, run);
                bottom.fill(bias);
                for (number, readers) in self.readers.iter().enumerate().filter(|(_, readers)| !readers.is_empty()) {
                    combine(run, readers.iter().map(|&(tap, distance)| (margin - distance, weights[tap])), part);
                    self.pieces(number, |place, source, len| {
                        let values = &part[place - number * self.part..][..len];
                        let to = bottom.get_mut(source..).unwrap_or_default().iter_mut();
                        to.step_by(self.columns.axis.stride).zip(values).for_each(|(to, value)| *to = value + bias);
                    });
                }
            });
        });
    }

    /// Adds the weights' gradient. Images are added up in chunks of [`IMAGES`], and the chunks' sums in order.
    pub fn backward_weights(&mut self, bottom: &[f32], top_diff: &[f32], weights_diff: &mut [f32]) {
        let ((input, output), count) = (self.planes(), self.taps.len());
        let channels = weights_diff.len() / count;
        let images = top_diff.len() / (channels * output);
        let mut sums = std::mem::take(&mut self.sums);
        sums.resize(images.div_ceil(IMAGES) * weights_diff.len(), 0.0);
        sums.par_chunks_mut(count).enumerate().for_each(|(task, sums)| {
            sums.fill(0.0);
            let (chunk, channel) = (task / channels, task % channels);
            for image in chunk * IMAGES..images.min((chunk + 1) * IMAGES) {
                let plane = image * channels + channel;
                with_scratch(|scratch| {
                    let (grid, run) = scratch.take(self.grid() + self.run()).split_at_mut(self.grid());
                    self.spread(&bottom[plane * input..][..input], grid);
                    self.spread_top(&top_diff[plane * output..][..output], 0, run);
                    sums.iter_mut().zip(&self.taps).for_each(|(sum, &tap)| *sum += product(run, &grid[tap..]));
                });
            }
        });
        for sums in sums.chunks_exact(weights_diff.len()) {
            weights_diff.iter_mut().zip(sums).for_each(|(diff, sum)| *diff += sum);
        }
        self.sums = sums;
    }

    /// The filter of a plane, and its channel.
    fn filter<'a>(&self, weights: &'a [f32], plane: usize) -> (&'a [f32], usize) {
        let count = self.taps.len();
        let channel = plane % (weights.len() / count);
        (&weights[channel * count..][..count], channel)
    }
}

/// result\[i\] = Σ factor · values\[distance + i\], over whole blocks of lanes.
fn combine(values: &[f32], taps: impl Iterator<Item = (usize, f32)> + Clone, result: &mut [f32]) {
    widest(
        #[inline(always)]
        || {
            for (block, result) in result.chunks_exact_mut(LANES).enumerate() {
                let mut lanes = [0.0f32; LANES];
                for (distance, factor) in taps.clone() {
                    let values = &values[distance + block * LANES..][..LANES];
                    for lane in 0..LANES {
                        lanes[lane] += factor * values[lane];
                    }
                }
                result.copy_from_slice(&lanes);
            }
        },
    );
}

/// Σ a·b over whole blocks of lanes of `a`.
fn product(a: &[f32], b: &[f32]) -> f32 {
    widest(
        #[inline(always)]
        || {
            let mut lanes = [0.0f32; LANES];
            for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
                for lane in 0..LANES {
                    lanes[lane] += a[lane] * b[lane];
                }
            }
            lanes.iter().sum()
        },
    )
}
