//! Caffe's random numbers: the Mersenne twister, Boost 1.74's distributions, and the fillers that draw from them.
//!
//! Given the same seed every function here gives the bits that Caffe with `Dtype = float` gives, and leaves the engine at the
//! same place: initial weights, dropout masks, shuffles and crops then agree with Caffe's.
//!
//! The reference is Caffe compiled for a processor with fused multiply-add, where the compiler rounds `a·b + c` once: hence
//! `mul_add` here. A build without it differs in the last bit of some values, never in the words drawn but for cases of one in
//! millions.

mod fillers;
mod mersenne;
mod ziggurat;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use fillers::fill;
use mersenne::Mersenne;

/// 2³², the number of values of a word.
const WORD_VALUES: f32 = 4_294_967_296.0;

/// One stream of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(Mersenne);

impl Random {
    /// The stream that starts from `seed`.
    pub fn new(seed: u32) -> Self {
        Random(Mersenne::new(seed))
    }

    /// The exact state, for a snapshot: 625 words.
    pub fn state(&self) -> Vec<u32> {
        let mut state = Vec::new();
        self.state_into(&mut state);
        state
    }

    /// Puts the [`state`](Random::state) where an earlier one was.
    pub fn state_into(&self, state: &mut Vec<u32>) {
        self.0.state_into(state);
    }

    /// The stream that goes on from a state; `None` when the numbers are not a state.
    pub fn from_state(state: &[u32]) -> Option<Self> {
        Mersenne::from_state(state).map(Random)
    }

    /// The next word: Caffe's `caffe_rng_rand`, which also seeds further streams. A number below `n` is drawn in Caffe's
    /// data transformer as `next_u32() % n`.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next()
    }

    /// A number in `low..=high`.
    ///
    /// The bounds must be finite with `low <= high`: otherwise no number can be drawn and this never returns.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let end = high.next_up().min(f32::MAX);
        if end / 2.0 - low / 2.0 > f32::MAX / 2.0 {
            return self.uniform_below(low / 2.0, end / 2.0) * 2.0;
        }
        self.uniform_below(low, end)
    }

    /// A number in `low..end`; rounding may give `end`, and Boost then draws again.
    fn uniform_below(&mut self, low: f32, end: f32) -> f32 {
        loop {
            let value = (self.next_u32() as f32 / WORD_VALUES).mul_add(end - low, low);
            if value < end {
                return value;
            }
        }
    }

    /// A number in `0..1`.
    fn uniform_01(&mut self) -> f32 {
        loop {
            let value = self.next_u32() as f32 * (1.0 / WORD_VALUES);
            if value < 1.0 {
                return value;
            }
        }
    }

    /// True with this probability; 0 draws no word.
    pub fn bernoulli(&mut self, probability: f32) -> bool {
        probability != 0.0 && self.next_u32() as f32 <= probability * u32::MAX as f32
    }

    /// A draw from the normal distribution.
    pub fn gaussian(&mut self, mean: f32, std: f32) -> f32 {
        ziggurat::unit_normal(self).mul_add(std, mean)
    }

    /// A whole number in `0..=max`; 0 draws no word.
    pub fn uniform_int(&mut self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        if max == u32::MAX {
            return self.next_u32();
        }
        let mut bucket = u32::MAX / (max + 1);
        if u32::MAX % (max + 1) == max {
            bucket += 1;
        }
        loop {
            let value = self.next_u32() / bucket;
            if value <= max {
                return value;
            }
        }
    }

    /// Puts the items into random order, as `caffe::shuffle` does.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // Caffe's lists have fewer than 2³² entries as well.
            items.swap(last, self.uniform_int(last as u32) as usize);
        }
    }

    /// Fills a slice with [`uniform`](Random::uniform) draws, first value first.
    pub fn fill_uniform(&mut self, values: &mut [f32], low: f32, high: f32) {
        values.fill_with(|| self.uniform(low, high));
    }

    /// Fills a slice with [`gaussian`](Random::gaussian) draws, first value first.
    pub fn fill_gaussian(&mut self, values: &mut [f32], mean: f32, std: f32) {
        values.fill_with(|| self.gaussian(mean, std));
    }

    /// Sets each value to `yes` with this probability, otherwise to 0, first value first: the mask of Dropout, for which
    /// Caffe computes in f64.
    pub fn fill_mask(&mut self, values: &mut [f32], probability: f64, yes: f32) {
        if probability == 0.0 {
            return values.fill(0.0);
        }
        let last = probability * f64::from(u32::MAX);
        values.fill_with(|| if f64::from(self.next_u32()) <= last { yes } else { 0.0 });
    }

    /// A fraction in `0..1` of 24 bits and a number below 256, from one word.
    fn fraction_and_bucket(&mut self) -> (f32, usize) {
        let word = self.next_u32();
        ((word >> 8) as f32 / 16_777_216.0, (word & 255) as usize)
    }
}

/// The engine that all parts of a run draw from in turn, as Caffe's global one.
#[derive(Debug, Clone)]
pub struct SharedRandom(Arc<Mutex<Random>>);

impl SharedRandom {
    /// The engine that starts from `seed`.
    pub fn new(seed: u32) -> Self {
        SharedRandom(Arc::new(Mutex::new(Random::new(seed))))
    }

    /// The engine that starts from a seed of the moment, where none is given.
    pub fn of_the_moment() -> Self {
        SharedRandom::new(RandomState::new().hash_one(0) as u32)
    }

    /// The engine, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Random> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_stream_goes_on_where_it_was() {
        let mut random = Random::new(1701);
        random.fill_gaussian(&mut [0.0; 700], 0.0, 1.0);
        let mut restored = Random::from_state(&random.state()).unwrap();
        assert!((0..2_000).all(|_| restored.next_u32() == random.next_u32()));
        assert_eq!(Random::from_state(&[1, 2, 3]), None);
        assert_eq!(Random::from_state(&[700; 625]), None);
    }

    #[test]
    fn uniform_takes_equal_and_far_bounds() {
        let mut random = Random::new(1);
        assert_eq!(random.uniform(2.5, 2.5), 2.5);
        assert!((0..100).all(|_| random.uniform(f32::MIN, f32::MAX).is_finite()));
    }

    #[test]
    fn shuffle_and_uniform_int_reach_everything() {
        let mut random = Random::new(9);
        let mut seen = [false; 10];
        for _ in 0..200 {
            seen[random.uniform_int(9) as usize] = true;
        }
        assert_eq!(seen, [true; 10]);
        let mut items: Vec<usize> = (0..50).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn certain_events_draw_as_boost_does() {
        let (mut random, untouched) = (Random::new(4), Random::new(4));
        assert!(!random.bernoulli(0.0));
        assert_eq!(random.uniform_int(0), 0);
        assert_eq!(random, untouched);
        assert!(random.bernoulli(1.0));
        assert_ne!(random, untouched);
    }
}
