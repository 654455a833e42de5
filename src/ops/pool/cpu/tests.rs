//! Each way of computing against the definition: value after value, in Caffe's order.

use proptest::prelude::*;

use super::{
    super::{Axis, Mask, layout::Layout},
    *,
};
#[cfg(target_arch = "x86_64")]
use crate::ops::pool::rows;

/// What all poolings of some planes and their gradients give.
struct Results {
    y: Vec<f32>,
    mask: Vec<u8>,
    dx: Vec<f32>,
    mean: Vec<f32>,
    mean_dx: Vec<f32>,
}

impl Results {
    /// Room for the results, with something in it that none of them is.
    fn new(geometry: &Geometry) -> Self {
        let inputs = vec![7.0; geometry.planes * geometry.input_plane()];
        let outputs = vec![7.0; geometry.planes * geometry.output_plane()];
        let mask = vec![Mask::NO_PLACE - 1; outputs.len()];
        Results { y: outputs.clone(), mask, dx: inputs.clone(), mean: outputs, mean_dx: inputs }
    }
}

/// What poolings read.
struct Operands {
    /// Of MAX: with some that are no numbers.
    x: Vec<f32>,
    /// Of AVE.
    finite: Vec<f32>,
    dy: Vec<f32>,
}

impl Operands {
    fn new(geometry: &Geometry, seed: usize) -> Self {
        let x = values(geometry.planes * geometry.input_plane(), seed);
        let dy = values(geometry.planes * geometry.output_plane(), seed + 1);
        let [finite, dy] = [&x, &dy].map(|values| values.iter().map(|value| value.max(-3.0)).collect());
        Operands { x, finite, dy }
    }
}

/// Few values, so that many are equal, and some that are no numbers.
fn values(count: usize, seed: usize) -> Vec<f32> {
    let value = |place: usize| match (place * 7919 + seed * 104_729) % 23 {
        0 => f32::NAN,
        1..4 => f32::NEG_INFINITY,
        4 => -0.0,
        number => (number % 5) as f32 * 0.37,
    };
    (0..count).map(value).collect()
}

/// The values of an output's window in scan order, each as its place in the window and its index in the plane, and what a mean
/// divides by.
fn window_of(geometry: &Geometry, output: usize) -> (Vec<(u8, usize)>, f32) {
    let Geometry { height, width, .. } = *geometry;
    let span = |axis: Axis, position: usize| {
        let start = (position * axis.stride) as isize - axis.pad as isize;
        start..(start + axis.kernel as isize).min((axis.input + axis.pad) as isize)
    };
    let (rows, columns) = (span(height, output / width.output), span(width, output % width.output));
    let mut values = Vec::new();
    for row in rows.clone() {
        for column in columns.clone() {
            if (0..height.input as isize).contains(&row) && (0..width.input as isize).contains(&column) {
                let place = (row - rows.start) * width.kernel as isize + column - columns.start;
                values.push((place as u8, row as usize * width.input + column as usize));
            }
        }
    }
    (values, ((rows.end - rows.start) * (columns.end - columns.start)) as f32)
}

/// All poolings as they are defined, and the indices of MAX in their planes.
fn definition(geometry: &Geometry, operands: &Operands) -> (Results, Vec<u32>) {
    let (mut results, mut indices) = (Results::new(geometry), Vec::new());
    results.dx.fill(0.0);
    results.mean_dx.fill(0.0);
    for output in 0..results.y.len() {
        let plane = output / geometry.output_plane() * geometry.input_plane();
        let (window, size) = window_of(geometry, output % geometry.output_plane());
        let (mut best, mut at, mut sum) = (-f32::MAX, (Mask::NO_PLACE, Mask::NONE), 0.0);
        for &(place, index) in &window {
            if operands.x[plane + index] > best {
                (best, at) = (operands.x[plane + index], (place, index as u32));
            }
            sum += operands.finite[plane + index];
            results.mean_dx[plane + index] += operands.dy[output] / size;
        }
        if at.1 != Mask::NONE {
            results.dx[plane + at.1 as usize] += operands.dy[output];
        }
        (results.y[output], results.mask[output], results.mean[output]) = (best, at.0, sum / size);
        indices.push(at.1);
    }
    (results, indices)
}

/// A way of computing all poolings where windows have a place for each byte.
struct Way {
    name: &'static str,
    max_forward: fn(&Geometry, &[f32], &mut [f32], &mut [u8]),
    max_backward: fn(&Geometry, &[f32], &[u8], &mut [f32]),
    average_forward: fn(&Geometry, &[f32], &mut [f32]),
    average_backward: fn(&Geometry, &[f32], &mut [f32]),
    /// Whether a mean sums up the values of its window in scan order, in one sum.
    is_in_order: bool,
}

