//! Numbers as C's `printf` and protobuf's C++ library write them.

/// `%.{digits}g`: that many significant digits, no trailing zeros, an exponent where the number is very large or small.
pub fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
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

/// An f32 in six digits if these give it back, else in nine. Subnormal numbers always take nine: the C++ library reads them
/// back with an underflow, which it counts as not read back.
pub fn float(value: f32) -> String {
    let short = general(value.into(), 6);
    if value.is_nan() || (!value.is_subnormal() && short.parse() == Ok(value)) {
        short
    } else {
        general(value.into(), 9)
    }
}

/// An f64 in fifteen digits if these give it back, else in seventeen.
pub fn double(value: f64) -> String {
    let short = general(value, 15);
    if value.is_nan() || short.parse() == Ok(value) { short } else { general(value, 17) }
}

#[cfg(test)]
mod tests {
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
}
