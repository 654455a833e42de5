//! Filters at the points, and the way back of their gradients.

use rayon::prelude::*;

use super::{
    SQUARE,
    lanes::{self, LANES, Lanes, Task, at_each},
    maps::{self, Form, MOST_TAPS, POINTS},
    spread,
};
use crate::ops::{
    disjoint::Disjoint,
    gemm::{Kernel, scratch::with_scratch},
};

/// The most taps of a filter.
pub(super) const MOST_FILTER: usize = MOST_TAPS * MOST_TAPS;

/// Result channels whose filters are read at a time: they lie side by side where filters are turned.
const ROWS: usize = 16;

/// Filters to be read as result channel × source channel, numbered over all groups and in the group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filters<'a> {
    pub form: Form,
    /// Output × channel of the group × tap.
    pub weights: &'a [f32],
    /// Outputs and channels of a group.
    pub outputs: usize,
    pub channels: usize,
    /// Whether outputs are the sources, with taps in reverse: the gradient of the bottom.
    pub turned: bool,
}

impl Filters<'_> {
    /// Maps all filters of so many result channels: point × result channel × source channel, points [`spread`].
    pub fn map(&self, kernel: &'static Kernel, results: usize, points: &mut [f32]) {
        let sources = if self.turned { self.outputs } else { self.channels };
        let filter_taps = self.form.filter();
        let (area, padded) = (spread(results * sources), sources.next_multiple_of(LANES));
        assert_eq!(points.len(), SQUARE * area, "points of other filters");
        let points = Disjoint::new(points);
        (0..results.div_ceil(ROWS)).into_par_iter().for_each(|block| {
            let block = block * ROWS..results.min((block + 1) * ROWS);
            with_scratch(|scratch| {
                let taps = scratch.take(block.len() * filter_taps * padded);
                for source in 0..sources {
                    for (row, result) in block.clone().enumerate() {
                        let place = self.place(result, source);
                        let filter = &self.weights[place..place + filter_taps];
                        for (tap, weight) in filter.iter().enumerate() {
                            let tap = if self.turned { filter_taps - 1 - tap } else { tap };
                            taps[(row * filter_taps + tap) * padded + source] = *weight;
                        }
                    }
                }
                for (taps, result) in taps.chunks_exact(filter_taps * padded).zip(block) {
                    let write = |point: usize, range: std::ops::Range<usize>| {
                        let first = point * area + result * sources;
                        // SAFETY: the filters of this result channel are this task's own.
                        unsafe { points.range(first + range.start..first + range.end) }
                    };
                    match self.form {
                        Form::Three => lanes::run(kernel, MapFilters::<3, _> { taps, padded, sources, points: write }),
                        Form::Five => lanes::run(kernel, MapFilters::<5, _> { taps, padded, sources, points: write }),
                    }
                }
            });
        });
    }

    fn place(&self, result: usize, source: usize) -> usize {
        let Filters { outputs, channels, turned, .. } = *self;
        let (output, channel) =
            if turned { (result / channels * outputs + source, result % channels) } else { (result, source) };
        (output * channels + channel) * self.form.filter()
    }
}

/// Maps the filters of one result channel, tap × source channel.
struct MapFilters<'a, const TAPS: usize, P> {
    taps: &'a [f32],
    padded: usize,
    sources: usize,
    /// The place of a point's source channels.
    points: P,
}

impl<'p, const TAPS: usize, P: Fn(usize, std::ops::Range<usize>) -> &'p mut [f32]> Task for MapFilters<'_, TAPS, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let MapFilters { taps, padded, sources, points } = self;
        assert!(taps.len() >= TAPS * TAPS * padded && padded.is_multiple_of(LANES), "taps outside their memory");
        for source in (0..padded).step_by(LANES) {
            let mut half = [[L::all(0.0); POINTS]; TAPS];
            for (row, half) in half.iter_mut().enumerate() {
                *half = maps::filter::<L, TAPS>(at_each(
                    #[inline(always)]
                    |column| {
                        // SAFETY: just checked.
                        unsafe { L::load(taps.as_ptr().add((row * TAPS + column) * padded + source)) }
                    },
                ));
            }
            for column in 0..POINTS {
                let values = maps::filter::<L, TAPS>(half.map(
                    #[inline(always)]
                    |row| row[column],
                ));
                for (row, value) in values.into_iter().enumerate() {
                    let points = points(row * POINTS + column, source..sources.min(source + LANES));
                    if points.len() == LANES {
                        // SAFETY: as many values as a vector has.
                        unsafe { value.store(points.as_mut_ptr()) };
                    } else {
                        let mut all = [0.0; LANES];
                        // SAFETY: the same.
                        unsafe { value.store(all.as_mut_ptr()) };
                        points.copy_from_slice(&all[..points.len()]);
                    }
                }
            }
        }
    }
}

/// Maps the gradients of sixteen filters, which begin at `points`, `distance` values from point to point.
pub(super) struct MapGradient<'a, const TAPS: usize> {
    pub points: &'a [f32],
    pub distance: usize,
    /// Tap × filter.
    pub taps: &'a mut [[f32; LANES]; MOST_FILTER],
}

impl<const TAPS: usize> Task for MapGradient<'_, TAPS> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let MapGradient { points, distance, taps } = self;
        assert!((SQUARE - 1) * distance + LANES <= points.len(), "points outside their memory");
        let mut half = [[L::all(0.0); TAPS]; POINTS];
        for (row, half) in half.iter_mut().enumerate() {
            let mut values = [L::all(0.0); POINTS];
            for (column, value) in values.iter_mut().enumerate() {
                // SAFETY: just checked.
                *value = unsafe { L::load(points.as_ptr().add((row * POINTS + column) * distance)) };
            }
            *half = maps::filter_gradient::<L, TAPS>(values);
        }
        for column in 0..TAPS {
            let mut values = [L::all(0.0); POINTS];
            for (value, half) in values.iter_mut().zip(&half) {
                *value = half[column];
            }
            for (row, value) in maps::filter_gradient::<L, TAPS>(values).into_iter().enumerate() {
                // SAFETY: as many values as a vector has.
                unsafe { value.store(taps[row * TAPS + column].as_mut_ptr()) };
            }
        }
    }
}
