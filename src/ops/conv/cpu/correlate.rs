//! The forward direction and the gradient of the source: weights times an image read in place of its im2col matrix.

use std::{cell::Cell, ops::Range};

use rayon::prelude::*;

use super::plan::{PhasePlan, Piece, Plan, Task};
use crate::ops::gemm::{
    core::{Columns, Depth, Epilogue, Offsets, Output, Place, Rows, multiply},
    gather::{Gather, Segment},
    kernel::{Kernel, MAX_LANES, MAX_VECTORS},
    scratch::with_scratch,
};

/// The channels of a correlation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Correlation {
    pub source_channels: usize,
    pub result_channels: usize,
    pub groups: usize,
}

/// For every phase of the plan: `result = weights · source (+ bias)`. The weights of a phase are group × result channel of
/// the group × source channel of the group × tap.
pub(super) fn correlate(
    kernel: &Kernel,
    plan: &Plan,
    sizes: Correlation,
    source: &[f32],
    weights: &[&[f32]],
    bias: Option<&[f32]>,
    result: &mut [f32],
) {
    let result_plane = plan.phases[0].plane;
    let result = Shared { address: result.as_mut_ptr(), len: result.len() };
    let work = Work { kernel, plan, sizes, source, weights, bias, result: &result, result_plane };
    let tasks = plan.tasks();
    (0..tasks * sizes.groups).into_par_iter().for_each(|number| work.task(number / tasks, &plan.task(number % tasks)));
}

/// Memory that tasks write to at places of their own.
struct Shared {
    address: *mut f32,
    len: usize,
}

// SAFETY: the tasks of a correlation write to disjoint places: images, bands and groups of channels of their own.
unsafe impl Sync for Shared {}

struct Work<'a> {
    kernel: &'a Kernel,
    plan: &'a Plan,
    sizes: Correlation,
    source: &'a [f32],
    weights: &'a [&'a [f32]],
    bias: Option<&'a [f32]>,
    result: &'a Shared,
    result_plane: usize,
}

thread_local! {
    static PIECES: Cell<Vec<Piece>> = const { Cell::new(Vec::new()) };
}

impl Work<'_> {
    fn task(&self, group: usize, task: &Task) {
        with_scratch(|scratch| {
            let channels = self.sizes.source_channels / self.sizes.groups;
            let channel = group * channels;
            let (source, image) = arranged(
                self.plan,
                task,
                self.source,
                self.sizes.source_channels,
                channel..channel + channels,
                |len| scratch.take(len),
            );
            let mut pieces = PIECES.take();
            for (phase, weights) in self.plan.phases.iter().zip(self.weights) {
                let result_image = self.sizes.result_channels * self.result_plane;
                self.plan.pieces(phase, task, image, result_image, &mut pieces);
                self.phase(phase, group, task, source, weights, &pieces);
            }
            PIECES.set(pieces);
        });
    }

    fn phase(&self, phase: &PhasePlan, group: usize, task: &Task, source: &[f32], weights: &[f32], pieces: &[Piece]) {
        let outputs = self.sizes.result_channels / self.sizes.groups;
        let depth = phase.offsets.len();
        let first = (task.images.start * self.sizes.result_channels + group * outputs) * self.result_plane;
        let bias = self.bias.map(|bias| &bias[group * outputs..(group + 1) * outputs]);
        let rows = Rows {
            values: &weights[group * outputs * depth..(group + 1) * outputs * depth],
            offsets: Offsets::Even { count: outputs, stride: depth },
            step: 1,
            depth: Depth::Straight(depth),
        };
        let patches = Patches { source, offsets: &phase.offsets, pieces };
        let planes = Planes { result: self.result, first, plane: self.result_plane, pieces };
        multiply(self.kernel, &rows, &patches, &planes, Epilogue { bias, accumulate: false });
    }
}

/// The channels of a task's images as the plan lays them out, and the distance between images: the source itself, or a copy
/// in the memory that `space` gives.
pub(super) fn arranged<'a>(
    plan: &Plan,
    task: &Task,
    source: &'a [f32],
    all_channels: usize,
    channels: Range<usize>,
    space: impl FnOnce(usize) -> &'a mut [f32],
) -> (&'a [f32], usize) {
    let source_plane: usize = plan.grid.axes.iter().map(|axis| axis.source).product();
    let source_image = all_channels * source_plane;
    let first = task.images.start * source_image + channels.start * source_plane;
    if plan.layout.in_place {
        return (&source[first..], source_image);
    }
    let plane = plan.layout.plane;
    let image = channels.len() * plane;
    let copy = space(task.images.len() * image);
    for (number, copy) in copy.chunks_exact_mut(image).enumerate() {
        let source = &source[first + number * source_image..];
        for (source, copy) in source.chunks_exact(source_plane).zip(copy.chunks_exact_mut(plane)) {
            plan.arrange(task, source, copy);
        }
    }
    (copy, image)
}

