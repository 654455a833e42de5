//! The gradient of the bias: the sums of the top's planes, added image by image as Caffe adds them.

use rayon::prelude::*;

use super::super::geometry::Geometry;
use crate::ops::{gemm::scratch::with_scratch, vector::widest};

/// Adds the gradient of the bias.
pub fn bias_gradient(geometry: &Geometry, top_diff: &[f32], bias_diff: &mut [f32]) {
    let (outputs, plane) = (geometry.outputs, geometry.output_plane());
    if outputs * plane == 0 {
        return;
    }
    with_scratch(|scratch| {
        let sums = scratch.take(geometry.images * outputs);
        let images = sums.par_chunks_exact_mut(outputs).zip(top_diff.par_chunks_exact(outputs * plane));
        images.for_each(|(sums, top_diff)| sum_planes(top_diff, sums));
        add_images(sums, bias_diff);
    });
}

/// The sums of as many neighbouring planes.
pub fn sum_planes(planes: &[f32], sums: &mut [f32]) {
    let plane = planes.len() / sums.len();
    widest(
        #[inline(always)]
        || sums.iter_mut().zip(planes.chunks_exact(plane)).for_each(|(total, values)| *total = sum(values)),
    );
}

/// Adds the sums of an image's planes, image × output.
pub fn add_images(sums: &[f32], bias_diff: &mut [f32]) {
    for image in sums.chunks_exact(bias_diff.len()) {
        bias_diff.iter_mut().zip(image).for_each(|(diff, sum)| *diff += sum);
    }
}

/// The sum in sixteen lanes, which are added at the end.
#[inline(always)]
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
