//! Normal and exponential draws by the ziggurat method of Marsaglia and Tsang, as Boost 1.74 draws them in f32.
//!
//! The area under a falling density f is cut into n layers of equal area v. Layer 0 is the base strip with the tail beyond
//! `r`; layer i > 0 spans the heights `heights[i]..heights[i + 1]` and the widths up to `edges[i]`. A draw takes a layer and a
//! point along it; in most cases the point lies left of the next edge and is accepted at once.
//!
//! The tables follow from f, r and v alone: `edges[0] = v / f(r)`, `edges[1] = r`, `heights[i + 1] = heights[i] + v / edges[i]`,
//! `edges[i] = f⁻¹(heights[i])`, and r is such that the last height is f(0) = 1.

use std::sync::LazyLock;

use super::Random;

/// Where the normal density's tail begins for 128 layers.
const NORMAL_TAIL: f64 = 3.442_619_855_896_652_1;
/// The area of one of its layers.
const NORMAL_AREA: f64 = 9.912_563_035_336_46e-3;
/// Where the exponential density's tail begins for 256 layers; the layer's area follows from it, `(r + 1)·exp(-r)`.
const EXPONENTIAL_TAIL: f64 = 7.697_117_470_131_05;

static NORMAL: LazyLock<Layers> =
    LazyLock::new(|| Layers::new(128, NORMAL_TAIL, NORMAL_AREA, |x| (-0.5 * x * x).exp(), |y| (-2.0 * y.ln()).sqrt()));
static EXPONENTIAL: LazyLock<Layers> = LazyLock::new(|| {
    let area = (EXPONENTIAL_TAIL + 1.0) * (-EXPONENTIAL_TAIL).exp();
    Layers::new(256, EXPONENTIAL_TAIL, area, |x| (-x).exp(), |y| -y.ln())
});

/// The layers of one density.
struct Layers {
    edges: Vec<f64>,
    heights: Vec<f64>,
}

impl Layers {
    fn new(count: usize, tail: f64, area: f64, density: fn(f64) -> f64, inverse: fn(f64) -> f64) -> Self {
        let mut edges = vec![area / density(tail), tail];
        let mut heights = vec![0.0, density(tail)];
        for layer in 1..count {
            let height = heights[layer] + area / edges[layer];
            heights.push(height);
            edges.push(inverse(height));
        }
        edges[count] = 0.0;
        heights[count] = 1.0;
        Layers { edges, heights }
    }

    /// A point in layer `index` at `x`: how high it lies, how far right of the line from corner to corner, and the layer's
    /// lower height, all in f32 as Boost has them.
    fn point(&self, index: usize, x: f32, random: &mut Random) -> Point {
        let part = random.uniform_01();
        let edge = self.edges[index] as f32;
        let y = part.mul_add((self.heights[index + 1] - self.heights[index]) as f32, self.heights[index] as f32);
        let chord = ((self.edges[index] - self.edges[index + 1]) as f32).mul_add(part, -(edge - x));
        Point { y, chord }
    }
}

/// A candidate in the part of a layer that the density's curve runs through.
struct Point {
    y: f32,
    chord: f32,
}

/// A draw from the normal density with mean 0 and deviation 1.
pub(super) fn unit_normal(random: &mut Random) -> f32 {
    let layers = &*NORMAL;
    loop {
        let (along, bucket) = random.fraction_and_bucket();
        let sign = if bucket & 1 == 1 { 1.0 } else { -1.0 };
        let index = bucket >> 1;
        let x = along * layers.edges[index] as f32;
        if f64::from(x) < layers.edges[index + 1] {
            return x * sign;
        }
        if index == 0 {
            return normal_tail(random) * sign;
        }
        let Point { y, chord } = layers.point(index, x, random);
        let (edge, height) = (layers.edges[index] as f32, layers.heights[index] as f32);
        let tangent = y - ((edge - x) * height).mul_add(edge, height);
        // The density bends the other way beyond x = 1, so chord and tangent change roles.
        let (above, below) = if layers.edges[index] >= 1.0 { (chord, tangent) } else { (tangent, chord) };
        if above < 0.0 && (below < 0.0 || y < (-(x * x / 2.0)).exp()) {
            return x * sign;
        }
    }
}

/// A draw from the normal density beyond the last edge.
fn normal_tail(random: &mut Random) -> f32 {
    let start = NORMAL.edges[1] as f32;
    loop {
        let x = unit_exponential(random) / start;
        let y = unit_exponential(random);
        if 2.0 * y > x * x {
            return x + start;
        }
    }
}

/// A draw from the exponential density with mean 1.
fn unit_exponential(random: &mut Random) -> f32 {
    let layers = &*EXPONENTIAL;
    let mut shift = 0.0;
    loop {
        let (along, index) = random.fraction_and_bucket();
        let x = along * layers.edges[index] as f32;
        if x < layers.edges[index + 1] as f32 {
            return shift + x;
        }
        if index == 0 {
            // What lies beyond the tail's start is the same density again.
            shift += layers.edges[1] as f32;
            continue;
        }
        let Point { y, chord } = layers.point(index, x, random);
        let (next_edge, next_height) = (layers.edges[index + 1] as f32, layers.heights[index + 1] as f32);
        let tangent = y - (next_edge - x).mul_add(next_height, next_height);
        if chord < 0.0 && (tangent < 0.0 || y < (-x).exp()) {
            return x + shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The construction closes: the layer above the last one would end at height 1.
    #[test]
    fn layers_fill_the_density_exactly() {
        let area = (EXPONENTIAL_TAIL + 1.0) * (-EXPONENTIAL_TAIL).exp();
        for (layers, area) in [(&*NORMAL, NORMAL_AREA), (&*EXPONENTIAL, area)] {
            let last = layers.edges.len() - 2;
            let top = layers.heights[last] + area / layers.edges[last];
            assert!((top - 1.0).abs() < 1e-13, "{top}");
        }
    }

    #[test]
    fn moments_are_those_of_the_normal_density() {
        let mut random = Random::new(3);
        let draws: Vec<f64> = (0..200_000).map(|_| f64::from(unit_normal(&mut random))).collect();
        let moment = |power: i32| draws.iter().map(|x| x.powi(power)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.01 && (moment(4) - 3.0).abs() < 0.1);
        assert!(draws.iter().any(|x| x.abs() > 3.5), "no draw from the tail");
    }
}
