//! What the machine can do with all threads in use: the fastest matrix product and the fastest copy.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::{
    ops::gemm::Gemm,
    tensor::{Buffer, Device},
};

/// Rows, columns and depth of the matrix products: one that fits the caches of a core, one that does not.
const SIZES: [usize; 2] = [512, 1024];

/// Values of the copy: more than caches hold.
const VALUES: usize = 32 << 20;

/// Values that a thread copies at a time.
const CHUNK: usize = 1 << 18;

/// How long a measurement is repeated.
const SPAN: Duration = Duration::from_millis(100);

/// The limits of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Floating-point operations per second of a matrix product in f32, a product and a sum counted as two.
    pub operations: f64,
    /// Bytes per second of a copy, read and written bytes both counted.
    pub bytes: f64,
}

impl Machine {
    /// Measures.
    pub fn measure() -> Self {
        let (source, mut copy) = (vec![1.0_f32; VALUES], vec![0.0_f32; VALUES]);
        let copying = best(|| {
            copy.par_chunks_mut(CHUNK).zip(source.par_chunks(CHUNK)).for_each(|(to, from)| to.copy_from_slice(from));
        });
        Machine {
            operations: SIZES.map(product).into_iter().fold(0.0, f64::max),
            bytes: (2 * VALUES * size_of::<f32>()) as f64 / copying.as_secs_f64(),
        }
    }
}

/// Operations per second of a product of square matrices.
fn product(size: usize) -> f64 {
    let values = |seed: usize| (0..size * size).map(|at| ((at * 7 + seed) % 13) as f32 - 6.0).collect::<Vec<_>>();
    let (a, b, c) = (Buffer::from(values(1)), Buffer::from(values(5)), Buffer::zeros(size * size));
    let time = best(|| Gemm::new(size, size, size).run(Device::default(), &a, &b, &c));
    2.0 * (size as f64).powi(3) / time.as_secs_f64()
}

/// The least time of as many runs as the span holds, one at least.
fn best(mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    let mut least = Duration::MAX;
    while start.elapsed() < SPAN {
        let start = Instant::now();
        run();
        least = least.min(start.elapsed());
    }
    least
}
