//! What a device can do at best, measured: the fastest matrix product and the fastest copy.

use std::time::{Duration, Instant};

use crate::{
    ops::{elementwise, gemm::Gemm},
    tensor::{Buffer, Device},
};

/// Rows, columns and depth of the matrix products: one that fits the caches of a core, one that does not.
const SIZES: [usize; 2] = [512, 1024];

/// Products on a GPU grow up to this, or until they take as long as this: what fills all of it.
const LARGEST: usize = 8192;
const LONG_ENOUGH: Duration = Duration::from_millis(5);

/// Values of the copy: more than caches hold.
const VALUES: usize = 32 << 20;

/// How long a measurement is repeated.
const SPAN: Duration = Duration::from_millis(100);

/// What a device can do at best.
#[derive(Debug, Clone, Copy)]
pub struct Peak {
    /// Floating-point operations per second of a matrix product in f32, a product and a sum counted as two.
    pub operations: f64,
    /// Bytes per second of a copy, read and written bytes both counted.
    pub bytes: f64,
}

impl Peak {
    /// Measures.
    pub fn measure(device: Device) -> Self {
        let (source, copy) = (Buffer::from(vec![1.0; VALUES]), Buffer::zeros(VALUES));
        let copying = best(device, || elementwise::copy(device, &source, &copy));
        let operations = match device {
            Device::Cpu => SIZES.map(|size| product(device, size).0).into_iter().fold(0.0, f64::max),
            Device::Cuda(_) => largest_product(device),
        };
        Peak { operations, bytes: (2 * VALUES * size_of::<f32>()) as f64 / copying.as_secs_f64() }
    }
}

/// Operations per second of the product that fills a GPU.
fn largest_product(device: Device) -> f64 {
    let (mut size, mut most) = (SIZES[0], 0.0_f64);
    loop {
        let (operations, time) = product(device, size);
        most = most.max(operations);
        if size >= LARGEST || time >= LONG_ENOUGH {
            return most;
        }
        size *= 2;
    }
}

/// Operations per second of a product of square matrices, and its time.
fn product(device: Device, size: usize) -> (f64, Duration) {
    let values = |seed: usize| (0..size * size).map(|at| ((at * 7 + seed) % 13) as f32 - 6.0).collect::<Vec<_>>();
    let (a, b, c) = (Buffer::from(values(1)), Buffer::from(values(5)), Buffer::zeros(size * size));
    let time = best(device, || Gemm::new(size, size, size).run(device, &a, &b, &c));
    (2.0 * (size as f64).powi(3) / time.as_secs_f64(), time)
}

/// The least time of as many runs as the span holds, one at least.
fn best(device: Device, mut run: impl FnMut()) -> Duration {
    // Memory moves to where it is used first.
    if device != Device::Cpu {
        run();
        device.synchronize();
    }
    let start = Instant::now();
    let mut least = Duration::MAX;
    while start.elapsed() < SPAN {
        let start = Instant::now();
        run();
        device.synchronize();
        least = least.min(start.elapsed());
    }
    least
}
