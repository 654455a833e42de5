//! The end of every loss: a sum, divided by what counts.

use super::cuda;
use crate::tensor::Buffer;

/// What a sum of losses is divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Normalizer {
    /// The number of values that are not ignored, 1 at least.
    Counted,
    /// This.
    Fixed(f32),
}

impl Normalizer {
    /// The divisor where so many values are not ignored.
    pub fn of(self, counted: usize) -> f32 {
        match self {
            Normalizer::Counted => (counted as f32).max(1.0),
            Normalizer::Fixed(divisor) => divisor,
        }
    }
}

/// What a loss layer keeps from its sum: the normalizer, which the gradient needs, and on a card the sums over parts of the values.
#[derive(Debug)]
pub struct Total {
    pub(super) normalizer: Buffer,
    pub(super) partial: Buffer,
}

impl Default for Total {
    fn default() -> Self {
        Total { normalizer: Buffer::from(vec![1.0]), partial: Buffer::zeros(cuda::PARTIAL_SUMS) }
    }
}

impl Total {
    /// loss = sum / normalizer / divisor.
    pub(crate) fn finish(&self, sum: f32, counted: usize, normalizer: Normalizer, divisor: f32, loss: &Buffer) {
        let normalizer = normalizer.of(counted);
        self.normalizer.host_mut()[0] = normalizer;
        loss.host_mut()[0] = sum / normalizer / divisor;
    }

    /// The factor of the gradient: the loss's own gradient / normalizer.
    pub(crate) fn weight(&self, loss_diff: &Buffer) -> f32 {
        loss_diff.host()[0] / self.normalizer.host()[0]
    }

    /// The single value that the last sum was divided by.
    pub fn normalizer(&self) -> &Buffer {
        &self.normalizer
    }
}
