//! Updates on the host's cores.

use rayon::prelude::*;

use super::Preparation;

/// Values per task: large enough to be worth a task, small enough to spread a fully connected layer over all cores.
const CHUNK: usize = 1 << 15;

pub(super) fn sgd(
    data: &mut [f32],
    diff: &mut [f32],
    history: &mut [f32],
    preparation: Preparation,
    rate: f32,
    momentum: f32,
) {
    let chunks = data.par_chunks_mut(CHUNK).zip(diff.par_chunks_mut(CHUNK)).zip(history.par_chunks_mut(CHUNK));
    chunks.for_each(|((data, diff), history)| {
        for ((value, gradient), past) in data.iter_mut().zip(diff).zip(history) {
            let step = rate * preparation.gradient(*gradient, *value) + momentum * *past;
            *past = step;
            *gradient = step;
            *value -= step;
        }
    });
}
