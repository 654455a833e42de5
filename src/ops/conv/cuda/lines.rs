//! The axes of a product: which positions of the source its columns read, and where their results go.

use super::super::geometry::{Axis, Geometry};

/// Positions must stay below this, padding included.
const MOST_POSITIONS: usize = 0x4000;

/// The two axes of a convolution, outer first; none when it has more of consequence, or positions are too many.
pub(super) fn two_axes(geometry: &Geometry) -> Option<[Axis; 2]> {
    let plain = Axis { input: 1, kernel: 1, stride: 1, pad: 0, dilation: 1 };
    let is_pointwise = |axis: &Axis| axis.kernel == 1 && axis.stride == 1 && axis.pad == 0;
    let mut axes: Vec<Axis> =
        geometry.axes.iter().copied().filter(|axis| axis.input > 1 || !is_pointwise(axis)).collect();
    // Axes side by side along which nothing is done are one.
    while axes.len() > 2 {
        let pair = axes.windows(2).position(|pair| pair.iter().all(is_pointwise))?;
        axes[pair].input *= axes[pair + 1].input;
        axes.remove(pair + 1);
    }
    while axes.len() < 2 {
        axes.insert(0, plain);
    }
    let fits = |axis: &Axis| axis.input + 2 * axis.pad < MOST_POSITIONS && axis.extent() < MOST_POSITIONS;
    axes.iter().all(fits).then(|| [axes[0], axes[1]])
}

/// One axis of the columns of a product: which positions of the source they read, and where their results go.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub columns: usize,
    /// The source position of column 0 for a tap at distance 0, and how far neighbours are apart.
    pub first: isize,
    pub step: usize,
    pub source: usize,
    /// The same in the result.
    pub result_first: usize,
    pub result_step: usize,
    pub result: usize,
    /// Taps: their index in the kernel, and their distance.
    pub taps: Vec<(usize, isize)>,
    pub kernel: usize,
}

pub(super) fn forward_line(axis: &Axis) -> Line {
    let outputs = axis.output().unwrap_or(0);
    Line {
        columns: outputs,
        first: -(axis.pad as isize),
        step: axis.stride,
        source: axis.input,
        result_first: 0,
        result_step: 1,
        result: outputs,
        taps: (0..axis.kernel).map(|tap| (tap, (tap * axis.dilation) as isize)).collect(),
        kernel: axis.kernel,
    }
}

/// The gradient of the source: positions of one remainder by the stride see the same taps; see `geometry.rs`.
pub(super) fn backward_lines(axis: &Axis) -> Vec<Line> {
    let Axis { input, kernel, stride, pad, dilation } = *axis;
    let line = |remainder: usize| {
        let begin = pad.saturating_sub(remainder).div_ceil(stride);
        let end = (input + pad).saturating_sub(remainder).div_ceil(stride);
        Line {
            columns: end.saturating_sub(begin),
            first: begin as isize,
            step: 1,
            source: axis.output().unwrap_or(0),
            result_first: (begin * stride + remainder).saturating_sub(pad),
            result_step: stride,
            result: input,
            taps: (0..kernel)
                .filter(|tap| tap * dilation % stride == remainder)
                .map(|tap| (tap, -((tap * dilation / stride) as isize)))
                .collect(),
            kernel,
        }
    };
    // Strides may be far larger than the source: only the remainders that a position has.
    let remainders = (0..input.min(stride)).map(|position| (position + pad) % stride);
    remainders.map(line).filter(|line| line.columns > 0).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every source position collects exactly the outputs that read it.
        #[test]
        fn backward_collects_from_every_reader(
            (input, kernel, stride, pad, dilation) in (1usize..20, 1usize..6, 1usize..5, 0usize..7, 1usize..4)
        ) {
            let axis = Axis { input, kernel, stride, pad, dilation };
            let Some(outputs) = axis.output() else { return Ok(()) };
            let mut seen = Vec::new();
            for line in backward_lines(&axis) {
                for column in 0..line.columns {
                    let input = line.result_first + column * line.result_step;
                    prop_assert!(input < axis.input);
                    for (tap, distance) in &line.taps {
                        let output = line.first + (column * line.step) as isize + distance;
                        if (0..outputs as isize).contains(&output) {
                            seen.push((output as usize, *tap, input));
                        }
                    }
                }
            }
            seen.sort_unstable();
            let mut expected = Vec::new();
            for output in 0..outputs {
                for tap in 0..kernel {
                    let input = (output * stride + tap * dilation) as isize - pad as isize;
                    if (0..axis.input as isize).contains(&input) {
                        expected.push((output, tap, input as usize));
                    }
                }
            }
            expected.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn axes_without_consequence_go() {
        let axis = |input, kernel| Axis { input, kernel, stride: 1, pad: 0, dilation: 1 };
        let geometry = |axes: &[Axis]| Geometry { images: 1, channels: 1, outputs: 1, groups: 1, axes: axes.to_vec() };
        assert_eq!(two_axes(&geometry(&[axis(7, 3)])), Some([axis(1, 1), axis(7, 3)]));
        assert_eq!(two_axes(&geometry(&[axis(4, 1), axis(5, 1), axis(7, 3)])), Some([axis(20, 1), axis(7, 3)]));
        assert_eq!(two_axes(&geometry(&[axis(1, 1), axis(5, 2), axis(7, 3)])), Some([axis(5, 2), axis(7, 3)]));
        assert_eq!(two_axes(&geometry(&[axis(4, 1), axis(5, 2), axis(7, 3)])), None);
        assert_eq!(two_axes(&geometry(&[axis(70_000, 1)])), None);
    }
}
