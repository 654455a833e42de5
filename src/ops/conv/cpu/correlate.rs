//! The forward direction and the gradient of the source: weights times an image read in place of its im2col matrix.

use std::{cell::Cell, ops::Range};

use rayon::prelude::*;

use super::{
    arrange::arranged,
    plan::{PhasePlan, Piece, Plan, TASKS, Task},
};
use crate::ops::gemm::{
    core::{multiply, multiply_shallow},
    gather::{Gather, Segment, Spread},
    kernel::{Kernel, MAX_LANES, MAX_VECTORS},
    operands::{self, Columns, Depth, Epilogue, Offsets, Output, Panel, Place, Rows},
    scratch::with_scratch,
};

/// Rows of the result that a block has at least.
const BLOCK_ROWS: usize = 96;

/// Up to so many steps of the reduction, results take longer to write than to compute: they are written in long stretches.
const SHALLOW: usize = 96;

/// The channels of a correlation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Correlation {
    pub source_channels: usize,
    pub result_channels: usize,
    pub groups: usize,
}

/// For every phase of the plan: `result (+)= weights · source (+ bias)`. The weights of a phase are group × result channel of
/// the group × source channel of the group × tap.
pub(super) fn correlate(
    kernel: &Kernel,
    plan: &Plan,
    sizes: Correlation,
    source: &[f32],
    weights: &[&[f32]],
    epilogue: Epilogue<'_>,
    result: &mut [f32],
) {
    let result_plane = plan.phases[0].plane;
    let result = Shared { address: result.as_mut_ptr(), len: result.len() };
    let work = Work { kernel, plan, sizes, source, weights, epilogue, result: &result, result_plane };
    let (tasks, channels) = (plan.tasks(), sizes.result_channels / sizes.groups);
    // Few images: the result's channels are cut too, at the price of packing once more for each block of them.
    let blocks = TASKS.div_ceil((tasks * sizes.groups).max(1)).min(channels.div_ceil(BLOCK_ROWS));
    let block = channels.div_ceil(blocks).next_multiple_of(kernel.rows);
    let blocks = channels.div_ceil(block);
    (0..tasks * sizes.groups * blocks).into_par_iter().for_each(|number| {
        let (piece, task) = (number / tasks, number % tasks);
        let (group, first) = (piece / blocks, piece % blocks * block);
        let results = group * channels + first..group * channels + channels.min(first + block);
        work.task(group, results, &plan.task(task));
    });
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
    epilogue: Epilogue<'a>,
    result: &'a Shared,
    result_plane: usize,
}

thread_local! {
    static PIECES: Cell<Vec<Piece>> = const { Cell::new(Vec::new()) };
}

impl Work<'_> {
    /// Some of the result's channels, all of one group.
    fn task(&self, group: usize, results: Range<usize>, task: &Task) {
        with_scratch(|scratch| {
            let Correlation { source_channels, result_channels, groups } = self.sizes;
            let channels = source_channels / groups * group..source_channels / groups * (group + 1);
            let (source, image) =
                arranged(self.kernel, self.plan, task, self.source, source_channels, channels, scratch);
            let mut pieces = PIECES.take();
            for (phase, weights) in self.plan.phases.iter().zip(self.weights) {
                self.plan.pieces(phase, task, image, result_channels * self.result_plane, &mut pieces);
                let first = (task.images.start * result_channels + results.start) * self.result_plane;
                let count = pieces.last().map_or(0, |piece| piece.start + piece.len);
                let plane = count / task.images.len().max(1);
                let is_dense = task.images.len() == 1
                    && pieces.iter().all(|piece| piece.stride == 1 && piece.result == pieces[0].result + piece.start);
                let planes = Planes {
                    kernel: self.kernel,
                    result: self.result,
                    first,
                    plane: self.result_plane,
                    pieces: &pieces,
                    is_dense,
                };
                // Panels of one image are written in place; others of several images would be fuller.
                let span = if plane.is_multiple_of(self.kernel.lanes) { plane } else { count };
                let patches = Patches { source, offsets: &phase.offsets, pieces: &pieces, count, span };
                self.phase(phase, results.clone(), weights, &patches, &planes);
            }
            PIECES.set(pieces);
        });
    }

    fn phase(
        &self,
        phase: &PhasePlan,
        results: Range<usize>,
        weights: &[f32],
        patches: &Patches<'_>,
        planes: &Planes<'_>,
    ) {
        let depth = phase.offsets.len();
        if depth == 0 && self.epilogue.accumulate && self.epilogue.bias.is_none() {
            return;
        }
        let rows = Rows {
            values: &weights[results.start * depth..results.end * depth],
            offsets: Offsets::Even { count: results.len(), stride: depth },
            step: 1,
            depth: Depth::Straight(depth),
        };
        let epilogue = Epilogue { bias: self.epilogue.bias.map(|bias| &bias[results]), ..self.epilogue };
        // Rows of whole vectors are read in place.
        let is_packed = planes.pieces.first().is_some_and(|piece| piece.len % self.kernel.lanes != 0);
        if depth <= SHALLOW && is_packed {
            return multiply_shallow(self.kernel, &rows, patches, planes, epilogue);
        }
        multiply(self.kernel, &rows, patches, planes, epilogue);
    }
}

