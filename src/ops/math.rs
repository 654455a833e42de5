//! Functions of one value that a compiler can turn into vector code: no branches, no calls.
//!
//! Each is within 3 units in the last place of the exact value (tests below), and NaN in gives NaN out.

/// Adding and subtracting 1.5·2²³ rounds to the nearest integer, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;

/// eˣ. The argument is split into `n·ln 2 + r` with |r| ≤ ln 2 / 2; the polynomial for eʳ is that of the Cephes library.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Beyond these bounds the result is 0 or infinite anyway; comparisons are written so that NaN stays.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    // ln 2 in two parts; n times the first, 355/512, is exact.
    let r = x - n * (355.0 / 512.0);
    let r = r - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4_f32;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    let p = (p * (r * r) + r) + 1.0;
    // 2ⁿ in two factors, so that results near both ends of the range come out right.
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// eˣ, the nearest f32 to it: computed in f64, with the series of eʳ up to r¹¹. For few values, such as those of a softmax.
#[inline(always)]
pub fn exp_nearest(x: f32) -> f32 {
    /// Adding and subtracting 1.5·2⁵² rounds to the nearest integer, which then stands in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = f64::from(x);
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let r = x - (rounded - ROUND) * std::f64::consts::LN_2;
    let mut p = 1.0;
    for divisor in [11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        p = p * (r * (1.0 / divisor)) + 1.0;
    }
    let n = (rounded.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64);
    (p * f64::from_bits((n.wrapping_add(1023) << 52) as u64)) as f32
}

/// 2ⁿ for -126 ≤ n ≤ 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent: a polynomial (that of the Cephes library) below 0.625, 1 - 2/(e²ˣ+1) above.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let square = x * x;
    let mut p = -5.704_988_7e-3_f32;
    for coefficient in [2.063_909e-2, -5.373_972e-2, 1.333_144_2e-1, -3.333_328e-1] {
        p = p * square + coefficient;
    }
    let near = p * square * x + x;
    let far = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    if x.abs() < 0.625 { near } else { far.copysign(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error in units in the last place of the exact result, over a sweep of `from..to`.
    fn worst(from: f32, to: f32, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let steps = 400_000;
        let error = |step: i32| {
            let x = from + (to - from) * (step as f32 / steps as f32);
            let expected = exact(f64::from(x));
            let nearest = expected as f32;
            let unit = f64::from(nearest.abs().next_up() - nearest.abs());
            (f64::from(f(x)) - expected).abs() / unit
        };
        (0..=steps).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn within_three_units_in_the_last_place() {
        let sigmoid_exact = |x: f64| 1.0 / (1.0 + (-x).exp());
        assert!(worst(-87.0, 88.7, exp, f64::exp) < 1.0);
        assert!(worst(-1.0, 1.0, exp, f64::exp) < 1.0);
        assert!(worst(-104.0, 88.7, exp_nearest, f64::exp) < 0.501);
        assert!(worst(-30.0, 30.0, sigmoid, sigmoid_exact) < 3.0);
        assert!(worst(-10.0, 10.0, tanh, f64::tanh) < 3.0);
        assert!(worst(-0.7, 0.7, tanh, f64::tanh) < 3.0);
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!((exp(0.0), exp(-200.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
        assert_eq!((exp(200.0), exp(f32::INFINITY)), (f32::INFINITY, f32::INFINITY));
        assert!(exp(-100.0) > 0.0, "results below the normal range do not vanish");
        assert_eq!((exp_nearest(0.0), exp_nearest(-200.0), exp_nearest(200.0)), (1.0, 0.0, f32::INFINITY));
        assert!(exp_nearest(-100.0) > 0.0 && exp_nearest(f32::NAN).is_nan());
        assert_eq!((tanh(0.0), tanh(40.0), tanh(f32::NEG_INFINITY)), (0.0, 1.0, -1.0));
        assert_eq!((sigmoid(-200.0), sigmoid(0.0), sigmoid(200.0)), (0.0, 0.5, 1.0));
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
    }
}