/// The ways that there are for these windows.
fn ways(geometry: &Geometry) -> Vec<Way> {
    #[cfg(target_arch = "x86_64")]
    let by_rows = rows::suit(geometry).then_some(Way {
        name: "row by row",
        max_forward: rows::max_forward,
        max_backward: rows::max_backward,
        average_forward: rows::average_forward,
        average_backward: rows::average_backward,
        is_in_order: true,
    });
    #[cfg(not(target_arch = "x86_64"))]
    let by_rows: Option<Way> = None;
    let by_tasks = Way {
        name: "by tasks",
        max_forward: max::max_forward_task,
        max_backward: max::max_backward_task,
        average_forward: average::average_forward_task,
        average_backward: average::average_backward_task,
        // Window by window, `windows.rs` has several sums side by side.
        is_in_order: Layout::new(geometry).is_some(),
    };
    let as_called = Way {
        name: "as called",
        max_forward,
        max_backward,
        average_forward,
        average_backward,
        is_in_order: by_rows.is_some() || by_tasks.is_in_order,
    };
    by_rows.into_iter().chain([by_tasks, as_called]).collect()
}

impl Way {
    fn compute(&self, geometry: &Geometry, operands: &Operands) -> Results {
        let mut results = Results::new(geometry);
        let Results { y, mask, dx, mean, mean_dx } = &mut results;
        (self.max_forward)(geometry, &operands.x, y, mask);
        (self.max_backward)(geometry, &operands.dy, mask, dx);
        (self.average_forward)(geometry, &operands.finite, mean);
        (self.average_backward)(geometry, &operands.dy, mean_dx);
        results
    }
}

fn assert_same_bits(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len());
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(got.to_bits() == want.to_bits(), "{what}[{index}]: {got:?} for {want:?}");
    }
}

fn assert_near(got: &[f32], want: &[f32], what: &str) {
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        // A window without values has the mean 0 / 0.
        let is_near = got.is_nan() && want.is_nan() || (got - want).abs() <= 1e-6;
        assert!(is_near, "{what}[{index}]: {got} for {want}");
    }
}

fn check(geometry: &Geometry, seed: usize) {
    let operands = Operands::new(geometry, seed);
    let (want, _) = definition(geometry, &operands);
    for way in ways(geometry) {
        let got = way.compute(geometry, &operands);
        let what = |what: &str| format!("{what} {} of {geometry:?}", way.name);
        assert_same_bits(&got.y, &want.y, &what("maxima"));
        assert_eq!(got.mask, want.mask, "{}", what("places"));
        assert_same_bits(&got.dx, &want.dx, &what("gradients of maxima"));
        let near_or_same = if way.is_in_order { assert_same_bits } else { assert_near };
        near_or_same(&got.mean, &want.mean, &what("means"));
        assert_same_bits(&got.mean_dx, &want.mean_dx, &what("gradients of means"));
    }
}

fn axes() -> impl Strategy<Value = (Axis, Axis)> {
    let axis = |most: usize| {
        (1..most, 1_usize..8, 1_usize..4, 0_usize..7).prop_map(|(input, kernel, stride, pad)| {
            let pad = pad % kernel;
            let kernel = kernel.min(input + 2 * pad);
            let pad = pad.min(kernel - 1);
            // Some windows stick out, some begin behind the plane.
            let output = (input + 2 * pad).saturating_sub(kernel).div_ceil(stride) + 1;
            Axis { input, output, kernel, stride, pad }
        })
    };
    (axis(12), axis(70))
}

#[test]
fn windows_almost_as_large_as_their_plane_are_summed_up_either_way() {
    let height = Axis { input: 2, output: 1, kernel: 2, stride: 1, pad: 0 };
    let width = Axis { input: 9, output: 4, kernel: 6, stride: 1, pad: 0 };
    check(&Geometry { planes: 2, height, width }, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_way_follows_the_definition((height, width) in axes(), seed in 0_usize..1000) {
        check(&Geometry { planes: 2, height, width }, seed);
    }

    /// A byte for the place in a window and an index in the plane are two names of a value.
    #[test]
    fn places_and_indices_are_the_same((height, width) in axes(), seed in 0_usize..1000) {
        let geometry = Geometry { planes: 2, height, width };
        let operands = Operands::new(&geometry, seed);
        let (want, indices) = definition(&geometry, &operands);
        let (mut got, mut large) = (Results::new(&geometry), vec![0; indices.len()]);
        max_forward_large(&geometry, &operands.x, &mut got.y, &mut large);
        backward_by_index(&geometry, &operands.dy, &large, &mut got.dx);
        assert_same_bits(&got.y, &want.y, "maxima");
        assert_same_bits(&got.dx, &want.dx, "gradients");
        prop_assert_eq!(&large, &indices);
        write_indices(&large, &mut got.y);
        write_mask(&geometry, &want.mask, &mut got.mean);
        let numbers: Vec<f32> = indices.iter().map(|&index| if index == Mask::NONE { -1.0 } else { index as f32 }).collect();
        prop_assert_eq!(&got.y, &numbers);
        prop_assert_eq!(&got.mean, &numbers);
    }
}
