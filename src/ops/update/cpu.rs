//! Updates on the host's cores: tasks are fixed ranges of all values, whatever parameters lie in them.
//!
//! Roundings are Caffe's: where it calls `axpy`, which BLAS libraries fuse, there is a `mul_add`.

use rayon::prelude::*;

use super::{Parameters, Preparation, Regularization, Rule, Segment};
use crate::ops::vector::widest;

/// Values per task: large enough to be worth a task, small enough to spread a fully connected layer over all cores.
const CHUNK: usize = 1 << 14;

/// Values, gradients and histories of a range.
struct Part<'a> {
    data: &'a mut [f32],
    diff: &'a mut [f32],
    first: &'a mut [f32],
    /// As long as the others, or empty for a rule with one history.
    second: &'a mut [f32],
}

pub(super) fn update(rule: Rule, preparation: Preparation, parameters: Parameters<'_>) -> Option<usize> {
    let Parameters { data, diff, histories, segments } = parameters;
    let (mut data, mut diff, mut first) = (data.host_mut(), diff.host_mut(), histories[0].host_mut());
    let values = data.par_chunks_mut(CHUNK).zip(diff.par_chunks_mut(CHUNK)).zip(first.par_chunks_mut(CHUNK));
    if rule.histories() == 1 {
        let update = |(task, ((data, diff), first))| {
            update_task(rule, preparation, segments, task * CHUNK, Part { data, diff, first, second: &mut [] })
        };
        values.enumerate().map(update).max().flatten()
    } else {
        let mut second = histories[1].host_mut();
        let update = |(task, (((data, diff), first), second))| {
            update_task(rule, preparation, segments, task * CHUNK, Part { data, diff, first, second })
        };
        values.zip(second.par_chunks_mut(CHUNK)).enumerate().map(update).max().flatten()
    }
}

/// Updates the range that begins at `start`, parameter by parameter. Returns the last one with a step that is not finite.
fn update_task(
    rule: Rule,
    preparation: Preparation,
    segments: &[Segment],
    start: usize,
    part: Part<'_>,
) -> Option<usize> {
    let end = start + part.data.len();
    let begin = segments.partition_point(|segment| segment.start + segment.count <= start);
    let mut bad = None;
    for (index, segment) in segments.iter().enumerate().skip(begin).take_while(|(_, segment)| segment.start < end) {
        let range = segment.start.max(start) - start..(segment.start + segment.count).min(end) - start;
        let part = Part {
            data: &mut part.data[range.clone()],
            diff: &mut part.diff[range.clone()],
            first: &mut part.first[range.clone()],
            second: part.second.get_mut(range).unwrap_or_default(),
        };
        let finite = widest(
            #[inline(always)]
            || update_segment(rule, preparation, *segment, part),
        );
        if !finite {
            bad = Some(index);
        }
    }
    bad
}

/// Updates a part of one parameter; says whether all steps are finite.
#[inline(always)]
fn update_segment(rule: Rule, preparation: Preparation, segment: Segment, part: Part<'_>) -> bool {
    let Segment { rate, decay, .. } = segment;
    match rule {
        Rule::Sgd { momentum } => one_history(preparation, decay, part, move |g, h| {
            let step = rate.mul_add(g, momentum * h);
            (step, step)
        }),
        Rule::Nesterov { momentum } => one_history(preparation, decay, part, move |g, h| {
            let step = rate.mul_add(g, momentum * h);
            ((1.0 + momentum).mul_add(step, -momentum * h), step)
        }),
        Rule::AdaGrad { delta } => one_history(preparation, decay, part, move |g, h| {
            let h = g * g + h;
            (rate * (g / (h.sqrt() + delta)), h)
        }),
        Rule::RmsProp { decay: kept, delta } => one_history(preparation, decay, part, move |g, h| {
            let h = (1.0 - kept).mul_add(g * g, kept * h);
            (rate * (g / (h.sqrt() + delta)), h)
        }),
        Rule::AdaDelta { momentum, delta } => two_histories(preparation, decay, part, move |g, h, h2| {
            let h = (1.0 - momentum).mul_add(g * g, momentum * h);
            let step = g * ((h2 + delta) / (h + delta)).sqrt();
            (rate * step, h, (1.0 - momentum).mul_add(step * step, momentum * h2))
        }),
        Rule::Adam { beta1, beta2, delta, correction } => {
            let rate = rate * correction;
            two_histories(preparation, decay, part, move |g, h, h2| {
                let (h, h2) = ((1.0 - beta1).mul_add(g, beta1 * h), (1.0 - beta2).mul_add(g * g, beta2 * h2));
                (rate * (h / (h2.sqrt() + delta)), h, h2)
            })
        }
    }
}

/// Takes the step that `rule` makes of gradient and history; it returns the step and the new history.
#[inline(always)]
fn one_history(preparation: Preparation, decay: f32, part: Part<'_>, rule: impl Fn(f32, f32) -> (f32, f32)) -> bool {
    let mut bad = 0;
    for ((value, diff), history) in part.data.iter_mut().zip(part.diff).zip(part.first) {
        let (step, new) = rule(prepared(preparation, decay, *diff, *value), *history);
        (*history, *diff) = (new, step);
        *value -= step;
        bad |= is_bad(step);
    }
    bad == 0
}

/// The same with two histories.
#[inline(always)]
fn two_histories(
    preparation: Preparation,
    decay: f32,
    part: Part<'_>,
    rule: impl Fn(f32, f32, f32) -> (f32, f32, f32),
) -> bool {
    let mut bad = 0;
    let histories = part.first.iter_mut().zip(part.second);
    for ((value, diff), (first, second)) in part.data.iter_mut().zip(part.diff).zip(histories) {
        let (step, new_first, new_second) = rule(prepared(preparation, decay, *diff, *value), *first, *second);
        (*first, *second, *diff) = (new_first, new_second, step);
        *value -= step;
        bad |= is_bad(step);
    }
    bad == 0
}

/// 1 for NaN and the infinities, else 0: as a number, so that loops that collect it stay vector code.
#[inline(always)]
fn is_bad(value: f32) -> u32 {
    const EXPONENT: u32 = 0x7f80_0000;
    u32::from(value.to_bits() & EXPONENT == EXPONENT)
}

/// The gradient that the rule works with.
#[inline(always)]
fn prepared(preparation: Preparation, decay: f32, gradient: f32, value: f32) -> f32 {
    let pull = match preparation.regularization {
        Regularization::L2 => value,
        // Caffe's sign of 0 is 0.
        Regularization::L1 => f32::from(value > 0.0) - f32::from(value < 0.0),
    };
    decay.mul_add(pull, gradient * preparation.scale)
}
