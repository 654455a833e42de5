//! Numbers as C's `printf` and protobuf's C++ library write them.

/// `%.{digits}g`: that many significant digits, no trailing zeros, an exponent where the number is very large or small.
pub fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        return format!("{sign}{}", if value.is_nan() { "nan" } else { "inf" });
    }
    // The exponent is that of the rounded number: 999999.5 in six digits is 1e+06.
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent) as usize;
    without_trailing_zeros(&format!("{value:.decimals$}")).to_string()
}

fn without_trailing_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A number as a C++ stream prints it by default: six significant digits (`%g`). Caffe's log lines hold such numbers.
///
/// ```
/// use rcaffe::prototxt::number::stream;
///
/// assert_eq!(stream(0.00001_f32), "1e-05");
/// assert_eq!(stream(0.0599999_f32), "0.0599999");
/// assert_eq!(stream(6553600.0_f32), "6.5536e+06");
/// ```
pub fn stream(value: impl Into<f64>) -> String {
    general(value.into(), 6)
}

/// An f32 in six digits if these give it back, else in nine. Subnormal numbers always take nine: the C++ library reads them
/// back with an underflow, which it counts as not read back.
pub fn float(value: f32) -> String {
    if value.is_nan() {
        return "nan".to_string();
    }
    let short = general(value.into(), 6);
    if !value.is_subnormal() && short.parse() == Ok(value) { short } else { general(value.into(), 9) }
}

/// An f64 in fifteen digits if these give it back, else in seventeen.
pub fn double(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_string();
    }
    let short = general(value, 15);
    if short.parse() == Ok(value) { short } else { general(value, 17) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each pair was printed by protobuf 3.21's C++ library.
    #[test]
    fn floats_as_protobuf_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-8, "1e-08"),
            (123456.0, "123456"),
            (1234567.0, "1234567"),
            (0.0599999, "0.0599999"),
            (1.0 / 3.0, "0.333333343"),
            (16777216.0, "16777216"),
            (1e10, "1e+10"),
            (3.4028235e38, "3.40282347e+38"),
            (1e-45, "1.40129846e-45"),
            (f32::INFINITY, "inf"),
            (f32::NEG_INFINITY, "-inf"),
            (f32::NAN, "nan"),
        ] {
            assert_eq!(float(value), text);
        }
        assert_eq!(double(0.1), "0.1");
        assert_eq!(double(1.0 / 3.0), "0.33333333333333331");
        assert_eq!(double(1e300), "1e+300");
    }

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
            assert_eq!(stream(value), expected);
        }
    }

    /// A learning rate of the paper's range test: the f32 is a little below 0.06, and Caffe's log shows it.
    #[test]
    fn a_float_is_printed_by_its_own_value() {
        assert_eq!(stream(0.0599999_f32), "0.0599999");
        assert_eq!(stream(0.001_f32), "0.001");
        assert_eq!(stream(0.1_f32 * 3.0), "0.3");
    }

    proptest! {
        /// Six digits give the number back to half a unit of the sixth digit.
        #[test]
        fn reads_back_to_six_digits(value in prop::num::f32::NORMAL) {
            let read: f64 = stream(value).parse().unwrap();
            prop_assert!((read - f64::from(value)).abs() <= 5.0001e-6 * f64::from(value).abs());
        }
    }
}
