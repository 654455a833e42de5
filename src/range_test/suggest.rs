//! What a curve over the learning rate suggests: the paper's reading, the steepest slope, a tenth of the minimum's rate.
//!
//! All three look at the smoothed curve by its points, which lie evenly in the ramp: for a linear ramp distances are those of the
//! rate, for an exponential one those of its logarithm.

use super::curve::{Curve, median};
use crate::prototxt::number::stream;

/// What is better in a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Accuracy.
    Larger,
    /// Loss.
    Smaller,
}

/// The bounds of a cycle, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// Where the metric starts to improve.
    pub base_lr: f64,
    /// Where it slows down, turns ragged or gets worse.
    pub max_lr: f64,
    /// What was seen at `base_lr`.
    pub base_reason: String,
    /// What was seen at `max_lr`.
    pub max_reason: String,
}

/// A learning rate, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// The rate.
    pub rate: f64,
    /// What was seen there.
    pub reason: String,
}

/// With fewer points nothing is suggested.
const LEAST_POINTS: usize = 8;
/// The metric has started to improve where it has gone this part of its whole way.
const STARTED: f64 = 0.1;
/// It has slowed down where its speed is this part of the highest.
const SLOW: f64 = 0.15;
/// ... and no more than this part of its way is left.
const REST: f64 = 0.15;
/// It gets worse, or is ragged, where it falls back by this part of its way.
const FALL: f64 = 0.1;

/// The paper's reading (arXiv 1506.01186, section 3.3): "note the learning rate value when the accuracy starts to increase and
/// when the accuracy slows, becomes ragged, or starts to fall"; the first is `base_lr`, the second `max_lr`. Below the rate
/// `least` no improvement counts.
///
/// # Errors
/// Why the curve does not allow it.
pub fn papers_reading(curve: &Curve, better: Better, least: f64) -> Result<Bounds, String> {
    let way = Way::of(curve, better)?;
    let least = curve.rates.iter().position(|&rate| rate >= least).unwrap_or(0);
    let begin = way.start().max(least.min(way.top));
    let (end, max_reason) = way.end(begin);
    let percent = STARTED * 100.0;
    let name = way.name;
    let base_reason = if begin <= 1 {
        format!("{name} improves right away, from the first rates on")
    } else {
        format!(
            "{name} starts to improve: {percent} % of its way from {} to {}",
            way.shown(way.floor),
            way.shown(way.top())
        )
    };
    let rate = |index: usize| curve.rates[index];
    // A ramp may begin at 0, which is no rate to train with.
    let first = (begin..curve.len()).find(|&index| rate(index) > 0.0).unwrap_or(begin);
    Ok(Bounds { base_lr: rate(first), max_lr: rate(end), base_reason, max_reason })
}

/// The rate at which the loss starts to fall, if it does.
pub fn start_of_fall(loss: &Curve) -> Option<f64> {
    Way::of(loss, Better::Smaller).ok().map(|way| loss.rates[way.start()])
}

/// The rate at which the loss falls fastest.
///
/// # Errors
/// Why the curve does not allow it.
pub fn steepest_slope(loss: &Curve) -> Result<Rate, String> {
    let way = Way::of(loss, Better::Smaller)?;
    let half = (loss.len() / 40).max(1);
    let speed = |index: usize| way.values[index + half] - way.values[index - half];
    let places = half..(way.top + 1).min(loss.len() - half);
    let steepest = places.max_by(|&one, &other| speed(one).total_cmp(&speed(other)));
    let index = steepest.ok_or("the loss falls at the very first rates only: begin with a lower rate")?;
    let reason = format!("the loss falls fastest, at {}", stream(loss.smooth[index]));
    Ok(Rate { rate: loss.rates[index], reason })
}

/// A tenth of the rate at which the loss is lowest.
///
/// # Errors
/// Why the curve does not allow it.
pub fn minimum_over_ten(loss: &Curve) -> Result<Rate, String> {
    let way = Way::of(loss, Better::Smaller)?;
    let (rate, low) = (loss.rates[way.top], loss.smooth[way.top]);
    Ok(Rate {
        rate: rate / 10.0,
        reason: format!("a tenth of {}, where the loss is lowest, {}", stream(rate), stream(low)),
    })
}

/// A curve's way from its worst to its best, upwards whatever the metric.
struct Way {
    /// The smoothed metric, larger being better.
    values: Vec<f64>,
    /// As measured, larger being better.
    raw: Vec<f64>,
    floor: f64,
    /// Where the best value is.
    top: usize,
    noise: f64,
    name: &'static str,
    sign: f64,
}

