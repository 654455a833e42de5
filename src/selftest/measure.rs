//! What a card can do at best: a large copy, a large product.

use std::time::Instant;

use crate::{
    cuda::Card,
    error::Result,
    ops::{elementwise, gemm::Gemm},
    tensor::{Buffer, Device},
};

/// Values that no cache holds.
const COPIED: usize = 1 << 26;
/// Rows and columns of a product that fills any card.
const EDGE: usize = 4096;
/// Calls that are timed together, and how often: the best counts.
const CALLS: u32 = 5;
const ROUNDS: usize = 3;

/// Measured peaks.
#[derive(Debug, Clone, Copy)]
pub struct Peaks {
    /// Bytes read and written in a second.
    pub bandwidth: f64,
    /// Additions and multiplications in a second.
    pub arithmetic: f64,
}

impl Peaks {
    /// Measures them.
    ///
    /// # Errors
    /// When a call fails.
    pub fn of(card: &'static Card) -> Result<Self> {
        let device = Device::Cuda(card);
        let [x, y] = [Buffer::zeros(COPIED), Buffer::zeros(COPIED)];
        let copy = best(card, || elementwise::copy(device, &x, &y))?;
        let [a, b, c] = [(); 3].map(|()| Buffer::zeros(EDGE * EDGE));
        let product = best(card, || Gemm::new(EDGE, EDGE, EDGE).run(device, &a, &b, &c))?;
        Ok(Peaks { bandwidth: 8.0 * COPIED as f64 / copy, arithmetic: 2.0 * (EDGE as f64).powi(3) / product })
    }
}

/// Seconds of one call.
fn best(card: &'static Card, call: impl Fn()) -> Result<f64> {
    call();
    card.synchronize();
    card.check()?;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        card.synchronize();
        best = best.min(start.elapsed().as_secs_f64() / f64::from(CALLS));
    }
    card.check()?;
    Ok(best)
}
