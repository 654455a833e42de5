//! Axes: which values they show, where a value stands, where ticks are and what they say.

use super::{Axis, Scale};

/// An axis whose ends are settled.
#[derive(Debug, Clone)]
pub(super) struct Ruler {
    scale: Scale,
    low: f64,
    high: f64,
    /// Where ticks are, in order.
    pub ticks: Vec<Tick>,
}

/// A place on an axis that is named.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub value: f64,
    /// Empty for the lines between decades.
    pub label: String,
}

impl Ruler {
    /// The ruler for these values with about `count` ticks; `roomy` axes end at ticks, others at the first and last value.
    pub fn new(axis: &Axis, values: impl Iterator<Item = f64>, count: usize, roomy: bool) -> Self {
        let usable = |value: &f64| value.is_finite() && (axis.scale == Scale::Linear || *value > 0.0);
        let found = values.filter(usable).fold(None, |range: Option<(f64, f64)>, value| {
            Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let given = axis.range.filter(|(low, high)| usable(low) && usable(high) && low < high);
        let roomy = roomy && given.is_none();
        match axis.scale {
            Scale::Linear => linear(given.or(found).unwrap_or((0.0, 1.0)), count, roomy),
            Scale::Log => logarithmic(given.or(found).unwrap_or((0.1, 1.0)), count),
        }
    }

    /// Where a value stands: 0 at the lower end, 1 at the upper one. None for a value that has no place.
    pub fn place(&self, value: f64) -> Option<f64> {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        place.is_finite().then_some(place)
    }
}

fn linear((mut low, mut high): (f64, f64), count: usize, roomy: bool) -> Ruler {
    if roomy && low > 0.0 && low < 0.35 * high {
        low = 0.0;
    }
    if high - low <= 1e-12 * high.abs().max(low.abs()) {
        // One value: it stands in the middle.
        let half = if low == 0.0 { 0.5 } else { low.abs() / 2.0 };
        (low, high) = (low - half, high + half);
    }
    let step = nice_step((high - low) / count.max(1) as f64);
    if roomy {
        low = (low / step + 1e-9).floor() * step;
        high = (high / step - 1e-9).ceil() * step;
    }
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    let ticks = (first..=last).map(|index| tick(index as f64 * step, step, low.abs().max(high.abs()))).collect();
    Ruler { scale: Scale::Linear, low, high, ticks }
}

/// The step of 1, 2, 2.5 or 5 times a power of ten that is nearest above.
fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= rough * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

fn logarithmic((mut low, mut high): (f64, f64), count: usize) -> Ruler {
    if high / low < 1.01 {
        (low, high) = (low / 2.0, high * 2.0);
    }
    let decades = (high / low).log10();
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    // Many decades: some are named. Few: steps between them too.
    let every = (decades / count.max(1) as f64).ceil().max(1.0) as i32;
    let named: &[u32] = match decades {
        ..1.6 => &[1, 2, 3, 5],
        1.6..2.8 => &[1, 3],
        _ => &[1],
    };
    let powers = low < 9.9e-4 || high > 1e5;
    let mut ticks = Vec::new();
    for exponent in first..=last {
        for digit in 1..10 {
            let value = f64::from(digit) * 10f64.powi(exponent);
            if value < low * (1.0 - 1e-9) || value > high * (1.0 + 1e-9) {
                continue;
            }
            let label = match named.contains(&digit) && exponent.rem_euclid(every) == 0 {
                true if powers => format!("{digit}e{exponent}"),
                true => plain(value, (-exponent).max(0) as usize),
                false => String::new(),
            };
            ticks.push(Tick { value, label });
        }
    }
    Ruler { scale: Scale::Log, low, high, ticks }
}

fn tick(value: f64, step: f64, largest: f64) -> Tick {
    let label = if value == 0.0 {
        "0".to_string()
    } else if !(1e-3..1e8).contains(&largest) {
        power(value, step)
    } else {
        plain(value, decimals(step))
    };
    Tick { value, label }
}

/// Decimals that tell multiples of a step apart.
fn decimals(step: f64) -> usize {
    (0..12)
        .find(|places| (step * 10f64.powi(*places)).fract().min(1.0 - (step * 10f64.powi(*places)).fract()) < 1e-6)
        .unwrap_or(12) as usize
}

/// `1,234.50`, with a true minus sign.
fn plain(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "−" } else { "" };
    if fraction.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{fraction}") }
}

/// `2.5e-5`.
fn power(value: f64, step: f64) -> String {
    let exponent = (value.abs() * (1.0 + 1e-9)).log10().floor() as i32;
    let places = decimals(step / 10f64.powi(exponent)).min(6);
    let text = format!("{:.places$}e{exponent}", value.abs() / 10f64.powi(exponent));
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, values: &[f64], count: usize, roomy: bool) -> Vec<String> {
        let ticks = Ruler::new(axis, values.iter().copied(), count, roomy).ticks;
        ticks.into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn ticks_are_round_numbers_with_as_many_decimals_as_they_need() {
        let linear = Axis::linear("");
        assert_eq!(labels(&linear, &[0.0, 25_000.0], 6, false), ["0", "5,000", "10,000", "15,000", "20,000", "25,000"]);
        assert_eq!(labels(&linear, &[0.1, 0.77], 5, true), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(labels(&linear, &[0.001, 0.006], 5, true), ["0", "0.002", "0.004", "0.006"]);
        assert_eq!(labels(&linear, &[0.0, 1e-4], 4, true), ["0", "2.5e-5", "5.0e-5", "7.5e-5", "1.00e-4"]);
        assert_eq!(labels(&linear, &[-1.0, 1.0], 4, true), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
    }

    #[test]
    fn decades_are_named_on_logarithmic_axes() {
        let log = Axis::log("");
        assert_eq!(labels(&log, &[1e-5, 1.0], 8, false), ["1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1e0"]);
        assert_eq!(labels(&log, &[0.01, 10.0], 8, false), ["0.01", "0.1", "1", "10"]);
        assert_eq!(labels(&log, &[0.001, 0.02], 8, false), ["0.001", "0.002", "0.003", "0.005", "0.01", "0.02"]);
        assert_eq!(labels(&log, &[1e-12, 1.0], 5, false), ["1e-12", "1e-9", "1e-6", "1e-3", "1e0"]);
    }

    #[test]
    fn axes_exist_without_values_and_with_one() {
        for axis in [Axis::linear(""), Axis::log("")] {
            for values in [&[][..], &[f64::NAN, f64::INFINITY], &[0.25], &[0.0], &[-3.0]] {
                let ruler = Ruler::new(&axis, values.iter().copied(), 5, true);
                assert!(ruler.ticks.len() >= 2, "{axis:?} {values:?}");
                let places: Vec<f64> = ruler.ticks.iter().map(|tick| ruler.place(tick.value).unwrap()).collect();
                assert!(places.is_sorted() && places.iter().all(|place| (-0.01..=1.01).contains(place)), "{places:?}");
            }
        }
    }

    #[test]
    fn what_has_no_place_on_an_axis_gets_none() {
        let log = Ruler::new(&Axis::log(""), [0.1, 10.0].into_iter(), 5, false);
        assert_eq!(log.place(1.0), Some(0.5));
        assert_eq!((log.place(0.0), log.place(-1.0), log.place(f64::NAN)), (None, None, None));
        let given = Ruler::new(&Axis::linear("").within(0.0, 4.0), [87.3].into_iter(), 4, true);
        assert_eq!((given.place(0.0), given.place(4.0)), (Some(0.0), Some(1.0)));
    }
}
