//! Products of matrices, and the packed core that convolutions share with them.
//!
//! [`Gemm`] is the call for layers: `C = alpha · op(A) · op(B) + beta · C`, row-major as in cblas. The core behind it
//! (`core.rs`) reads its row operand in place and its column operand through a packer, so that other ops (convolution)
//! bring their own packer and never write the matrix they multiply with. Tiles are computed by AVX-512, AVX2 with FMA, NEON
//! or plain Rust, picked at run time; `RCAFFE_ISA=avx512|avx2|neon|portable` picks by hand.
//!
//! Work is cut into the same pieces however many threads there are, and no sum is shared between pieces: results are the
//! same bits for any number of threads.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod core;
mod cpu;
mod cuda;
pub(crate) mod gather;
pub(crate) mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod operands;
pub(crate) mod pack;
mod portable;
pub(crate) mod scratch;

pub use kernel::Kernel;

use crate::tensor::{Buffer, Device};

/// A product of matrices: `C = alpha · op(A) · op(B) + beta · C`, where op(A) is `m`×`k`, op(B) `k`×`n` and C `m`×`n`, all
/// row-major without gaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    /// Rows of op(A) and C.
    pub m: usize,
    /// Columns of op(B) and C.
    pub n: usize,
    /// Columns of op(A), rows of op(B).
    pub k: usize,
    /// Whether A lies in memory as `k`×`m`.
    pub transpose_a: bool,
    /// Whether B lies in memory as `n`×`k`.
    pub transpose_b: bool,
    /// The factor of the product.
    pub alpha: f32,
    /// The factor of what C holds; 0 overwrites it, whatever it is.
    pub beta: f32,
}

impl Gemm {
    /// `C = A · B`; change fields for the rest.
    pub fn new(m: usize, n: usize, k: usize) -> Self {
        Gemm { m, n, k, transpose_a: false, transpose_b: false, alpha: 1.0, beta: 0.0 }
    }

    /// Computes the product into `c`.
    ///
    /// # Panics
    /// When a buffer does not hold as many values as the sizes say, or `c` is memory of `a` or `b`.
    pub fn run(&self, device: Device, a: &Buffer, b: &Buffer, c: &Buffer) {
        match device {
            Device::Cpu => cpu::gemm(Kernel::get(), self, &a.host(), &b.host(), &mut c.host_mut()),
            Device::Cuda(card) => cuda::gemm(card, self, a, b, c),
        }
    }
}

/// Adds a row to every row of a matrix: `c[i][j] += row[j]`.
///
/// # Panics
/// When `c` is not a whole number of rows.
pub fn add_to_rows(device: Device, row: &Buffer, c: &Buffer) {
    match device {
        Device::Cpu => cpu::add_to_rows(&row.host(), &mut c.host_mut()),
        Device::Cuda(card) => cuda::add_to_rows(card, row, c),
    }
}

/// Adds up the rows of a matrix: `sum[j] += Σ_i c[i][j]`.
///
/// # Panics
/// When `c` is not a whole number of rows.
pub fn sum_rows(device: Device, c: &Buffer, sum: &Buffer) {
    match device {
        Device::Cpu => cpu::sum_rows(&c.host(), &mut sum.host_mut()),
        Device::Cuda(card) => cuda::sum_rows(card, c, sum),
    }
}
