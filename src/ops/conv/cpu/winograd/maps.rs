//! The maps of F(4, 3) along one axis: 6 points stand for 4 neighbouring results of a filter of 3 taps.
//!
//! Results and filter are polynomials; they are multiplied by their values at 0, ±a, ±b and ∞. With a = √½ and b = √2 the maps'
//! numbers are small and a·b is 1: rounding errors stay within a few times those of the direct sum (with the usual 1 and 2
//! they are thrice as large). Each map has an adjoint, which the gradients need. Source: Lavin & Gray, "Fast Algorithms for
//! Convolutional Neural Networks", 2015; Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution
//! for Deep Neural Networks", 2020.

use std::f32::consts::{FRAC_1_SQRT_2 as A, SQRT_2 as B};

use super::lanes::{Lanes, TILE};

/// Points along one axis.
pub(super) const POINTS: usize = 6;

/// Taps of a filter along one axis.
pub(super) const TAPS: usize = 3;

/// The factors of a filter's values at ±a and at ±b: 1 / ∏ (point - every other point).
const AT_A: f32 = -2.0 / 3.0;
const AT_B: f32 = 1.0 / 6.0;

/// Six neighbouring values of a source at the six points.
#[inline(always)]
pub(super) fn source<L: Lanes>([d0, d1, d2, d3, d4, d5]: [L; POINTS]) -> [L; POINTS] {
    let (even_a, odd_a) = (d4.plus_times(-2.0, d2), d3.plus_times(-2.0, d1));
    let (even_b, odd_b) = (d4.plus_times(-0.5, d2), d3.plus_times(-0.5, d1));
    [
        d0.plus(d4).plus_times(-2.5, d2),
        even_a.plus_times(A, odd_a),
        even_a.plus_times(-A, odd_a),
        even_b.plus_times(B, odd_b),
        even_b.plus_times(-B, odd_b),
        d1.plus(d5).plus_times(-2.5, d3),
    ]
}

/// Products at the six points as four results.
#[inline(always)]
pub(super) fn result<L: Lanes>([m0, m1, m2, m3, m4, m5]: [L; POINTS]) -> [L; TILE] {
    let (sum_a, difference_a) = (m1.plus(m2), m1.minus(m2));
    let (sum_b, difference_b) = (m3.plus(m4), m3.minus(m4));
    [
        m0.plus(sum_a).plus(sum_b),
        difference_a.times(A).plus_times(B, difference_b),
        sum_a.times(0.5).plus_times(2.0, sum_b),
        m5.plus_times(0.5 * A, difference_a).plus_times(2.0 * B, difference_b),
    ]
}

/// The adjoint of [`result`].
#[inline(always)]
pub(super) fn result_gradient<L: Lanes>([y0, y1, y2, y3]: [L; TILE]) -> [L; POINTS] {
    let (even_a, odd_a) = (y0.plus_times(0.5, y2), y1.plus_times(0.5, y3));
    let (even_b, odd_b) = (y0.plus_times(2.0, y2), y1.plus_times(2.0, y3));
    [
        y0,
        even_a.plus_times(A, odd_a),
        even_a.plus_times(-A, odd_a),
        even_b.plus_times(B, odd_b),
        even_b.plus_times(-B, odd_b),
        y3,
    ]
}

/// The three taps of a filter at the six points.
#[inline(always)]
pub(super) fn filter<L: Lanes>([g0, g1, g2]: [L; TAPS]) -> [L; POINTS] {
    let (even_a, odd_a) = (g0.plus_times(0.5, g2).times(AT_A), g1.times(A * AT_A));
    let (even_b, odd_b) = (g0.plus_times(2.0, g2).times(AT_B), g1.times(B * AT_B));
    [g0, even_a.plus(odd_a), even_a.minus(odd_a), even_b.plus(odd_b), even_b.minus(odd_b), g2]
}

/// The adjoint of [`filter`].
#[inline(always)]
pub(super) fn filter_gradient<L: Lanes>([u0, u1, u2, u3, u4, u5]: [L; POINTS]) -> [L; TAPS] {
    let (sum_a, difference_a) = (u1.plus(u2), u1.minus(u2));
    let (sum_b, difference_b) = (u3.plus(u4), u3.minus(u4));
    [
        u0.plus_times(AT_A, sum_a).plus_times(AT_B, sum_b),
        difference_a.times(A * AT_A).plus_times(B * AT_B, difference_b),
        u5.plus_times(0.5 * AT_A, sum_a).plus_times(2.0 * AT_B, sum_b),
    ]
}
