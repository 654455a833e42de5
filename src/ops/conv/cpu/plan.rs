//! How a correlation is cut into tasks, and the offsets every task reads and writes at.

use std::ops::Range;

use super::super::geometry::{Grid, GridAxis, Phase, PhaseAxis};

/// Columns a task should have: enough to use a packed panel well, few enough to stay in the second-level cache.
const TASK_COLUMNS: usize = 1024;

/// Columns that images are put together to have, even if that leaves few tasks.
const LEAST_COLUMNS: usize = 192;

/// The tasks there should be, for any machine's cores.
pub(super) const TASKS: usize = 64;

/// Where a source plane's values lie for one task: in the source itself, or in a copy arranged for one band.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Whether the source is read in place.
    pub in_place: bool,
    /// Distance between positions along each axis.
    strides: Vec<usize>,
    /// Length of a part along each axis.
    pub lengths: Vec<usize>,
    /// Values of one channel.
    pub plane: usize,
}

/// A correlation cut into tasks: image groups times bands of columns along the first axis.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub grid: Grid,
    pub layout: Layout,
    pub phases: Vec<PhasePlan>,
    images: usize,
    /// Images of a task, so that all threads find one.
    images_per_task: usize,
    /// Images that fill a task, however few tasks that leaves.
    images_at_most: usize,
    band: usize,
}

/// A phase with its offsets.
#[derive(Debug, Clone)]
pub(super) struct PhasePlan {
    pub phase: Phase,
    /// Where each tap of each channel of a group reads for column 0.
    pub offsets: Vec<u32>,
    /// The taps' indices in the kernel, in the order of the offsets.
    pub taps: Vec<usize>,
    /// Distance between result positions along each axis.
    strides: Vec<usize>,
    /// Values of one result channel.
    pub plane: usize,
}

/// What one task covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub images: Range<usize>,
    pub band: Range<usize>,
}

/// Neighbouring columns: they read and write at neighbouring places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// The first column's number within the task.
    pub start: usize,
    /// How many.
    pub len: usize,
    /// Where the first column reads, relative to the task's first image.
    pub source: usize,
    /// Where the first column writes, relative to the task's first image.
    pub result: usize,
    /// The distance between results.
    pub stride: usize,
}

impl Plan {
    /// A plan for a source of so many images, and so many channels in each group.
    pub fn new(images: usize, channels: usize, grid: Grid, phases: Vec<Phase>) -> Self {
        let counts: Vec<usize> = grid.axes.iter().map(|axis| axis.count).collect();
        let (rows, columns) = (counts[0], counts.iter().product::<usize>().max(1));
        let tasks_per_image = columns.div_ceil(TASK_COLUMNS).min(rows.max(1));
        let images_at_most = (TASK_COLUMNS / columns).clamp(1, images.max(1));
        let images_at_least = LEAST_COLUMNS.div_ceil(columns).min(images_at_most);
        let images_per_task = images.div_ceil(TASKS).clamp(images_at_least, images_at_most);
        let band = rows.div_ceil(tasks_per_image).max(1);
        let layout = Layout::new(&grid, band);
        let phases = phases.into_iter().map(|phase| PhasePlan::new(phase, &layout, channels)).collect();
        Plan { grid, layout, phases, images, images_per_task, images_at_most, band }
    }

    fn bands(&self) -> usize {
        self.grid.axes[0].count.div_ceil(self.band)
    }

    /// The number of tasks.
    pub fn tasks(&self) -> usize {
        self.images.div_ceil(self.images_per_task) * self.bands()
    }

    /// A task by number.
    pub fn task(&self, number: usize) -> Task {
        let (group, band) = (number / self.bands(), number % self.bands());
        let image = group * self.images_per_task;
        let row = band * self.band;
        Task {
            images: image..self.images.min(image + self.images_per_task),
            band: row..self.grid.axes[0].count.min(row + self.band),
        }
    }

    /// The products for each channel of an image.
    pub fn products(&self) -> usize {
        let columns = |phase: &PhasePlan| phase.phase.axes.iter().map(|axis| axis.columns.len()).product::<usize>();
        self.phases.iter().map(|phase| columns(phase) * phase.taps.len()).sum()
    }

    /// The number of units that a reduction over all columns can be cut into: images, or bands of them.
    pub fn units(&self) -> usize {
        self.images * self.bands()
    }