/// The matrix that im2col would write: step (channel, tap) of the reduction, one column per output position.
struct Patches<'a> {
    source: &'a [f32],
    offsets: &'a [u32],
    pieces: &'a [Piece],
    count: usize,
    span: usize,
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

impl Patches<'_> {
    /// Asserts that the segments lie in the source for every step.
    fn check(&self, segments: &[Segment], offsets: &[u32]) {
        let furthest = segments.iter().map(|segment| segment.source + segment.len).max().unwrap_or(0);
        let offset = operands::furthest(offsets).unwrap_or(0);
        assert!(furthest + offset <= self.source.len(), "a panel outside its source");
    }
}

impl Columns for Patches<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn span(&self) -> usize {
        self.span
    }

    fn in_place(&self, kernel: &Kernel, columns: Range<usize>, width: usize) -> Option<Panel<'_>> {
        let mut all = [Segment::default(); MAX_LANES * MAX_VECTORS];
        let segments = self.segments(columns, &mut all);
        self.check(segments, self.offsets);
        let vectors = whole_vectors(segments, kernel.lanes, width / kernel.lanes)?;
        Some(Panel::InPlace { source: self.source, vectors, offsets: self.offsets })
    }

    fn panel<'s>(
        &'s self,
        kernel: &Kernel,
        depth: Range<usize>,
        columns: Range<usize>,
        width: usize,
        space: &'s mut [f32],
    ) -> Panel<'s> {
        let offsets = &self.offsets[depth];
        let mut all = [Segment::default(); MAX_LANES * MAX_VECTORS];
        let segments = self.segments(columns, &mut all);
        self.check(segments, offsets);
        assert!(space.len() >= offsets.len() * width, "a panel outside its memory");
        let gather = Gather {
            source: self.source.as_ptr(),
            offsets,
            segments,
            vectors: width / kernel.lanes,
            packed: space.as_mut_ptr(),
        };
        // SAFETY: all places and the room were just checked.
        unsafe { (kernel.gather)(&gather) };
        Panel::Packed(space)
    }
}

/// Where each vector of a panel begins, if all are whole and contiguous.
fn whole_vectors(segments: &[Segment], lanes: usize, vectors: usize) -> Option<[usize; MAX_VECTORS]> {
    let mut places = [0; MAX_VECTORS];
    let mut count = 0;
    for segment in segments {
        if segment.len % lanes != 0 {
            return None;
        }
        for start in (0..segment.len).step_by(lanes) {
            places[count] = segment.source + start;
            count += 1;
        }
    }
    (count == vectors).then_some(places)
}

/// The result's planes: a row per channel, a column per position.
struct Planes<'a> {
    kernel: &'a Kernel,
    result: &'a Shared,
    first: usize,
    plane: usize,
    pieces: &'a [Piece],
    /// Whether the results of all columns lie side by side, as in most tasks.
    is_dense: bool,
}

impl Planes<'_> {
    /// The address of a result, after a check that `len` results `stride` apart lie in memory from there on.
    fn address(&self, row: usize, position: usize, len: usize, stride: usize) -> *mut f32 {
        let offset = self.first + row * self.plane + position;
        assert!(offset + (len - 1) * stride < self.result.len, "a result outside its memory");
        // SAFETY: just checked.
        unsafe { self.result.address.add(offset) }
    }

    fn place_at(&self, rows: Range<usize>, position: usize, width: usize) -> Place {
        self.address(rows.end - 1, position, width, 1);
        Place { address: self.address(rows.start, position, width, 1), stride: self.plane }
    }
}

impl Output for Planes<'_> {
    fn place(&self, rows: Range<usize>, columns: Range<usize>, width: usize) -> Option<Place> {
        // All results of a phase lie at one stride.
        if columns.len() != width || self.pieces[0].stride != 1 {
            return None;
        }
        if self.is_dense {
            return Some(self.place_at(rows, self.pieces[0].result + columns.start, width));
        }
        let first = self.pieces.partition_point(|piece| piece.start + piece.len <= columns.start);
        // Results often lie side by side where sources do not.
        let mut next = None;
        for piece in self.pieces[first..].iter().take_while(|piece| piece.start < columns.end) {
            if next.is_some_and(|next| next != piece.result) {
                return None;
            }
            next = Some(piece.result + piece.len);
        }
        Some(self.place_at(rows, self.pieces[first].result + columns.start - self.pieces[first].start, width))
    }

    fn store(&self, rows: Range<usize>, columns: Range<usize>, tile: &[f32], width: usize, accumulate: bool) {
        let first = self.pieces.partition_point(|piece| piece.start + piece.len <= columns.start);
        for piece in self.pieces[first..].iter().take_while(|piece| piece.start < columns.end) {
            let start = piece.start.max(columns.start);
            let len = columns.end.min(piece.start + piece.len) - start;
            let position = piece.result + (start - piece.start) * piece.stride;
            assert!((rows.len() - 1) * width + start - columns.start + len <= tile.len(), "values outside their tile");
            self.address(rows.end - 1, position, len, piece.stride);
            let spread = Spread {
                values: tile[start - columns.start..].as_ptr(),
                width,
                rows: rows.len(),
                count: len,
                result: self.address(rows.start, position, len, piece.stride),
                pitch: self.plane,
                step: piece.stride,
                accumulate,
            };
            // SAFETY: `address` checked the places, which are this task's own, the values were just checked.
            unsafe { (self.kernel.spread)(&spread) };
        }
    }
}