impl Way {
    fn of(curve: &Curve, better: Better) -> Result<Self, String> {
        if curve.len() < LEAST_POINTS {
            return Err(format!("only {} points were measured, at least {LEAST_POINTS} are needed", curve.len()));
        }
        let (sign, name) = match better {
            Better::Larger => (1.0, "accuracy"),
            Better::Smaller => (-1.0, "the loss"),
        };
        let up = |values: &[f64]| values.iter().map(|value| sign * value).collect::<Vec<f64>>();
        let values = up(&curve.smooth);
        let top = highest(&values);
        let floor = values[..=top].iter().copied().fold(f64::INFINITY, f64::min);
        let way = Way { raw: up(&curve.raw), floor, top, noise: curve.noise(), name, sign, values };
        let gain = way.values[top] - floor;
        if gain > 5.0 * way.noise && gain > 0.02 * floor.abs() {
            return Ok(way);
        }
        let last = way.values.last().copied().unwrap_or(floor);
        Err(if way.values[top] - last > (5.0 * way.noise).max(0.02 * floor.abs()) {
            format!("{name} only gets worse: begin with a lower rate")
        } else {
            format!("{name} does not improve at any of these rates: take more iterations, or go to a higher rate")
        })
    }

    fn gain(&self) -> f64 {
        self.values[self.top] - self.floor
    }

    fn top(&self) -> f64 {
        self.values[self.top]
    }

    fn shown(&self, value: f64) -> String {
        stream((self.sign * value) as f32)
    }

    /// From here on the metric stays above the first part of its way, up to the best.
    fn start(&self) -> usize {
        let started = self.floor + STARTED * self.gain();
        self.values[..=self.top].iter().rposition(|&value| value < started).map_or(0, |below| below + 1)
    }

    /// The first of the three signs after `begin`, and which it was.
    fn end(&self, begin: usize) -> (usize, String) {
        let name = self.name;
        let signs = [
            (self.slows(begin), format!("{name} slows down: {} % of its highest speed", SLOW * 100.0)),
            (self.turns_ragged(begin), format!("{name} turns ragged: single tests fall back far")),
            (self.falls(begin), format!("{name} starts to get worse")),
        ];
        let first = signs.into_iter().filter_map(|(index, reason)| Some((index?, reason)));
        let first = first.min_by_key(|&(index, _)| index);
        first
            .unwrap_or_else(|| (self.top.max(begin), format!("{name} is best; it still improved where the test ended")))
    }

    /// Where the gain of the next stretch, as far as it goes up, is a small part of the largest such gain.
    fn slows(&self, begin: usize) -> Option<usize> {
        let stretch = (self.values.len() / 12).max(2);
        let gain = |window: &[f64]| window.iter().copied().fold(window[0], f64::max) - window[0];
        let gains: Vec<f64> = self.values.windows(stretch + 1).map(gain).collect();
        let last = gains.len().checked_sub(1)?.min(self.top);
        let fastest =
            (begin.saturating_sub(stretch).min(last)..=last).max_by(|&a, &b| gains[a].total_cmp(&gains[b]))?;
        let is_slow = |index: &usize| gains[*index] < SLOW * gains[fastest];
        // A pause is not the end: most of the way must be gone.
        let is_far = |index: &usize| self.top() - self.values[*index] < REST * self.gain();
        (fastest.max(begin + 1)..=last).find(|index| is_slow(index) && is_far(index))
    }

    /// Where single measured points fall far below those before them, farther than the noise of the rise explains.
    fn turns_ragged(&self, begin: usize) -> Option<usize> {
        let end = (2 * begin).max(begin + LEAST_POINTS.max(self.raw.len() / 5)).min(self.raw.len());
        let apart = self.raw[begin..end].iter().zip(&self.values[begin..end]).map(|(raw, smooth)| (raw - smooth).abs());
        let noise = 1.4826 * median(apart.collect());
        let far = (FALL * self.gain()).max(6.0 * noise);
        let mut best = f64::NEG_INFINITY;
        let mut falls = Vec::new();
        for (index, &value) in self.raw.iter().enumerate().skip(begin) {
            if best - value > far {
                falls.push(index);
            }
            best = best.max(self.values[index]);
        }
        // One fall may be an accident.
        falls
            .windows(2)
            .find(|pair| pair[1] - pair[0] <= 4)
            .map(|pair| pair[0].saturating_sub(1))
            .filter(|&at| at > begin)
    }

    /// The highest point before a lasting fall.
    fn falls(&self, begin: usize) -> Option<usize> {
        let far = (FALL * self.gain()).max(3.0 * self.noise);
        let mut peak = begin;
        for index in begin..self.values.len() {
            if self.values[index] > self.values[peak] {
                peak = index;
            } else if self.values[peak] - self.values[index] > far {
                return Some(peak).filter(|&peak| peak > begin);
            }
        }
        None
    }
}

fn highest(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&one, &other| values[one].total_cmp(&values[other])).unwrap_or(0)
}

#[cfg(test)]
#[path = "suggest_tests.rs"]
mod tests;
