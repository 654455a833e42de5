//! Ranks on the host.

use super::Best;
use crate::{
    ops::softmax::{Axes, BadLabel, class, is_ignored},
    tensor::Buffer,
};

/// Hits, and labels that are not ignored.
pub(super) fn accuracy(
    axes: Axes,
    scores: &[f32],
    labels: &[f32],
    (top_k, ignore): (usize, Option<i32>),
    per_class: Option<(&Buffer, &Buffer)>,
) -> Result<(usize, usize), BadLabel> {
    let mut classes = per_class.map(|(hits, labels)| (hits.host_mut(), labels.host_mut()));
    if let Some((hits, labels)) = &mut classes {
        hits.fill(0.0);
        labels.fill(0.0);
    }
    let (mut all_hits, mut counted) = (0, 0);
    for (index, &value) in labels.iter().enumerate().filter(|(_, label)| !is_ignored(**label, ignore)) {
        let class = class(value, axes.channels).ok_or(BadLabel { index, value })?;
        let first = index / axes.inner * axes.channels * axes.inner + index % axes.inner;
        let score = scores[first + class * axes.inner];
        let place = scores[first..].iter().step_by(axes.inner).take(axes.channels);
        let as_good = place.filter(|other| **other >= score).count();
        let hit = (1..=top_k).contains(&as_good);
        all_hits += usize::from(hit);
        counted += 1;
        if let Some((hits, labels)) = &mut classes {
            hits[class] += f32::from(hit);
            labels[class] += 1.0;
        }
    }
    if let Some((hits, labels)) = &mut classes {
        let seen = hits.iter_mut().zip(labels.iter()).filter(|(_, labels)| **labels > 0.0);
        seen.for_each(|(hits, labels)| *hits /= labels);
    }
    Ok((all_hits, counted))
}

pub(super) fn largest(axes: Axes, top_k: usize, best: Best, x: &[f32], y: &mut [f32], scratch: &mut Vec<(f32, usize)>) {
    for place in 0..axes.places() {
        let (outer, inner) = (place / axes.inner, place % axes.inner);
        let values = x[outer * axes.channels * axes.inner + inner..].iter().step_by(axes.inner).take(axes.channels);
        scratch.clear();
        scratch.extend(values.enumerate().map(|(channel, &value)| (value, channel)));
        scratch.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        for (rank, &(value, channel)) in scratch.iter().take(top_k).enumerate() {
            let at = (outer * top_k + rank) * axes.inner + inner;
            match best {
                Best::Indices => y[at] = channel as f32,
                Best::Values => y[at] = value,
                Best::Both => {
                    y[(2 * outer) * top_k + rank] = channel as f32;
                    y[(2 * outer + 1) * top_k + rank] = value;
                }
            }
        }
    }
}
