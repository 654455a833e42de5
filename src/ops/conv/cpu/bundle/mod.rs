//! Small planes of many images: the images lie side by side as lanes, so that every position has taps of its own.
//!
//! Where planes are small, many taps lie outside of the source, and the usual plans multiply with zeros there: a third of all
//! products along each axis of a filter of 5 in the gradient of 12 positions. Here the source is turned to channel × position ×
//! image. The columns of a product are the images at one position of the result, its reduction runs over the taps that the
//! position has, and nothing is packed. The sums keep their order and their cuts: results have the bits of the usual plans.

mod taps;
mod work;

use std::{collections::HashMap, ops::Range};

use rayon::prelude::*;

use super::{super::geometry::Geometry, correlate::Correlation};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{Kernel, core::panels, gather::Transpose, scratch::Scratch},
};
pub(super) use taps::Direction;
use taps::{Class, Readers};
use work::Work;

/// Positions of the result that a task has at most, and tasks that there should be, for any machine's cores.
const POSITIONS: usize = 16;
const TASKS: usize = 16;

/// Planes have at most so many positions.
const MOST_POSITIONS: usize = 1024;

/// A source has at most so many values when it is turned, and lists of taps so many entries.
const MOST_VALUES: usize = 1 << 22;
const MOST_ENTRIES: usize = 1 << 18;

/// Worth it when so many products of a hundred are left.
const PERCENT: usize = 85;

/// A correlation with images side by side.
#[derive(Debug)]
pub(super) struct Bundle {
    kernel: &'static Kernel,
    images: usize,
    /// Images, padded to whole vectors.
    width: usize,
    /// The images that are multiplied at a time, and the lanes that they take.
    panels: Vec<(Range<usize>, usize)>,
    /// All taps of the filter.
    pub taps: Vec<usize>,
    source_plane: usize,
    classes: Vec<Class>,
    /// For each position of the result its class, and the source position that the class counts from.
    positions: Vec<(usize, usize)>,
    turned: Scratch,
}

impl Bundle {
    /// A plan for a direction; `computed` are the products per channel that the usual plan computes for an image. None where that
    /// is about as good.
    pub fn new(kernel: &'static Kernel, geometry: &Geometry, direction: Direction, computed: usize) -> Option<Self> {
        let (images, width, taps) = (geometry.images, kernel.padded(geometry.images), geometry.taps());
        let (mut source_plane, mut result_plane) = (geometry.input_plane(), geometry.output_plane());
        let (mut sources, mut channels) = (geometry.channels, geometry.channels / geometry.groups);
        if direction == Direction::Backward {
            (source_plane, result_plane) = (result_plane, source_plane);
            (sources, channels) = (geometry.outputs, geometry.outputs / geometry.groups);
        }
        let small = source_plane.max(result_plane) <= MOST_POSITIONS && taps <= MOST_POSITIONS;
        if !small || images < 2 * kernel.lanes || sources * source_plane * width > MOST_VALUES {
            return None;
        }
        let lists: Vec<_> = (0..result_plane).map(|position| Readers::new(geometry, direction, position)).collect();
        let left: usize = lists.iter().map(|readers| readers.list.len()).sum();
        if left * width * 100 > computed * images * PERCENT {
            return None;
        }
        let mut numbers = HashMap::new();
        let mut classes = Vec::new();
        let mut positions = Vec::with_capacity(result_plane);
        for mut readers in lists {
            let first = readers.list.iter().map(|reader| reader.source).min().unwrap_or(0);
            readers.list.iter_mut().for_each(|reader| reader.source -= first);
            let class = *numbers.entry(readers).or_insert_with_key(|readers| {
                classes.push(Class::new(readers, channels, taps, source_plane * width, width));
                classes.len() - 1
            });
            positions.push((class, first));
        }
        let entries: usize = classes.iter().map(|class| class.weights.len()).sum();
        (entries <= MOST_ENTRIES).then(|| Bundle {
            kernel,
            images,
            width,
            panels: panels(kernel, 0..images).collect(),
            taps: (0..taps).collect(),
            source_plane,
            classes,
            positions,
            turned: Scratch::default(),
        })
    }

    /// `result = weights · source (+ bias)`; the weights are result channel × source channel of the group × tap.
    pub fn correlate(
        &mut self,
        sizes: Correlation,
        source: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        result: &mut [f32],
    ) {
        let mut scratch = std::mem::take(&mut self.turned);
        let turned = scratch.take(sizes.source_channels * self.source_plane * self.width);
        self.turn(sizes, source, turned);
        let work = Work { bundle: self, sizes, source: turned, weights, bias, result: &Disjoint::new(result) };
        let (panels, positions) = (&self.panels, self.positions.len());
        let run = (sizes.groups * panels.len() * positions).div_ceil(TASKS).clamp(1, POSITIONS);
        let runs = positions.div_ceil(run);
        (0..sizes.groups * panels.len() * runs).into_par_iter().for_each(|task| {
            let (group, rest) = (task / (panels.len() * runs), task % (panels.len() * runs));
            let (images, width) = panels[rest / runs].clone();
            let first = rest % runs * run;
            work.task(group, images, width, first..positions.min(first + run));
        });
        self.turned = scratch;
    }

    /// Image × channel × position becomes channel × position × image.
    fn turn(&self, sizes: Correlation, source: &[f32], turned: &mut [f32]) {
        let (plane, channels, lanes) = (self.source_plane, sizes.source_channels, self.kernel.lanes);
        assert!(source.len() >= self.images * channels * plane, "images outside their memory");
        turned.par_chunks_exact_mut(plane * self.width).enumerate().for_each(|(channel, turned)| {
            for image in (0..self.images).step_by(lanes) {
                let transpose = Transpose {
                    source: source[(image * channels + channel) * plane..].as_ptr(),
                    stride: channels * plane,
                    lanes: lanes.min(self.images - image),
                    len: plane,
                    packed: turned[image..].as_mut_ptr(),
                    width: self.width,
                };
                // SAFETY: the images were just checked; rows of `turned` are whole vectors.
                unsafe { (self.kernel.transpose)(&transpose) };
            }
        });
    }
}

#[cfg(test)]
mod tests;
