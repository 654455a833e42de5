//! The passes over values that s^(-β) takes part in, whatever s comes from.

use super::LANES;
use crate::ops::vector::widest;

/// A power that does not change from value to value; the usual exponents are products of square roots, which are vector
/// instructions.
#[derive(Clone, Copy)]
pub(super) enum InversePower {
    ThreeQuarters,
    Half,
    One,
    Any(f32),
}

impl InversePower {
    pub fn of(beta: f32) -> Self {
        match beta {
            0.75 => InversePower::ThreeQuarters,
            0.5 => InversePower::Half,
            1.0 => InversePower::One,
            beta => InversePower::Any(beta),
        }
    }

    /// Calls `work` with the function s ↦ s^(-β), each exponent compiled by itself.
    #[inline(always)]
    pub fn with(self, mut work: impl PowerLoop) {
        match self {
            InversePower::ThreeQuarters => widest(
                #[inline(always)]
                || {
                    work.run(|s: f32| {
                        let root = s.sqrt();
                        1.0 / (root * root.sqrt())
                    })
                },
            ),
            InversePower::Half => widest(
                #[inline(always)]
                || work.run(|s: f32| 1.0 / s.sqrt()),
            ),
            InversePower::One => widest(
                #[inline(always)]
                || work.run(|s: f32| 1.0 / s),
            ),
            InversePower::Any(beta) => work.run(|s: f32| s.powf(-beta)),
        }
    }
}

/// A loop over values that raises some of them to a power.
pub(super) trait PowerLoop {
    fn run(&mut self, power: impl Fn(f32) -> f32);
}

/// Where s comes from.
pub(super) trait Scales {
    /// s of as many places as a vector holds, from this one on.
    fn block(&self, place: usize) -> [f32; LANES];

    /// s of this place.
    fn one(&self, place: usize) -> f32;
}

/// They were computed before.
impl Scales for &[f32] {
    #[inline(always)]
    fn block(&self, place: usize) -> [f32; LANES] {
        *self[place..].first_chunk().expect("as many as there are places")
    }

    #[inline(always)]
    fn one(&self, place: usize) -> f32 {
        self[place]
    }
}

/// y = x · s^(-β).
pub(super) struct Forward<'a, S> {
    pub scales: S,
    pub x: &'a [f32],
    pub y: &'a mut [f32],
}

impl<S: Scales> PowerLoop for Forward<'_, S> {
    #[inline(always)]
    fn run(&mut self, power: impl Fn(f32) -> f32) {
        let (blocks, rest) = self.y.as_chunks_mut::<LANES>();
        let (x_blocks, x_rest) = self.x.as_chunks::<LANES>();
        let start = blocks.len() * LANES;
        for (block, (y, x)) in blocks.iter_mut().zip(x_blocks).enumerate() {
            let s = self.scales.block(block * LANES);
            // In a vector of its own: written to y one by one, the powers would be computed one by one.
            let mut products = *x;
            for lane in 0..LANES {
                products[lane] *= power(s[lane]);
            }
            *y = products;
        }
        for (place, (y, x)) in rest.iter_mut().zip(x_rest).enumerate() {
            *y = x * power(self.scales.one(start + place));
        }
    }
}

/// dx = dy · s^(-β), v = factor · dy · x · s^(-β) / s.
pub(super) struct Gradient<'a, S> {
    pub scales: S,
    pub x: &'a [f32],
    /// None where they are in `x_diff`.
    pub y_diff: Option<&'a [f32]>,
    pub factor: f32,
    pub x_diff: &'a mut [f32],
    pub through_s: &'a mut [f32],
}

impl<S: Scales> PowerLoop for Gradient<'_, S> {
    #[inline(always)]
    fn run(&mut self, power: impl Fn(f32) -> f32) {
        let (blocks, rest) = self.x_diff.as_chunks_mut::<LANES>();
        let (through_blocks, through_rest) = self.through_s.as_chunks_mut::<LANES>();
        let (x_blocks, x_rest) = self.x.as_chunks::<LANES>();
        let start = blocks.len() * LANES;
        for (block, ((x_diff, through_s), x)) in blocks.iter_mut().zip(through_blocks).zip(x_blocks).enumerate() {
            let s = self.scales.block(block * LANES);
            let y_diff = self.y_diff.and_then(|y_diff| y_diff[block * LANES..].first_chunk());
            let (mut dx, mut v) = (*y_diff.unwrap_or(x_diff), [0.0; LANES]);
            for lane in 0..LANES {
                dx[lane] *= power(s[lane]);
                v[lane] = self.factor * dx[lane] * x[lane] / s[lane];
            }
            (*x_diff, *through_s) = (dx, v);
        }
        for (place, ((dx, v), x)) in rest.iter_mut().zip(through_rest).zip(x_rest).enumerate() {
            let s = self.scales.one(start + place);
            *dx = self.y_diff.map_or(*dx, |y_diff| y_diff[start + place]) * power(s);
            *v = self.factor * *dx * x / s;
        }
    }
}
