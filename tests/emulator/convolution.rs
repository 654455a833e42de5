//! A convolution over two axes, by its definition.

use crate::{
    card::{self, note, trace},
    descriptors::{Thing, filter, tensor, thing},
    faults,
};

/// Which of the three arrays is computed from the other two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Direction {
    Forward,
    Bottom,
    Weights,
}

/// A convolution that is queued.
#[derive(Clone)]
pub struct Convolution {
    direction: Direction,
    input: [usize; 4],
    filter: [usize; 4],
    output: [usize; 4],
    pad: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
    /// Where input, filters and output lie.
    pub places: [usize; 3],
    pub workspace: (usize, usize),
    pub factors: [f32; 2],
}

impl Convolution {
    /// Puts the descriptors together, if they fit.
    pub fn new(direction: Direction, input: usize, weights: usize, output: usize, convolution: usize) -> Option<Self> {
        let Thing::Convolution { pad, stride, dilation, groups } = thing(convolution)? else { return None };
        let (input, filter, output) = (tensor(input)?, filter(weights)?, tensor(output)?);
        let extent =
            |axis: usize| (input[axis + 2] + 2 * pad[axis]).checked_sub(dilation[axis] * (filter[axis + 2] - 1) + 1);
        let expected = |axis: usize| Some(extent(axis)? / stride[axis] + 1);
        let fits = input[0] == output[0]
            && input[1] == filter[1] * groups
            && output[1] == filter[0]
            && filter[0].is_multiple_of(groups)
            && expected(0) == Some(output[2])
            && expected(1) == Some(output[3]);
        if !fits {
            note(&format!("cuDNN: input {input:?}, filters {filter:?}, output {output:?}, {groups} groups do not fit"));
            return None;
        }
        let (places, workspace, factors) = ([0; 3], (0, 0), [1.0, 0.0]);
        Some(Convolution {
            direction,
            input,
            filter,
            output,
            pad,
            stride,
            dilation,
            groups,
            places,
            workspace,
            factors,
        })
    }

    /// Runs it, here and now.
    pub fn run(&self) {
        trace(|| format!("convolution ({:?}) of {:?} and {:?}", self.direction, self.input, self.filter));
        let counts = [self.input, self.filter, self.output].map(|sizes| sizes.iter().product::<usize>());
        for (place, count) in self.places.into_iter().zip(counts) {
            self.check(place, 4 * count);
        }
        let (workspace, bytes) = self.workspace;
        self.check(workspace, bytes);
        // An algorithm that lacks workspace, or takes a neighbour's, is found by what it leaves there.
        unsafe { std::ptr::write_bytes(workspace as *mut u8, 0xff, bytes) };
        let array = |at: usize| unsafe { std::slice::from_raw_parts(self.places[at] as *const f32, counts[at]) };
        let target = match self.direction {
            Direction::Bottom => 0,
            Direction::Weights => 1,
            Direction::Forward => 2,
        };
        let mut sums = vec![0.0_f32; counts[target]];
        self.visit(|places| {
            let [a, b] = match self.direction {
                Direction::Forward => [array(0)[places[0]], array(1)[places[1]]],
                Direction::Bottom => [array(1)[places[1]], array(2)[places[2]]],
                Direction::Weights => [array(0)[places[0]], array(2)[places[2]]],
            };
            sums[places[target]] += a * b;
        });
        let result = unsafe { std::slice::from_raw_parts_mut(self.places[target] as *mut f32, counts[target]) };
        let [alpha, beta] = self.factors;
        for (result, sum) in result.iter_mut().zip(sums) {
            *result = alpha * sum + if beta == 0.0 { 0.0 } else { beta * *result };
        }
    }

    fn check(&self, place: usize, bytes: usize) {
        let memory = &card::without_lock().memory;
        if bytes > 0 && !memory.holds(place, bytes) {
            faults::fail(&format!("a convolution: {bytes} bytes at {place:#x}, {}", memory.describe(place)));
        }
    }

    /// All products: the places of their value of the input, of the filters and of the output.
    fn visit(&self, mut each: impl FnMut([usize; 3])) {
        let ([_, channels, height, width], [_, deep, rows, columns], [images, outputs, down, across]) =
            (self.input, self.filter, self.output);
        let inside = |at: usize, tap: usize, axis: usize, extent: usize| {
            (at * self.stride[axis] + tap * self.dilation[axis])
                .checked_sub(self.pad[axis])
                .filter(|&place| place < extent)
        };
        for (image, output) in (0..images).flat_map(|image| (0..outputs).map(move |output| (image, output))) {
            let group = output / (outputs / self.groups);
            for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                let to = ((image * outputs + output) * down + y) * across + x;
                for (tap_y, tap_x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                    let Some((row, column)) = inside(y, tap_y, 0, height).zip(inside(x, tap_x, 1, width)) else {
                        continue;
                    };
                    for channel in 0..deep {
                        let from = ((image * channels + group * deep + channel) * height + row) * width + column;
                        let tap = ((output * deep + channel) * rows + tap_y) * columns + tap_x;
                        each([from, tap, to]);
                    }
                }
            }
        }
    }
}
