//! Division by numbers that are known before a kernel runs.

use crate::cuda::Argument;

/// A divisor of numbers below 2³¹, with what turns the division into a product; see `division.cu`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Division {
    divisor: u32,
    factor: u32,
    shift: u32,
}

// SAFETY: numbers of 32 bits, laid out as in the kernel's file.
unsafe impl Argument for Division {}

impl Division {
    /// Granlund and Montgomery, *Division by Invariant Integers using Multiplication* (1994), figure 4.1.
    pub fn new(divisor: usize) -> Self {
        let shift = divisor.next_power_of_two().trailing_zeros();
        let factor = ((1u64 << 32) * ((1u64 << shift) - divisor as u64)) / divisor as u64 + 1;
        Division { divisor: divisor as u32, factor: factor as u32, shift }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn divisions_are_exact(value in 0u32..1 << 31, divisor in 1usize..1 << 31) {
            for (value, divisor) in [(value, divisor), (value, divisor % 1000 + 1), (value % 5000, divisor % 64 + 1)] {
                let by = Division::new(divisor);
                let product = (u64::from(value) * u64::from(by.factor)) >> 32;
                prop_assert_eq!((product as u32 + value) >> by.shift, value / divisor as u32);
            }
        }
    }
}
