//! One op on the CPU and on a card, on random shapes and values.
//!
//! A check is a function that makes buffers, calls the op twice and compares:
//!
//! ```ignore
//! pub fn scale(trial: &mut Trial) {
//!     for _ in 0..trial.cases() {
//!         let count = trial.size(5_000);
//!         let (x, factor) = (trial.values(count), trial.number(-2.0, 2.0));
//!         let [y, on_card] = trial.results(count);
//!         elementwise::scale(Device::Cpu, factor, &x, &y);
//!         elementwise::scale(trial.card(), factor, &x, &on_card);
//!         trial.same("y", &y, &on_card);
//!     }
//!     let count = trial.large(1 << 25, 1_000);
//!     let (x, y) = (trial.values(count), trial.values(count));
//!     let card = trial.card();
//!     trial.time(8 * count as u64, count as u64, || elementwise::scale(card, 2.0, &x, &y));
//! }
//! ```

use std::time::Instant;

use crate::{
    cuda::Card,
    rng::Random,
    tensor::{Buffer, Device},
};

/// A check of one op.
#[derive(Debug, Clone, Copy)]
pub struct OpCheck {
    /// The op's name.
    pub name: &'static str,
    /// Runs all cases.
    pub run: fn(&mut Trial),
}

/// Random cases of a check.
const CASES: usize = 24;

/// Failures of one check that are told.
const TOLD: usize = 3;

/// Values before and behind a buffer that nobody may touch: no number, so that reading them shows too.
const GUARD: f32 = f32::from_bits(0x7fc0_beef);
const GUARDS: usize = 37;

/// Calls that are timed together.
const TIMED_CALLS: u32 = 20;

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// How many comparisons there were.
    pub comparisons: usize,
    /// The largest difference, as a part of the largest value beside it.
    pub worst: f32,
    /// The timed case.
    pub time: Option<Timing>,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// A timed call.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Seconds of one call.
    pub seconds: f64,
    /// Bytes that it reads and writes, each once.
    pub bytes: u64,
    /// Its additions and multiplications.
    pub operations: u64,
}

/// A run of a check: makes its buffers and keeps what it found.
#[derive(Debug)]
pub struct Trial {
    card: &'static Card,
    quick: bool,
    random: Random,
    made: usize,
    guarded: Vec<(Buffer, usize, usize)>,
    outcome: Outcome,
}

impl Trial {
    /// A run on this card; the same name draws the same cases.
    pub fn new(card: &'static Card, name: &str, quick: bool) -> Self {
        let seed = name.bytes().fold(1701_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        Trial { card, quick, random: Random::new(seed), made: 0, guarded: Vec::new(), outcome: Outcome::default() }
    }

    /// The card, for ops.
    pub fn card(&self) -> Device {
        Device::Cuda(self.card)
    }

    /// How many cases to run.
    pub fn cases(&self) -> usize {
        CASES
    }

    /// A size of 1 up to `max`, often one at an edge of warps and blocks.
    pub fn size(&mut self, max: usize) -> usize {
        let edges = [1, 2, 31, 32, 33, 255, 256, 257, 1023, 1025];
        let edge = self.pick(&edges);
        if self.chance() && edge <= max { edge } else { 1 + self.random.uniform_int(max.max(1) as u32 - 1) as usize }
    }

    /// A size of 0 up to `max`: a batch may be empty, and is in some cases.
    pub fn batch(&mut self, max: usize) -> usize {
        if self.random.uniform_int(7) == 0 { 0 } else { self.size(max) }
    }

    /// A whole number in `low..=high`.
    pub fn whole(&mut self, low: usize, high: usize) -> usize {
        low + self.random.uniform_int((high - low) as u32) as usize
    }

    /// A number in `low..=high`.
    pub fn number(&mut self, low: f32, high: f32) -> f32 {
        self.random.uniform(low, high)
    }

    /// Yes or no.
    pub fn chance(&mut self) -> bool {
        self.random.uniform_int(1) == 1
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.uniform_int(choices.len() as u32 - 1) as usize]
    }

    /// A buffer with values from the normal distribution.
    pub fn values(&mut self, count: usize) -> Buffer {
        let values = (0..count).map(|_| self.random.gaussian(0.0, 1.0)).collect();
        self.buffer(values)
    }

    /// A buffer with values in `low..=high`.
    pub fn values_within(&mut self, low: f32, high: f32, count: usize) -> Buffer {
        let values = (0..count).map(|_| self.random.uniform(low, high)).collect();
        self.buffer(values)
    }

    /// A buffer with whole numbers below `classes`.
    pub fn labels(&mut self, classes: usize, count: usize) -> Buffer {
        let values = (0..count).map(|_| self.random.uniform_int(classes.max(1) as u32 - 1) as f32).collect();
        self.buffer(values)
    }

    /// A buffer with these values. Every second one is a block of its own, which begins and ends where the card's memory does; the others
    /// lie in a larger one, at any place, between values that must stay.
    pub fn buffer(&mut self, values: Vec<f32>) -> Buffer {
        self.made += 1;
        if self.made % 2 == 1 {
            return Buffer::from(values);
        }
        let (before, count) = (self.whole(1, GUARDS), values.len());
        let mut all = vec![GUARD; before + count + GUARDS];
        all[before..before + count].copy_from_slice(&values);
        let whole = Buffer::from(all);
        let buffer = whole.slice(before, count);
        self.guarded.push((whole, before, count));
        buffer
    }