/// The matrix that im2col would write: step (channel, tap) of the reduction, one column per output position.
struct Patches<'a> {
    source: &'a [f32],
    offsets: &'a [usize],
    pieces: &'a [Piece],
}

impl Patches<'_> {
    /// The columns as segments of neighbours.
    fn segments<'s>(&self, columns: Range<usize>, all: &'s mut [Segment]) -> &'s [Segment] {
        let mut count = 0;
        let first = self.pieces.partition_point(|piece| piece.start + piece.len <= columns.start);
        for piece in self.pieces[first..].iter().take_while(|piece| piece.start < columns.end) {
            let start = piece.start.max(columns.start);
            let end = columns.end.min(piece.start + piece.len);
            all[count] =
                Segment { lane: start - columns.start, source: piece.source + start - piece.start, len: end - start };
            count += 1;
        }
        &all[..count]
    }
}

impl Columns for Patches<'_> {
    fn count(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.start + piece.len)
    }

    fn panel<'s>(
        &'s self,
        kernel: &Kernel,
        depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> &'s [f32] {
        let offsets = &self.offsets[depth];
        let mut all = [Segment::default(); MAX_LANES * MAX_VECTORS];
        let segments = self.segments(columns, &mut all);
        let furthest = segments.iter().map(|segment| segment.source + segment.len).max().unwrap_or(0);
        let furthest = furthest + offsets.iter().copied().max().unwrap_or(0);
        assert!(furthest <= self.source.len() && space.len() >= offsets.len() * width, "a panel outside its memory");
        let vectors = width / kernel.lanes;
        let (source, packed) = (self.source.as_ptr(), space.as_mut_ptr());
        // SAFETY: all places and the room were just checked.
        unsafe { (kernel.gather)(&Gather { source, offsets, segments, vectors, packed }) };
        space
    }
}

/// The result's planes: a row per channel, a column per position.
struct Planes<'a> {
    result: &'a Shared,
    first: usize,
    plane: usize,
    pieces: &'a [Piece],
}

impl Planes<'_> {
    /// The address of a result, after a check that `len` results `stride` apart lie in memory from there on.
    fn address(&self, row: usize, position: usize, len: usize, stride: usize) -> *mut f32 {
        let offset = self.first + row * self.plane + position;
        assert!(offset + (len - 1) * stride < self.result.len, "a result outside its memory");
        // SAFETY: just checked.
        unsafe { self.result.address.add(offset) }
    }
}

impl Output for Planes<'_> {
    fn place(&self, rows: Range<usize>, columns: Range<usize>, width: usize) -> Option<Place> {
        let first = self.pieces.partition_point(|piece| piece.start + piece.len <= columns.start);
        // Results often lie side by side where sources do not.
        let mut next = None;
        for piece in self.pieces[first..].iter().take_while(|piece| piece.start < columns.end) {
            if piece.stride != 1 || next.is_some_and(|next| next != piece.result) {
                return None;
            }
            next = Some(piece.result + piece.len);
        }
        if columns.len() != width {
            return None;
        }
        let position = self.pieces[first].result + columns.start - self.pieces[first].start;
        self.address(rows.end - 1, position, width, 1);
        Some(Place { address: self.address(rows.start, position, width, 1), stride: self.plane })
    }

    fn store(&self, rows: Range<usize>, columns: Range<usize>, tile: &[f32], width: usize, accumulate: bool) {
        let first = self.pieces.partition_point(|piece| piece.start + piece.len <= columns.start);
        for piece in self.pieces[first..].iter().take_while(|piece| piece.start < columns.end) {
            let start = piece.start.max(columns.start);
            let len = columns.end.min(piece.start + piece.len) - start;
            let position = piece.result + (start - piece.start) * piece.stride;
            for (row, values) in rows.clone().zip(tile.chunks_exact(width)) {
                let address = self.address(row, position, len, piece.stride);
                for (index, value) in values[start - columns.start..][..len].iter().enumerate() {
                    // SAFETY: `address` checked all of them, and the place is this task's own.
                    unsafe {
                        let address = address.add(index * piece.stride);
                        *address = if accumulate { *address + value } else { *value };
                    }
                }
            }
        }
    }
}
