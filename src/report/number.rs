//! Numbers as a C++ stream prints them by default: six significant digits, no trailing zeros (`%g`).
//!
//! Caffe's log tools read these, and a log of rcaffe can be compared with one of Caffe character by character.

use std::fmt;

/// Digits that a C++ stream shows by default.
const DEFAULT_PRECISION: i32 = 6;

/// Digits that tell any two f32 apart.
const EXACT_PRECISION: i32 = 9;

/// A number that prints as `std::cout << value` does.
///
/// ```
/// use rcaffe::report::number::general;
///
/// assert_eq!(general(0.00001_f32).to_string(), "1e-05");
/// assert_eq!(general(0.0599999_f32).to_string(), "0.0599999");
/// assert_eq!(general(6553600.0_f32).to_string(), "6.5536e+06");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct General {
    value: f64,
    precision: i32,
}

/// A number as `std::cout << value` prints it.
pub fn general(value: impl Into<f64>) -> General {
    General { value: value.into(), precision: DEFAULT_PRECISION }
}

/// An f32 with nine digits (`%.9g`): what is printed reads back as the same value.
pub fn exact(value: f32) -> General {
    General { value: value.into(), precision: EXACT_PRECISION }
}

impl fmt::Display for General {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let General { value, precision } = *self;
        if value.is_sign_negative() {
            out.write_str("-")?;
        }
        if value.is_nan() {
            return out.write_str("nan");
        }
        if value.is_infinite() {
            return out.write_str("inf");
        }
        // The exponent is that of the rounded number: 999999.5 is 1e+06.
        let scientific = format!("{:.*e}", precision as usize - 1, value.abs());
        let Some((digits, exponent)) = scientific.split_once('e') else { return out.write_str(&scientific) };
        let exponent: i32 = exponent.parse().map_err(|_| fmt::Error)?;
        if (-4..precision).contains(&exponent) {
            let decimals = (precision - 1 - exponent) as usize;
            out.write_str(without_trailing_zeros(&format!("{:.decimals$}", value.abs())))
        } else {
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(out, "{}e{sign}{:02}", without_trailing_zeros(digits), exponent.abs())
        }
    }
}

/// `2.500` → `2.5`, `3.000` → `3`; whole numbers stay as they are.
fn without_trailing_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each pair was printed by a C++ stream.
    #[test]
    fn prints_as_a_cpp_stream() {
        let cases: [(f64, &str); 26] = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (10.0, "10"),
            (100000.0, "100000"),
            (123456.0, "123456"),
            (1234567.0, "1.23457e+06"),
            (999999.5, "1e+06"),
            (999999.4, "999999"),
            (1e6, "1e+06"),
            (6553600.0, "6.5536e+06"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000099999999, "0.0001"),
            (0.0000123456789, "1.23457e-05"),
            (2.25635449, "2.25635"),
            (2.5, "2.5"),
            (0.5, "0.5"),
            (1e-300, "1e-300"),
            (1e100, "1e+100"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN.copysign(1.0), "nan"),
            (f64::NAN.copysign(-1.0), "-nan"),
        ];
        for (value, expected) in cases {
            assert_eq!(general(value).to_string(), expected);
        }
    }

    /// A learning rate of the paper's range test: the f32 is a little below 0.06, and Caffe's log shows it.
    #[test]
    fn a_float_is_printed_by_its_own_value() {
        assert_eq!(general(0.0599999_f32).to_string(), "0.0599999");
        assert_eq!(general(0.001_f32).to_string(), "0.001");
        assert_eq!(general(0.1_f32 * 3.0).to_string(), "0.3");
    }

    proptest! {
        /// Six digits give the number back to half a unit of the sixth digit.
        #[test]
        fn reads_back_to_six_digits(value in prop::num::f32::NORMAL) {
            let read: f64 = general(value).to_string().parse().unwrap();
            prop_assert!((read - f64::from(value)).abs() <= 5.0001e-6 * f64::from(value).abs());
        }
    }
}
