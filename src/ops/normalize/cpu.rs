//! Normalization by length on the host, parallel over images or channels.

use rayon::prelude::*;

use super::Geometry;
use crate::ops::reduce;

pub(super) fn forward(geometry: &Geometry, x: &[f32], factors: &[f32], norms: &mut [f32], y: &mut [f32]) {
    if y.is_empty() {
        return;
    }
    let lengths = geometry.lengths() / geometry.images;
    let images = y.par_chunks_mut(geometry.image()).zip(x.par_chunks(geometry.image()));
    images.zip(norms.par_chunks_mut(lengths)).for_each(|((y, x), norms)| {
        norms.fill(geometry.eps);
        if geometry.is_whole {
            norms[0] += reduce::sum_of_squares(x);
        } else {
            for x in x.chunks_exact(geometry.places) {
                norms.iter_mut().zip(x).for_each(|(norm, x)| *norm += x * x);
            }
        }
        norms.iter_mut().for_each(|norm| *norm = norm.sqrt());
        let channels = y.chunks_exact_mut(geometry.places).zip(x.chunks_exact(geometry.places));
        for ((y, x), factor) in channels.zip(factors.iter().cycle()) {
            if geometry.is_whole {
                let inverse = 1.0 / norms[0];
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x * inverse * factor);
            } else {
                y.iter_mut().zip(x.iter().zip(&*norms)).for_each(|(y, (x, norm))| *y = x / norm * factor);
            }
        }
    });
}

pub(super) fn backward(geometry: &Geometry, [x, factors, norms, dy]: [&[f32]; 4], sums: &mut [f32], dx: &mut [f32]) {
    if dx.is_empty() {
        return;
    }
    let (image, places, lengths) = (geometry.image(), geometry.places, geometry.lengths() / geometry.images);
    let sources = x.par_chunks(image).zip(dy.par_chunks(image)).zip(norms.par_chunks(lengths));
    dx.par_chunks_mut(image).zip(sums.par_chunks_mut(lengths)).zip(sources).for_each(
        |((dx, sums), ((x, dy), norms))| {
            sums.fill(0.0);
            let channels = x.chunks_exact(places).zip(dy.chunks_exact(places)).zip(factors.iter().cycle());
            for ((x, dy), factor) in channels.clone() {
                if geometry.is_whole {
                    sums[0] += factor * reduce::dot(x, dy);
                } else {
                    sums.iter_mut().zip(x.iter().zip(dy)).for_each(|(sum, (x, dy))| *sum += factor * dy * x);
                }
            }
            for (dx, ((x, dy), factor)) in dx.chunks_exact_mut(places).zip(channels) {
                for (place, (dx, (x, dy))) in dx.iter_mut().zip(x.iter().zip(dy)).enumerate() {
                    let length = if geometry.is_whole { 0 } else { place };
                    let (sum, norm) = (sums[length], norms[length]);
                    *dx = (factor * dy - x * (sum / (norm * norm))) / norm;
                }
            }
        },
    );
}

pub(super) fn backward_factors(geometry: &Geometry, [x, norms, dy]: [&[f32]; 3], diff: &mut [f32]) {
    if x.is_empty() {
        return;
    }
    let (channels, places) = (geometry.channels, geometry.places);
    let sum = |channel: usize| -> f32 {
        let image = |image: usize| {
            let plane = (image * channels + channel) * places;
            let (x, dy) = (&x[plane..][..places], &dy[plane..][..places]);
            if geometry.is_whole {
                return reduce::dot(x, dy) / norms[image];
            }
            let norms = &norms[image * places..][..places];
            x.iter().zip(dy).zip(norms).map(|((x, dy), norm)| x * dy / norm).sum()
        };
        (0..geometry.images).map(image).sum()
    };
    if diff.len() == channels {
        diff.par_iter_mut().enumerate().for_each(|(channel, diff)| *diff += sum(channel));
    } else {
        diff[0] += (0..channels).map(sum).sum::<f32>();
    }
}
