//! Small planes of many images: the images lie side by side as lanes, so that every position has taps of its own.
//!
//! Where planes are small, many taps lie outside of the source, and the usual plans multiply with zeros there: a third of all
//! products along each axis of a filter of 5 in the gradient of 12 positions. Here the source is turned to channel × position ×
//! image. The columns of a product are the images at one position of the result, its reduction runs over the taps that the
//! position has, and nothing is packed. The sums keep their order and their cuts: results have the bits of the usual plans.

use std::{collections::HashMap, ops::Range};

use rayon::prelude::*;

use super::{super::geometry::Geometry, correlate::Correlation};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{
        core::{multiply, panels, stretches},
        gather::Transpose,
        kernel::{Kernel, MAX_LANES, MAX_VECTORS},
        operands::{Columns, Depth, Epilogue, Offsets, PaddedMatrix, Panel, Rows, furthest},
        scratch::{Scratch, with_scratch},
    },
};

/// Positions of the result that a task has.
const POSITIONS: usize = 8;

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

/// Positions that have the same taps.
#[derive(Debug)]
struct Class {
    /// For each step of the reduction the weight, counted from the filter's first.
    weights: Vec<u32>,
    /// And where it reads, counted from the first channel of the group.
    offsets: Vec<u32>,
    /// The steps that are summed up at a time.
    stretches: Vec<Range<usize>>,
}

