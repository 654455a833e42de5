//! Which taps each position of a result has, and where they read.

use std::ops::Range;

use super::super::super::geometry::{Axis, Geometry};
use crate::ops::gemm::{core::stretches, operands::furthest};

/// A direction of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Direction {
    Forward,
    /// The gradient of the source.
    Backward,
}

/// A tap that reads inside of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Reader {
    /// Its number in the filter.
    tap: usize,
    /// Its number among those that the usual plan sums up at this position, inside of the source or not.
    rank: usize,
    /// The position of the source that it reads.
    pub source: usize,
}

/// The taps of a position, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Readers {
    pub list: Vec<Reader>,
    /// The taps that the usual plan sums up at this position.
    ranks: usize,
}

impl Readers {
    /// Those of a position of the result.
    pub fn new(geometry: &Geometry, direction: Direction, position: usize) -> Self {
        let mut readers = Readers { list: vec![Reader { tap: 0, rank: 0, source: 0 }], ranks: 1 };
        let mut inner: usize = geometry.axes.iter().map(|axis| extents(axis, direction).1).product();
        for axis in &geometry.axes {
            let (source, result) = extents(axis, direction);
            inner /= result;
            let along = readers_along(axis, direction, position / inner % result);
            let join = |outer: Reader| {
                along.list.iter().map(move |reader| Reader {
                    tap: outer.tap * axis.kernel + reader.tap,
                    rank: outer.rank * along.ranks + reader.rank,
                    source: outer.source * source + reader.source,
                })
            };
            readers = Readers {
                list: readers.list.iter().flat_map(|outer| join(*outer)).collect(),
                ranks: readers.ranks * along.ranks,
            };
        }
        readers
    }
}

/// The taps along one axis.
fn readers_along(axis: &Axis, direction: Direction, place: usize) -> Readers {
    let (stride, dilation) = (axis.stride as isize, axis.dilation as isize);
    let (place, pad) = (place as isize, axis.pad as isize);
    let read = |tap: usize| match direction {
        Direction::Forward => Some(place * stride + tap as isize * dilation - pad),
        Direction::Backward => {
            let steps = place + pad - tap as isize * dilation;
            (steps.rem_euclid(stride) == 0).then_some(steps.div_euclid(stride))
        }
    };
    let all: Vec<(usize, isize)> = (0..axis.kernel).filter_map(|tap| Some((tap, read(tap)?))).collect();
    let inside = 0..extents(axis, direction).0 as isize;
    let list = all.iter().enumerate().filter(|(_, (_, source))| inside.contains(source));
    let list = list.map(|(rank, (tap, source))| Reader { tap: *tap, rank, source: *source as usize });
    Readers { list: list.collect(), ranks: all.len() }
}

/// The extents of source and result along an axis.
fn extents(axis: &Axis, direction: Direction) -> (usize, usize) {
    let output = axis.output().unwrap_or(0);
    match direction {
        Direction::Forward => (axis.input, output),
        Direction::Backward => (output, axis.input),
    }
}

/// Positions that have the same taps.
#[derive(Debug)]
pub(super) struct Class {
    /// For each step of the reduction the weight, counted from the filter's first.
    pub weights: Vec<u32>,
    /// And where it reads, counted from the first channel of the group.
    pub offsets: Vec<u32>,
    /// The steps that are summed up at a time.
    pub stretches: Vec<Range<usize>>,
    /// The last weight, and the farthest place, that is read.
    pub farthest: Option<(usize, usize)>,
}

impl Class {
    /// Of `taps` for each of so many channels; source channels lie `plane` values apart, positions `width`.
    pub fn new(readers: &Readers, channels: usize, taps: usize, plane: usize, width: usize) -> Self {
        let entries = (0..channels).flat_map(|channel| readers.list.iter().map(move |reader| (channel, reader)));
        let weights: Vec<u32> = entries.clone().map(|(channel, reader)| (channel * taps + reader.tap) as u32).collect();
        let offset = |(channel, reader): (usize, &Reader)| (channel * plane + reader.source * width) as u32;
        let offsets: Vec<u32> = entries.clone().map(offset).collect();
        let farthest = furthest(&weights).zip(furthest(&offsets));
        // Cut where the sum over all taps would be.
        let ranks: Vec<usize> = entries.map(|(channel, reader)| channel * readers.ranks + reader.rank).collect();
        let before = |end: usize| ranks.partition_point(|rank| *rank < end);
        let cuts = stretches(channels * readers.ranks).map(|cut| before(cut.start)..before(cut.end));
        let mut stretches: Vec<_> = cuts.filter(|cut| !cut.is_empty()).collect();
        if stretches.is_empty() {
            stretches.push(0..0);
        }
        Class { weights, offsets, stretches, farthest }
    }
}
