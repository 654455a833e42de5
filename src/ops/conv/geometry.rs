//! Sizes of a convolution, and the grid that turns any stride, padding and dilation into plain offsets.
//!
//! Along one axis a convolution reads position `o·stride + k·dilation - pad` of its source for output `o` and tap `k`. With
//! `k·dilation = q·stride + r` that is `(o + q)·stride + r - pad`: of the source's every `stride`-th value, beginning at
//! `r - pad`, the one at `o + q`. A [`Grid`] copies the source so that the values of each remainder `r` (each *part*) lie
//! together, with zeros where the padding is. In this copy every tap is a constant offset and neighbouring outputs are
//! neighbours, so the matrix that im2col would write is `copy[tap offset + output offset]`, and nothing needs to write it.
//!
//! The gradient of the source has the same form: source position `c·stride + r - pad` collects tap `q·stride + r` from
//! output `c - q`, one [`Phase`] for each remainder, so that no multiplication is by a zero between strides.

use std::ops::Range;

/// One spatial axis of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Extent of the source.
    pub input: usize,
    /// Taps of the kernel.
    pub kernel: usize,
    /// Distance between outputs.
    pub stride: usize,
    /// Zeros before and after the source.
    pub pad: usize,
    /// Distance between taps.
    pub dilation: usize,
}

impl Axis {
    /// The source positions that one output covers: `dilation · (kernel - 1) + 1`.
    pub fn extent(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// The outputs along this axis: `⌊(input + 2·pad - extent) / stride⌋ + 1`; none when the kernel does not fit.
    pub fn output(&self) -> Option<usize> {
        Some((self.input + 2 * self.pad).checked_sub(self.extent())? / self.stride + 1)
    }

    /// Takes a shorter stride or dilation where none but the first output or tap is: the result is the same, and the tables
    /// that are as long as the stride stay short.
    pub(super) fn shorten(&mut self) {
        if self.kernel == 1 {
            self.dilation = 1;
        }
        if self.output() == Some(1) {
            self.stride = self.input + 2 * self.pad - self.extent() + 1;
        }
    }
}

/// The sizes of a convolution of N×C×(spatial axes) to N×M×(outputs along each axis).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    /// N, the images.
    pub images: usize,
    /// C, the channels of the source.
    pub channels: usize,
    /// M, the channels of the result.
    pub outputs: usize,
    /// Groups of channels that do not see each other; divides both.
    pub groups: usize,
    /// The spatial axes, outermost first; every kernel fits.
    pub axes: Vec<Axis>,
}

impl Geometry {
    /// Positions of a source channel.
    pub fn input_plane(&self) -> usize {
        self.axes.iter().map(|axis| axis.input).product()
    }

    /// Positions of a result channel.
    pub fn output_plane(&self) -> usize {
        self.axes.iter().map(|axis| axis.output().unwrap_or(0)).product()
    }

    /// Taps of the kernel.
    pub fn taps(&self) -> usize {
        self.axes.iter().map(|axis| axis.kernel).product()
    }

    /// Weights of one output: channels of a group times taps.
    pub fn fan_in(&self) -> usize {
        self.channels / self.groups * self.taps()
    }
}

/// One axis of a [`Grid`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GridAxis {
    /// Extent of the source.
    pub source: usize,
    /// Distance of the source positions that lie side by side in the copy.
    pub stride: usize,
    /// The source position at which each part begins; outside the source are zeros.
    pub firsts: Vec<isize>,
    /// Columns along this axis: positions that a tap can be moved to.
    pub count: usize,
    /// How much longer a part is than `count`.
    pub reach: usize,
}

/// One tap along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tap {
    /// Its index in the kernel.
    pub kernel: usize,
    /// The part it reads.
    pub part: usize,
    /// How far into the part column 0 reads.
    pub shift: usize,
}

/// One axis of a [`Phase`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PhaseAxis {
    /// The columns that exist.
    pub columns: Range<usize>,
    /// The taps that take part.
    pub taps: Vec<Tap>,
    /// All taps of the kernel along this axis.
    pub kernel: usize,
    /// The result position of column 0 (which need not exist).
    pub first: isize,
    /// The distance of the result positions of consecutive columns.
    pub stride: usize,
    /// Extent of the result.
    pub extent: usize,
}

/// How a source is laid out for a correlation: see the file's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    pub axes: Vec<GridAxis>,
}

/// A set of result positions that see the same taps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phase {
    pub axes: Vec<PhaseAxis>,
}

impl Grid {
    /// Whether the copy would be the source itself.
    pub fn is_source(&self) -> bool {
        self.axes.iter().all(|axis| axis.stride == 1 && axis.firsts == [0] && axis.count + axis.reach == axis.source)
    }
}

/// The grid and the one phase of the forward direction.
pub(super) fn forward(geometry: &Geometry) -> (Grid, Phase) {
    let (grid, phase) = geometry.axes.iter().map(forward_axis).unzip();
    (Grid { axes: grid }, Phase { axes: phase })
}

