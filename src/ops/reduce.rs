//! Sums over a whole slice, in an order that depends on its length alone.

/// Partial sums run side by side so that the compiler can use vector registers.
const LANES: usize = 16;

/// `Σ a·b`.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (mut a_chunks, mut b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in a_chunks.by_ref().zip(b_chunks.by_ref()) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// `Σ x`.
pub fn total(values: &[f32]) -> f32 {
    sum(values, |value| value)
}

/// `Σ |x|`.
pub fn absolute_sum(values: &[f32]) -> f32 {
    sum(values, f32::abs)
}

/// `Σ x²`.
pub fn sum_of_squares(values: &[f32]) -> f32 {
    sum(values, |value| value * value)
}

fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in chunks.by_ref() {
        for lane in 0..LANES {
            lanes[lane] += of(chunk[lane]);
        }
    }
    let rest: f32 = chunks.remainder().iter().map(|&value| of(value)).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_all_lengths() {
        for count in [0usize, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..count).map(|i| i as f32 - 8.0).collect();
            let exact = |of: fn(f32) -> f32| values.iter().map(|&value| of(value)).sum::<f32>();
            assert_eq!(total(&values), exact(|value| value));
            assert_eq!(absolute_sum(&values), exact(f32::abs));
            assert_eq!(sum_of_squares(&values), exact(|value| value * value));
            assert_eq!(dot(&values, &values), exact(|value| value * value));
        }
    }
}
