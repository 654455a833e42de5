//! The gradient of the bias.

use rayon::prelude::*;

use super::super::geometry::Geometry;

/// Adds the gradient of the bias: the sum of each output over positions and images, image by image as Caffe adds it.
pub fn bias_gradient(geometry: &Geometry, top_diff: &[f32], bias_diff: &mut [f32]) {
    let plane = geometry.output_plane();
    let image = geometry.outputs * plane;
    if image == 0 {
        return;
    }
    bias_diff.par_iter_mut().enumerate().for_each(|(output, diff)| {
        for values in top_diff.chunks_exact(image) {
            *diff += sum(&values[output * plane..(output + 1) * plane]);
        }
    });
}

/// The sum in sixteen lanes, which are added at the end.
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest
}