    /// A buffer with the values of another.
    pub fn twin(&mut self, buffer: &Buffer) -> Buffer {
        let values = buffer.host().to_vec();
        self.buffer(values)
    }

    /// Two buffers with the same values: where the CPU and the card are to put, or to add, their results.
    pub fn results(&mut self, count: usize) -> [Buffer; 2] {
        let first = self.values(count);
        let second = self.twin(&first);
        [first, second]
    }

    /// Both must be the same to the last bit (and no number where the other is none).
    pub fn same(&mut self, what: &str, on_cpu: &Buffer, on_card: &Buffer) {
        self.compare(what, on_cpu, on_card, 0.0);
    }

    /// No value may differ by more than 1e-5 and 1e-4 of the largest one.
    pub fn close(&mut self, what: &str, on_cpu: &Buffer, on_card: &Buffer) {
        self.compare(what, on_cpu, on_card, 1e-4);
    }

    /// A fact that must hold.
    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.outcome.comparisons += 1;
        if !holds {
            self.fail(what());
        }
    }

    /// The size of a timed case: `full`, or `small` where nothing is timed.
    pub fn large(&self, full: usize, small: usize) -> usize {
        if self.quick { small } else { full }
    }

    /// Times a call that reads and writes so many bytes and does so many additions and multiplications. Where nothing is timed it is made
    /// once.
    pub fn time(&mut self, bytes: u64, operations: u64, mut call: impl FnMut()) {
        call();
        self.card.synchronize();
        if self.quick {
            return;
        }
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            (0..TIMED_CALLS).for_each(|_| call());
            self.card.synchronize();
            best = best.min(start.elapsed().as_secs_f64() / f64::from(TIMED_CALLS));
        }
        self.outcome.time = Some(Timing { seconds: best, bytes, operations });
    }

    /// What the check found, with the values around its buffers.
    pub fn finish(mut self) -> Outcome {
        for (whole, before, count) in std::mem::take(&mut self.guarded) {
            let touched = {
                let all = whole.host();
                let guards = all[..before].iter().enumerate().chain(all.iter().enumerate().skip(before + count));
                guards.filter(|(_, value)| value.to_bits() != GUARD.to_bits()).map(|(place, _)| place).next()
            };
            if let Some(place) = touched {
                let place = place as i64 - before as i64;
                self.fail(format!("a buffer of {count} values was written at place {place}"));
            }
        }
        self.outcome
    }

    fn compare(&mut self, what: &str, on_cpu: &Buffer, on_card: &Buffer, tolerance: f32) {
        self.outcome.comparisons += 1;
        let difference = difference(&on_cpu.host(), &on_card.host(), tolerance);
        match difference {
            Ok(worst) => self.outcome.worst = self.outcome.worst.max(worst),
            Err(message) => self.fail(format!("comparison {}, {what}: {message}", self.outcome.comparisons)),
        }
    }

    fn fail(&mut self, message: String) {
        if self.outcome.failures.len() < TOLD {
            self.outcome.failures.push(message);
        }
    }
}

/// The largest difference, as a part of the largest value; `tolerance` is such a part, 0 asks for the same bits.
///
/// # Errors
/// Says which value is too far off.
fn difference(expected: &[f32], actual: &[f32], tolerance: f32) -> Result<f32, String> {
    if expected.len() != actual.len() {
        return Err(format!("{} values, not {}", actual.len(), expected.len()));
    }
    let finite = expected.iter().filter(|value| value.is_finite());
    let largest = finite.fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let allowed = if tolerance == 0.0 { 0.0 } else { 1e-5 + tolerance * largest };
    let mut worst = 0.0_f32;
    for (place, (&e, &a)) in expected.iter().zip(actual).enumerate() {
        let is_same = if tolerance == 0.0 { e.to_bits() == a.to_bits() } else { e == a };
        if is_same || (e.is_nan() && a.is_nan()) {
            continue;
        }
        let off = (e - a).abs();
        // A zero's sign and NaN do not pass `<=` where bits are asked for.
        if off.is_nan() || off > allowed || tolerance == 0.0 {
            return Err(format!("value {place} is {a:e}, on the CPU {e:e} (largest {largest:e})"));
        }
        worst = worst.max(off / largest.max(1e-30));
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_far_off_is_told() {
        assert_eq!(difference(&[1.0, f32::NAN], &[1.0, f32::NAN], 0.0), Ok(0.0));
        assert!(difference(&[0.0], &[-0.0], 0.0).is_err() && difference(&[0.0], &[-0.0], 1e-4).is_ok());
        assert!(difference(&[100.0, 1.0], &[100.0, 1.005], 1e-4).is_ok_and(|worst| worst > 0.0));
        assert!(difference(&[100.0, 1.0], &[100.0, 1.02], 1e-4).unwrap_err().contains("value 1 is 1.02e0"));
        assert!(difference(&[1.0], &[f32::NAN], 1e-4).is_err() && difference(&[f32::NAN], &[1.0], 1e-4).is_err());
        assert!(difference(&[1.0], &[], 1e-4).is_err());
    }
}