/// A direction of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    /// The gradient of the source.
    Backward,
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
        let lists: Vec<_> = (0..result_plane).map(|position| readers(geometry, direction, position)).collect();
        let left: usize = lists.iter().map(Vec::len).sum();
        if left * width * 100 > computed * images * PERCENT {
            return None;
        }
        let mut numbers = HashMap::new();
        let mut classes = Vec::new();
        let mut positions = Vec::with_capacity(result_plane);
        for mut list in lists {
            let first = list.iter().map(|(_, source)| *source).min().unwrap_or(0);
            list.iter_mut().for_each(|(_, source)| *source -= first);
            let class = *numbers.entry(list).or_insert_with_key(|list| {
                classes.push(Class::new(list, channels, taps, source_plane * width, width));
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
        let (panels, runs) = (&self.panels, self.positions.len().div_ceil(POSITIONS));
        (0..sizes.groups * panels.len() * runs).into_par_iter().for_each(|task| {
            let (group, rest) = (task / (panels.len() * runs), task % (panels.len() * runs));
            let (images, width) = panels[rest / runs].clone();
            let first = rest % runs * POSITIONS;
            work.task(group, images, width, first..self.positions.len().min(first + POSITIONS));
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

/// What a position of the result reads: taps, in order, and positions of the source.
fn readers(geometry: &Geometry, direction: Direction, position: usize) -> Vec<(usize, usize)> {
    let mut readers = vec![(0, 0)];
    let mut inner: usize = geometry.axes.iter().map(|axis| extents(axis, direction).1).product();
    for axis in &geometry.axes {
        let (source, result) = extents(axis, direction);
        inner /= result;
        let place = (position / inner % result) as isize;
        let (stride, dilation, pad) = (axis.stride as isize, axis.dilation as isize, axis.pad as isize);
        let read = |tap: usize| match direction {
            Direction::Forward => Some(place * stride + tap as isize * dilation - pad),
            Direction::Backward => {
                let steps = place + pad - tap as isize * dilation;
                (steps.rem_euclid(stride) == 0).then_some(steps.div_euclid(stride))
            }
        };
        let along: Vec<_> = (0..axis.kernel)
            .filter_map(|tap| Some((tap, read(tap).filter(|read| (0..source as isize).contains(read))? as usize)))
            .collect();
        readers = readers
            .iter()
            .flat_map(|(taps, places)| {
                along.iter().map(move |(tap, place)| (taps * axis.kernel + tap, places * source + place))
            })
            .collect();
    }
    readers
}

/// The extents of source and result along an axis.
fn extents(axis: &super::super::geometry::Axis, direction: Direction) -> (usize, usize) {
    let output = axis.output().unwrap_or(0);
    match direction {
        Direction::Forward => (axis.input, output),
        Direction::Backward => (output, axis.input),
    }
}

impl Class {
    fn new(list: &[(usize, usize)], channels: usize, taps: usize, plane: usize, width: usize) -> Self {
        let entries = (0..channels).flat_map(|channel| list.iter().map(move |entry| (channel, *entry)));
        let (weights, offsets): (Vec<u32>, Vec<u32>) = entries
            .map(|(channel, (tap, place))| ((channel * taps + tap) as u32, (channel * plane + place * width) as u32))
            .unzip();
        // Cut where the sum over all taps would be.
        let before = |end: usize| weights.partition_point(|weight| (*weight as usize) < end);
        let mut cuts: Vec<_> = stretches(channels * taps).map(|cut| before(cut.start)..before(cut.end)).collect();
        cuts.retain(|cut| !cut.is_empty());
        if cuts.is_empty() {
            cuts.push(0..0);
        }
        Class { weights, offsets, stretches: cuts }
    }
}

struct Work<'a> {
    bundle: &'a Bundle,
    sizes: Correlation,
    source: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    result: &'a Disjoint<'a>,
}

impl Work<'_> {
    /// Some positions of the result's channels of a group, for a panel of images.
    fn task(&self, group: usize, images: Range<usize>, width: usize, positions: Range<usize>) {
        let channels = self.sizes.result_channels / self.sizes.groups;
        let pitch = positions.len() * width;
        with_scratch(|scratch| {
            // Channel × position × image.
            let sums = scratch.take(channels * pitch);
            for position in positions.clone() {
                let matrix = PaddedMatrix::new(&mut sums[(position - positions.start) * width..], pitch);
                self.position(group, images.start, width, position, &matrix);
            }
            for (channel, sums) in sums.chunks_exact(pitch).enumerate() {
                self.put(group * channels + channel, images.clone(), width, positions.clone(), sums);
            }
        });
    }

    /// The sums of one position.
    fn position(&self, group: usize, image: usize, width: usize, position: usize, sums: &PaddedMatrix<'_>) {
        let Correlation { source_channels, result_channels, groups } = self.sizes;
        let (results, plane) = (result_channels / groups, self.bundle.source_plane * self.bundle.width);
        let depth = self.weights.len() / result_channels;
        let (class, first) = self.bundle.positions[position];
        let class = &self.bundle.classes[class];
        let source = &self.source[group * (source_channels / groups) * plane..];
        let start = first * self.bundle.width + image;
        for stretch in &class.stretches {
            let rows = Rows {
                values: &self.weights[group * results * depth..(group + 1) * results * depth],
                offsets: Offsets::Even { count: results, stride: depth },
                step: 1,
                depth: Depth::Listed(&class.weights[stretch.clone()]),
            };
            let columns = Side {
                source,
                start,
                width,
                lanes: self.bundle.kernel.lanes,
                offsets: &class.offsets[stretch.clone()],
            };
            let is_last = stretch.end == class.weights.len();
            let bias = self.bias.filter(|_| is_last).map(|bias| &bias[group * results..(group + 1) * results]);
            multiply(self.bundle.kernel, &rows, &columns, sums, Epilogue { bias, accumulate: stretch.start > 0 });
        }
    }

    /// Writes the sums of one channel, position × image, to the images.
    fn put(&self, channel: usize, images: Range<usize>, width: usize, positions: Range<usize>, sums: &[f32]) {
        let (kernel, plane) = (self.bundle.kernel, self.bundle.positions.len());
        let lanes = kernel.lanes;
        assert!(sums.len() >= positions.len() * width && images.len() <= width, "sums outside their memory");
        for first in (0..images.len()).step_by(lanes) {
            for position in (0..positions.len()).step_by(lanes) {
                let count = lanes.min(positions.len() - position);
                let mut turned = [0.0; MAX_LANES * MAX_LANES];
                let transpose = Transpose {
                    source: sums[position * width + first..].as_ptr(),
                    stride: width,
                    lanes: count,
                    len: lanes,
                    packed: turned.as_mut_ptr(),
                    width: lanes,
                };
                // SAFETY: rows of sums are whole vectors, and `turned` has room for as many vectors as a vector has lanes.
                unsafe { (kernel.transpose)(&transpose) };
                for (image, values) in (images.start + first..images.end).zip(turned.chunks_exact(lanes)) {
                    let start = (image * self.sizes.result_channels + channel) * plane + positions.start + position;
                    // SAFETY: these images, channels of the group and positions are this task's own.
                    let result = unsafe { self.result.range(start..start + count) };
                    result.copy_from_slice(&values[..count]);
                }
            }
        }
    }
}

/// Images side by side as columns, for some steps of the reduction.
struct Side<'a> {
    source: &'a [f32],
    start: usize,
    width: usize,
    lanes: usize,
    offsets: &'a [u32],
}

impl Columns for Side<'_> {
    fn count(&self) -> usize {
        self.width
    }

    fn in_place(&self, _: &Kernel, columns: Range<usize>, width: usize) -> Option<Panel<'_>> {
        assert!(columns == (0..self.width) && width == self.width, "one panel");
        let furthest = furthest(self.offsets).map_or(0, |offset| offset + width);
        assert!(self.start + furthest <= self.source.len(), "a panel outside its source");
        let mut vectors = [self.start; MAX_VECTORS];
        vectors
            .iter_mut()
            .take(width / self.lanes)
            .enumerate()
            .for_each(|(vector, place)| *place += vector * self.lanes);
        Some(Panel::InPlace { source: self.source, vectors, offsets: self.offsets })
    }

    fn panel<'s>(&'s self, _: &Kernel, _: Range<usize>, _: Range<usize>, _: usize, _: &'s mut [f32]) -> Panel<'s> {
        unreachable!("read in place")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{Workspace, backward_bottom, forward},
        *,
    };
    use crate::ops::conv::geometry::Axis;

    fn noise(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    /// The results of both directions, with plans alone or with bundles for both.
    fn results(kernel: &'static Kernel, geometry: &Geometry, bundled: bool) -> [Vec<f32>; 2] {
        let source = noise(geometry.images * geometry.channels * geometry.input_plane(), 1);
        let result = noise(geometry.images * geometry.outputs * geometry.output_plane(), 2);
        let weights = noise(geometry.outputs * geometry.fan_in(), 3);
        let biases = [geometry.outputs, geometry.channels].map(|count| noise(count, 4));
        // Plans add the bias to the last of several sums at some places, to their total at others.
        let is_cut = geometry.taps() * geometry.channels.max(geometry.outputs) / geometry.groups > 256;
        let [bias, bottom_bias] = biases.each_ref().map(|bias| Some(bias.as_slice()).filter(|_| !is_cut));
        let mut workspace = Workspace::new(kernel, geometry, false);
        workspace.depthwise = None;
        workspace.bundles = [Direction::Forward, Direction::Backward]
            .map(|direction| Bundle::new(kernel, geometry, direction, 1 << 30).filter(|_| bundled));
        assert!(workspace.bundles.iter().all(|bundle| bundle.is_some() == bundled));
        let (mut top, mut bottom_diff) = (vec![f32::NAN; result.len()], vec![f32::NAN; source.len()]);
        forward(&mut workspace, geometry, &source, &weights, bias, &mut top);
        backward_bottom(&mut workspace, geometry, &result, &weights, bottom_bias, &mut bottom_diff);
        [top, bottom_diff]
    }

    fn check(geometry: &Geometry) {
        for kernel in Kernel::available().filter(|kernel| geometry.images >= 2 * kernel.lanes) {
            let [bundled, planned] = [true, false].map(|bundled| results(kernel, geometry, bundled));
            assert!(bundled == planned, "{}: {geometry:?}", kernel.name);
        }
    }

    #[test]
    fn a_net_s_layer_has_the_bits_of_the_plans() {
        let axis = Axis { input: 12, kernel: 5, stride: 1, pad: 0, dilation: 1 };
        let geometry = Geometry { images: 64, channels: 20, outputs: 50, groups: 1, axes: vec![axis; 2] };
        check(&geometry);
        let computed = Workspace::new(Kernel::get(), &geometry, false).bundles.map(|bundle| bundle.is_some());
        assert_eq!(computed, [false, true], "only the gradient meets zeros");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_layer_has_the_bits_of_the_plans(
            images in 8_usize..70, channels in 1_usize..9, outputs in 1_usize..9, groups in 1_usize..3,
            sizes in prop::collection::vec((1_usize..9, 1_usize..5, 1_usize..4, 0_usize..4, 1_usize..3), 1..4),
        ) {
            let axes: Vec<Axis> = sizes
                .into_iter()
                .map(|(input, kernel, stride, pad, dilation)| Axis { input, kernel, stride, pad, dilation })
                .collect();
            prop_assume!(axes.iter().all(|axis| axis.output().is_some()));
            check(&Geometry { images, channels: channels * groups, outputs: outputs * groups, groups, axes });
        }
    }
}
