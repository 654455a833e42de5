//! The maps along one axis: 6 points stand for 4 neighbouring results of a filter of 3 taps, or for 2 of one of 5.
//!
//! Results and filter are polynomials; they are multiplied by their values at 0, ±a, ±b and ∞. With a = √½ and b = √2 the maps'
//! numbers are small and a·b is 1: rounding errors stay within a few times those of the direct sum (with the usual 1 and 2
//! they are thrice as large). Each map has an adjoint, which the gradients need. Source: Lavin & Gray, "Fast Algorithms for
//! Convolutional Neural Networks", 2015; Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution
//! for Deep Neural Networks", 2020.

use std::f32::consts::{FRAC_1_SQRT_2 as A, SQRT_2 as B};

use super::lanes::Lanes;

/// Points along one axis.
pub(super) const POINTS: usize = 6;

/// The most taps of a filter along one axis.
pub(super) const MOST_TAPS: usize = 5;

/// The powers of a and of b.
const POWERS_OF_A: [f32; MOST_TAPS] = [1.0, A, 0.5, 0.5 * A, 0.25];
const POWERS_OF_B: [f32; MOST_TAPS] = [1.0, B, 2.0, 2.0 * B, 4.0];

/// The factors of a filter's values at ±a and at ±b: 1 / ∏ (point - every other point).
const AT_A: f32 = -2.0 / 3.0;
const AT_B: f32 = 1.0 / 6.0;

/// How many results a tile has, and how many taps the filters: they share the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Filters of 3×3, 4×4 results: a quarter of the direct sum's products.
    Three,
    /// Filters of 5×5, 2×2 results: 36 in place of 100 products.
    Five,
}

impl Form {
    /// The form for filters of so many taps along each axis.
    pub fn of(taps: usize) -> Option<Self> {
        match taps {
            3 => Some(Form::Three),
            5 => Some(Form::Five),
            _ => None,
        }
    }

    /// Taps of a filter along one axis.
    pub fn taps(self) -> usize {
        match self {
            Form::Three => 3,
            Form::Five => 5,
        }
    }

    /// Results of a tile along one axis.
    pub fn tile(self) -> usize {
        POINTS + 1 - self.taps()
    }

    /// How far a filter reaches to either side of its middle.
    pub fn reach(self) -> usize {
        self.taps() / 2
    }

    /// Taps of a filter.
    pub fn filter(self) -> usize {
        self.taps() * self.taps()
    }
}

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

/// Products at the six points as the results of a tile: of each power of a and b the sum of the products.
#[inline(always)]
pub(super) fn result<L: Lanes, const TILE: usize>([m0, m1, m2, m3, m4, m5]: [L; POINTS]) -> [L; TILE] {
    let even = (m1.plus(m2), m3.plus(m4));
    let odd = (m1.minus(m2), m3.minus(m4));
    let mut results = [m0.plus(even.0).plus(even.1); TILE];
    for (place, result) in results.iter_mut().enumerate().skip(1) {
        let (at_a, at_b) = if place % 2 == 0 { even } else { odd };
        let first =
            if place + 1 < TILE { at_a.times(POWERS_OF_A[place]) } else { m5.plus_times(POWERS_OF_A[place], at_a) };
        *result = first.plus_times(POWERS_OF_B[place], at_b);
    }
    results
}

/// The adjoint of [`result`].
#[inline(always)]
pub(super) fn result_gradient<L: Lanes, const TILE: usize>(gradients: [L; TILE]) -> [L; POINTS] {
    let (even_a, odd_a) = halves(gradients, POWERS_OF_A);
    let (even_b, odd_b) = halves(gradients, POWERS_OF_B);
    [
        gradients[0],
        even_a.plus_times(A, odd_a),
        even_a.plus_times(-A, odd_a),
        even_b.plus_times(B, odd_b),
        even_b.plus_times(-B, odd_b),
        gradients[TILE - 1],
    ]
}

/// The taps of a filter at the six points.
#[inline(always)]
pub(super) fn filter<L: Lanes, const TAPS: usize>(taps: [L; TAPS]) -> [L; POINTS] {
    let (even_a, odd_a) = halves(taps, POWERS_OF_A);
    let (even_b, odd_b) = halves(taps, POWERS_OF_B);
    let (even_a, odd_a) = (even_a.times(AT_A), odd_a.times(A * AT_A));
    let (even_b, odd_b) = (even_b.times(AT_B), odd_b.times(B * AT_B));
    [taps[0], even_a.plus(odd_a), even_a.minus(odd_a), even_b.plus(odd_b), even_b.minus(odd_b), taps[TAPS - 1]]
}

/// The adjoint of [`filter`].
#[inline(always)]
pub(super) fn filter_gradient<L: Lanes, const TAPS: usize>([u0, u1, u2, u3, u4, u5]: [L; POINTS]) -> [L; TAPS] {
    let even = (u1.plus(u2), u3.plus(u4));
    let odd = (u1.minus(u2), u3.minus(u4));
    let mut taps = [u0; TAPS];
    for (place, tap) in taps.iter_mut().enumerate() {
        let (at_a, at_b) = if place % 2 == 0 { even } else { odd };
        let first = if place == 0 {
            u0.plus_times(AT_A, at_a)
        } else if place + 1 < TAPS {
            at_a.times(POWERS_OF_A[place] * AT_A)
        } else {
            u5.plus_times(POWERS_OF_A[place] * AT_A, at_a)
        };
        *tap = first.plus_times(POWERS_OF_B[place] * AT_B, at_b);
    }
    taps
}

/// The even terms of a polynomial, and its odd ones over the power of 1.
#[inline(always)]
fn halves<L: Lanes, const TERMS: usize>(terms: [L; TERMS], powers: [f32; MOST_TAPS]) -> (L, L) {
    let (mut even, mut odd) = (terms[0], terms[1]);
    for (place, term) in terms.into_iter().enumerate().skip(2) {
        if place % 2 == 0 {
            even = even.plus_times(powers[place], term);
        } else {
            odd = odd.plus_times(powers[place - 1], term);
        }
    }
    (even, odd)
}