fn forward_axis(axis: &Axis) -> (GridAxis, PhaseAxis) {
    let outputs = axis.output().unwrap_or(0);
    let mut remainders: Vec<usize> = (0..axis.kernel).map(|tap| tap * axis.dilation % axis.stride).collect();
    remainders.sort_unstable();
    remainders.dedup();
    let part = |tap: usize| remainders.iter().position(|&r| r == tap * axis.dilation % axis.stride).unwrap_or(0);
    let taps = (0..axis.kernel)
        .map(|tap| Tap { kernel: tap, part: part(tap), shift: tap * axis.dilation / axis.stride })
        .collect();
    let grid = GridAxis {
        source: axis.input,
        stride: axis.stride,
        firsts: remainders.iter().map(|&r| r as isize - axis.pad as isize).collect(),
        count: outputs,
        reach: (axis.kernel - 1) * axis.dilation / axis.stride,
    };
    (grid, PhaseAxis { columns: 0..outputs, taps, kernel: axis.kernel, first: 0, stride: 1, extent: outputs })
}

/// The grid of the result's gradient, and the phases of the source's gradient.
pub(super) fn backward(geometry: &Geometry) -> (Grid, Vec<Phase>) {
    let mut grid = Vec::new();
    let mut phases = vec![Vec::new()];
    for axis in &geometry.axes {
        let (grid_axis, phase_axes) = backward_axis(axis);
        grid.push(grid_axis);
        phases = phases
            .iter()
            .flat_map(|outer: &Vec<PhaseAxis>| {
                phase_axes.iter().map(move |phase| [outer.as_slice(), std::slice::from_ref(phase)].concat())
            })
            .collect();
    }
    (Grid { axes: grid }, phases.into_iter().map(|axes| Phase { axes }).collect())
}

fn backward_axis(axis: &Axis) -> (GridAxis, Vec<PhaseAxis>) {
    let (stride, pad) = (axis.stride, axis.pad);
    let reach = (axis.kernel - 1) * axis.dilation / stride;
    // Source position i is column (i + pad) / stride; counted from the first column that exists.
    let (lowest, highest) = (pad / stride, (axis.input + pad - 1) / stride);
    let grid = GridAxis {
        source: axis.output().unwrap_or(0),
        stride: 1,
        firsts: vec![lowest as isize - reach as isize],
        count: highest - lowest + 1,
        reach,
    };
    // Strides may be far larger than the source: only the remainders that a position has.
    let mut remainders: Vec<usize> = (0..axis.input.min(stride)).map(|position| (position + pad) % stride).collect();
    remainders.sort_unstable();
    let phases = remainders.into_iter().map(|remainder| {
        let begin = pad.saturating_sub(remainder).div_ceil(stride);
        let end = (axis.input + pad - remainder.min(axis.input + pad)).div_ceil(stride);
        let taps = (0..axis.kernel).filter(|tap| tap * axis.dilation % stride == remainder);
        PhaseAxis {
            columns: begin - lowest..end.max(begin) - lowest,
            taps: taps.map(|tap| Tap { kernel: tap, part: 0, shift: reach - tap * axis.dilation / stride }).collect(),
            kernel: axis.kernel,
            first: (lowest * stride + remainder) as isize - pad as isize,
            stride,
            extent: axis.input,
        }
    });
    (grid, phases.filter(|phase| !phase.columns.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axes() -> impl Strategy<Value = Axis> {
        (1usize..20, 1usize..6, 1usize..5, 0usize..7, 1usize..4)
            .prop_map(|(input, kernel, stride, pad, dilation)| Axis { input, kernel, stride, pad, dilation })
            .prop_filter("the kernel fits", |axis| axis.output().is_some())
    }

    /// The source position that a part holds at an index.
    fn position(grid: &GridAxis, part: usize, index: usize) -> isize {
        assert!(index < grid.count + grid.reach, "{index} outside {grid:?}");
        grid.firsts[part] + (index * grid.stride) as isize
    }

    proptest! {
        /// Every output reads, for every tap, what the definition says.
        #[test]
        fn forward_reads_what_the_definition_says(axis in axes()) {
            let (grid, phase) = forward_axis(&axis);
            prop_assert_eq!(phase.taps.len(), axis.kernel);
            for tap in &phase.taps {
                for output in phase.columns.clone() {
                    let expected = (output * axis.stride + tap.kernel * axis.dilation) as isize - axis.pad as isize;
                    prop_assert_eq!(position(&grid, tap.part, output + tap.shift), expected);
                }
            }
        }

        /// Every source position collects exactly the outputs that read it.
        #[test]
        fn backward_collects_from_every_reader(axis in axes()) {
            let (grid, phases) = backward_axis(&axis);
            let outputs = axis.output().unwrap() as isize;
            let mut seen = Vec::new();
            for phase in &phases {
                for column in phase.columns.clone() {
                    let input = phase.first + (column * phase.stride) as isize;
                    for tap in &phase.taps {
                        let output = position(&grid, tap.part, column + tap.shift);
                        if (0..outputs).contains(&output) {
                            seen.push((output, tap.kernel, input));
                        }
                    }
                }
            }
            let mut expected = Vec::new();
            for output in 0..outputs {
                for tap in 0..axis.kernel {
                    let input = output * axis.stride as isize + (tap * axis.dilation) as isize - axis.pad as isize;
                    if (0..axis.input as isize).contains(&input) {
                        expected.push((output, tap, input));
                    }
                }
            }
            seen.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
