//! A measured curve over the learning rate: what is no number left out, spikes taken away, noise smoothed.

use std::str::FromStr;

/// How a curve is smoothed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Smoothing {
    /// The mean of so many points, half of them before and half behind.
    Mean(usize),
    /// Each point is so much of the smoothed one before it, and the rest of itself; corrected for the missing past of the first.
    Exponential(f64),
}

impl FromStr for Smoothing {
    type Err = String;

    /// `mean:N` or `exp:B`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no smoothing; write mean:POINTS (1 for none) or exp:FACTOR (0 to below 1)");
        let (kind, number) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "mean" => number.parse().ok().filter(|&points| points > 0).map(Smoothing::Mean).ok_or_else(wrong),
            "exp" => {
                let factor = number.parse().ok().filter(|factor| (0.0..1.0).contains(factor));
                factor.map(Smoothing::Exponential).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

/// A metric over the learning rate, in the order of the ramp.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// The learning rates.
    pub rates: Vec<f64>,
    /// The metric as measured.
    pub raw: Vec<f64>,
    /// The metric smoothed.
    pub smooth: Vec<f64>,
}

impl Curve {
    /// The curve of these (rate, value) pairs. Pairs that are not finite are left out; without a smoothing it is the mean of a
    /// twentieth of the points, at least three.
    pub fn new(points: impl IntoIterator<Item = (f64, f64)>, smoothing: Option<Smoothing>) -> Self {
        let finite = points.into_iter().filter(|(rate, value)| rate.is_finite() && value.is_finite());
        let (rates, raw): (Vec<f64>, Vec<f64>) = finite.unzip();
        let steady = without_spikes(&raw);
        let smooth = match smoothing.unwrap_or(Smoothing::Mean((raw.len() / 20).max(3))) {
            Smoothing::Mean(points) => mean(&steady, points),
            Smoothing::Exponential(factor) => exponential(&steady, factor),
        };
        Curve { rates, raw, smooth }
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.rates.len()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }

    /// The noise: how far a point lies from the smoothed curve, as a standard deviation that a few far ones do not change.
    pub fn noise(&self) -> f64 {
        1.4826 * median(self.raw.iter().zip(&self.smooth).map(|(raw, smooth)| (raw - smooth).abs()).collect())
    }

    /// The smoothed curve as pairs.
    pub fn smooth_points(&self) -> Vec<(f64, f64)> {
        self.rates.iter().copied().zip(self.smooth.iter().copied()).collect()
    }

    /// The measured points as pairs.
    pub fn raw_points(&self) -> Vec<(f64, f64)> {
        self.rates.iter().copied().zip(self.raw.iter().copied()).collect()
    }
}

/// Puts the median of its neighbourhood in the place of a point that lies far from all of it (Hampel's filter). The
/// neighbourhood is a thirtieth of the points, at least seven; those at an end have the same one.
fn without_spikes(values: &[f64]) -> Vec<f64> {
    let size = (values.len() / 30).max(7).min(values.len());
    let steady = |index: usize| {
        let begin = index.saturating_sub(size / 2).min(values.len() - size);
        let around = &values[begin..begin + size];
        let middle = median(around.to_vec());
        let spread = 1.4826 * median(around.iter().map(|value| (value - middle).abs()).collect());
        if (values[index] - middle).abs() > 5.0 * spread { middle } else { values[index] }
    };
    (0..values.len()).map(steady).collect()
}

/// The middle value; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// The mean of a window that shrinks towards both ends, so that it stays centred.
fn mean(values: &[f64], points: usize) -> Vec<f64> {
    let half = points / 2;
    let at = |index: usize| {
        let half = half.min(index).min(values.len() - 1 - index);
        let window = &values[index - half..=index + half];
        window.iter().sum::<f64>() / window.len() as f64
    };
    (0..values.len()).map(at).collect()
}

fn exponential(values: &[f64], factor: f64) -> Vec<f64> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut next = |value: &f64| {
        sum = factor * sum + (1.0 - factor) * value;
        weight = factor * weight + (1.0 - factor);
        sum / weight
    };
    values.iter().map(&mut next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smooth(values: &[f64], smoothing: Smoothing) -> Vec<f64> {
        Curve::new(values.iter().enumerate().map(|(rate, &value)| (rate as f64, value)), Some(smoothing)).smooth
    }

    #[test]
    fn means_are_centred_and_a_line_stays_a_line() {
        let line: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(smooth(&line, Smoothing::Mean(5)), line);
        assert_eq!(smooth(&line, Smoothing::Mean(1)), line);
    }

    #[test]
    fn the_exponential_mean_begins_with_the_first_point() {
        let smooth = smooth(&[4.0, 5.0, 6.0, 7.0, 8.0, 9.0], Smoothing::Exponential(0.5));
        assert_eq!(smooth[0], 4.0);
        assert!((smooth[1] - (0.5 * 5.0 + 0.25 * 4.0) / 0.75).abs() < 1e-12);
    }

    #[test]
    fn spikes_and_what_is_no_number_do_not_count() {
        let values = [2.0, 1.9, 50.0, 1.7, 1.6, f64::NAN, 1.5, 1.4, f64::INFINITY];
        let curve = Curve::new(values.iter().map(|&value| (1.0, value)), Some(Smoothing::Mean(3)));
        assert_eq!(curve.len(), 7);
        assert!(curve.smooth.iter().all(|value| (1.3..2.1).contains(value)), "{:?}", curve.smooth);
        assert_eq!(curve.raw[2], 50.0);
        assert!(Curve::new([], None).is_empty());
    }

    #[test]
    fn smoothings_are_written_so() {
        assert_eq!("mean:9".parse(), Ok(Smoothing::Mean(9)));
        assert_eq!("exp:0.98".parse(), Ok(Smoothing::Exponential(0.98)));
        for wrong in ["mean", "mean:0", "exp:1", "loess:3"] {
            assert!(wrong.parse::<Smoothing>().unwrap_err().contains("mean:POINTS"));
        }
    }
}
