//! What a layer computes, counted: for measurements.

use super::Io;

/// The floating-point operations of a layer's matrix products and convolutions, a product and a sum counted as two; what is done
/// value by value is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Of a forward pass.
    pub forward: u64,
    /// Of a backward pass, which computes only the gradients that are wanted.
    pub backward: u64,
}

impl Work {
    /// A product of the bottom at this position and the parameter at that one, both gradients being products of as many operations.
    pub fn of_product(io: &Io<'_>, bottom: usize, parameter: usize, multiplications: usize) -> Self {
        Work::with_gradients(
            [io.wants_bottom_gradient(bottom), io.wants_parameter_gradient(parameter)],
            multiplications,
        )
    }

    /// A product of something between bottom and top, whose gradient is always needed, and the parameter at this position.
    pub fn of_inner_product(io: &Io<'_>, parameter: usize, multiplications: usize) -> Self {
        Work::with_gradients([true, io.wants_parameter_gradient(parameter)], multiplications)
    }

    fn with_gradients(wanted: [bool; 2], multiplications: usize) -> Self {
        let forward = 2 * multiplications as u64;
        Work { forward, backward: forward * wanted.map(u64::from).iter().sum::<u64>() }
    }
}

impl std::ops::Add for Work {
    type Output = Work;

    fn add(self, other: Work) -> Work {
        Work { forward: self.forward + other.forward, backward: self.backward + other.backward }
    }
}

impl std::iter::Sum for Work {
    fn sum<I: Iterator<Item = Work>>(all: I) -> Work {
        all.fold(Work::default(), std::ops::Add::add)
    }
}
