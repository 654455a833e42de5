//! Numbers that differ: how many, which first, by how much.

use std::fmt;

use crate::prototxt::number::stream;

/// The differences between two rows of numbers that are not equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Numbers compared.
    pub count: usize,
    /// Those that are not equal.
    pub differing: usize,
    /// The first of them: where (an index, an iteration), and both numbers.
    pub first: (String, f64, f64),
    /// The place of the largest difference.
    pub largest_at: String,
    /// The largest difference; infinite where one number is NaN or infinite and the other is not the same.
    pub absolute: f64,
    /// The largest relative difference.
    pub relative: f64,
    /// The largest difference in units of the last place, of the numbers as f32.
    pub ulp: u64,
}

/// What a difference is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The larger of the two numbers.
    Own,
    /// The largest of all numbers.
    Largest,
}

/// Compares pairs of numbers; `place` names one. `None` when all are equal.
pub fn compare(
    pairs: impl Iterator<Item = (f64, f64)> + Clone,
    scale: Scale,
    place: impl Fn(usize) -> String,
) -> Option<Values> {
    let size = |(a, b): (f64, f64)| a.abs().max(b.abs());
    let is_equal = |(a, b): (f64, f64)| a == b || a.is_nan() && b.is_nan();
    let mut first = None;
    let (mut count, mut differing, mut ulp) = (0, 0, 0);
    let mut absolute = (0.0, 0);
    let mut relative = 0.0f64;
    for (index, pair) in pairs.clone().enumerate() {
        count += 1;
        if is_equal(pair) {
            continue;
        }
        differing += 1;
        first.get_or_insert((index, pair.0, pair.1));
        let difference = (pair.0 - pair.1).abs();
        let difference = if difference.is_finite() { difference } else { f64::INFINITY };
        if difference > absolute.0 {
            absolute = (difference, index);
        }
        if scale == Scale::Own {
            relative = relative.max(ratio(difference, size(pair)));
        }
        ulp = ulp.max(ulps(pair));
    }
    let (index, a, b) = first?;
    if scale == Scale::Largest {
        let largest = pairs.map(size).filter(|size| size.is_finite()).fold(0.0, f64::max);
        relative = ratio(absolute.0, largest);
    }
    Some(Values {
        count,
        differing,
        first: (place(index), a, b),
        largest_at: place(absolute.1),
        absolute: absolute.0,
        relative,
        ulp,
    })
}

fn ratio(difference: f64, size: f64) -> f64 {
    if difference.is_finite() { difference / size } else { f64::INFINITY }
}

/// How many f32 lie between two numbers.
fn ulps((a, b): (f64, f64)) -> u64 {
    let (a, b) = (a as f32, b as f32);
    if a.is_nan() || b.is_nan() {
        return u64::from(u32::MAX);
    }
    let ordered = |value: f32| {
        let bits = i64::from(value.to_bits() & 0x7fff_ffff);
        if value.is_sign_negative() { -bits } else { bits }
    };
    ordered(a).abs_diff(ordered(b))
}

/// A number in as few digits as give the f32 back, where it is one.
fn shortest(value: f64) -> String {
    let narrow = value as f32;
    if f64::from(narrow) == value || value.is_nan() { format!("{narrow:?}") } else { format!("{value:?}") }
}

impl fmt::Display for Values {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, a, b) = &self.first;
        if self.count > 1 {
            write!(out, "{} of {} differ, first at {place}: ", self.differing, self.count)?;
        }
        write!(out, "{} and {}; ", shortest(*a), shortest(*b))?;
        if self.differing > 1 {
            write!(out, "largest at {}: ", self.largest_at)?;
        }
        if self.absolute.is_infinite() {
            return write!(out, "one of them is not finite");
        }
        let (absolute, relative) = (stream(self.absolute), stream(self.relative));
        write!(out, "absolute {absolute}, relative {relative}, {} ULP", self.ulp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(a: &[f64], b: &[f64], scale: Scale) -> Option<Values> {
        compare(a.iter().copied().zip(b.iter().copied()), scale, |index| index.to_string())
    }

    #[test]
    fn first_and_largest() {
        let values = found(&[1.0, 2.0, 100.0], &[1.0, 2.5, 101.0], Scale::Largest).unwrap();
        assert_eq!(
            (values.count, values.differing, values.first.0.as_str(), values.largest_at.as_str()),
            (3, 2, "1", "2")
        );
        assert_eq!((values.absolute, values.relative), (1.0, 1.0 / 101.0));
        assert_eq!(found(&[1.0, 2.0, 100.0], &[1.0, 2.5, 101.0], Scale::Own).unwrap().relative, 0.2);
        let next = f64::from(f32::from_bits(1.0f32.to_bits() + 3));
        assert_eq!(found(&[1.0], &[next], Scale::Own).unwrap().ulp, 3);
        assert_eq!(ulps((0.0, -f64::from(f32::from_bits(2)))), 2);
    }

    #[test]
    fn what_is_not_finite_differs_without_bound() {
        let nan = f64::NAN;
        assert_eq!(found(&[nan, 0.0, f64::INFINITY], &[nan, -0.0, f64::INFINITY], Scale::Own), None);
        for (a, b) in [(nan, 1.0), (f64::INFINITY, 1.0), (f64::INFINITY, -f64::INFINITY), (1.0, nan)] {
            for scale in [Scale::Own, Scale::Largest] {
                let values = found(&[a], &[b], scale).unwrap();
                assert_eq!((values.absolute, values.relative), (f64::INFINITY, f64::INFINITY), "{a} {b}");
            }
        }
    }
}