    /// The tasks of a range of units, each as large as can be.
    pub fn tasks_of(&self, units: Range<usize>) -> impl Iterator<Item = Task> {
        let bands = self.bands();
        let step = if bands == 1 { self.images_at_most } else { 1 };
        units.clone().step_by(step).map(move |unit| {
            let (image, row) = (unit / bands, unit % bands * self.band);
            let end = if bands == 1 { units.end.min(unit + step) } else { image + 1 };
            Task { images: image..end, band: row..self.grid.axes[0].count.min(row + self.band) }
        })
    }

    /// The columns of a task as pieces; `source_image` and `result_image` are the distances between images.
    pub fn pieces(
        &self,
        phase: &PhasePlan,
        task: &Task,
        source_image: usize,
        result_image: usize,
        pieces: &mut Vec<Piece>,
    ) {
        pieces.clear();
        for image in 0..task.images.len() {
            let axis = &phase.phase.axes[0];
            let columns = axis.columns.start.max(task.band.start)..axis.columns.end.min(task.band.end);
            let skip = if self.layout.in_place { 0 } else { task.band.start };
            let walk = Walk { layout: &self.layout, phase };
            walk.axis(0, columns, skip, image * source_image, (image * result_image) as isize, pieces);
        }
    }
}

/// Goes over the columns of one image.
struct Walk<'a> {
    layout: &'a Layout,
    phase: &'a PhasePlan,
}

impl Walk<'_> {
    fn axis(
        &self,
        depth: usize,
        columns: Range<usize>,
        skip: usize,
        source: usize,
        result: isize,
        pieces: &mut Vec<Piece>,
    ) {
        let axes = &self.phase.phase.axes;
        let axis: &PhaseAxis = &axes[depth];
        let result_at = |column: usize| {
            result + (axis.first + (column * axis.stride) as isize) * self.phase.strides[depth] as isize
        };
        if depth + 1 < axes.len() {
            for column in columns {
                let source = source + (column - skip) * self.layout.strides[depth];
                self.axis(depth + 1, axes[depth + 1].columns.clone(), 0, source, result_at(column), pieces);
            }
        } else if !columns.is_empty() {
            let start = pieces.last().map_or(0, |piece| piece.start + piece.len);
            let source = source + (columns.start - skip);
            let piece = Piece {
                start,
                len: columns.len(),
                source,
                // The first column that exists writes inside the result.
                result: result_at(columns.start) as usize,
                stride: axis.stride,
            };
            match pieces.last_mut() {
                Some(last) if last.is_followed_by(&piece) => last.len += piece.len,
                _ => pieces.push(piece),
            }
        }
    }
}

impl Piece {
    fn is_followed_by(&self, next: &Piece) -> bool {
        self.stride == next.stride
            && self.source + self.len == next.source
            && self.result + self.len * self.stride == next.result
    }
}

impl Layout {
    fn new(grid: &Grid, band: usize) -> Self {
        let in_place = grid.is_source();
        let length = |(depth, axis): (usize, &GridAxis)| {
            let count = if depth == 0 && !in_place { band } else { axis.count };
            count + axis.reach
        };
        let lengths: Vec<usize> = grid.axes.iter().enumerate().map(length).collect();
        let sizes: Vec<usize> =
            grid.axes.iter().zip(&lengths).map(|(axis, length)| axis.firsts.len() * length).collect();
        Layout { in_place, strides: strides(&sizes), lengths, plane: sizes.iter().product() }
    }
}

impl PhasePlan {
    fn new(phase: Phase, layout: &Layout, channels: usize) -> Self {
        let mut taps = vec![(0, 0)];
        for (depth, axis) in phase.axes.iter().enumerate() {
            taps = taps
                .iter()
                .flat_map(|&(offset, index)| {
                    axis.taps.iter().map(move |tap| {
                        let place = tap.part * layout.lengths[depth] + tap.shift;
                        (offset + place * layout.strides[depth], index * axis.kernel + tap.kernel)
                    })
                })
                .collect();
        }
        let offsets = (0..channels)
            .flat_map(|channel| taps.iter().map(move |(offset, _)| (channel * layout.plane + offset) as u32))
            .collect();
        let taps = taps.into_iter().map(|(_, index)| index).collect();
        let extents: Vec<usize> = phase.axes.iter().map(|axis| axis.extent).collect();
        PhasePlan { offsets, taps, strides: strides(&extents), plane: extents.iter().product(), phase }
    }
}

/// Distances between positions along each axis of an array of these extents.
fn strides(extents: &[usize]) -> Vec<usize> {
    (0..extents.len()).map(|axis| extents[axis + 1..].iter().product()).collect()
}
