//! Moving values on the host, parallel over runs.

use rayon::prelude::*;

use super::{Move, Permutation, Runs};
use crate::ops::{elementwise::cpu::CHUNK, vector::widest};

pub(super) fn copy_runs(runs: Runs, from: &[f32], to: &mut [f32]) {
    for_runs(runs, from, to, |from, to| to.copy_from_slice(from));
}

pub(super) fn add_runs(runs: Runs, from: &[f32], to: &mut [f32]) {
    for_runs(runs, from, to, |from, to| {
        widest(
            #[inline(always)]
            || to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
        )
    });
}

/// Calls `work` with each run's source and destination.
fn for_runs(runs: Runs, from: &[f32], to: &mut [f32], work: impl Fn(&[f32], &mut [f32]) + Sync) {
    if runs.length == 0 || runs.count == 0 {
        return;
    }
    let places = to[runs.to.start..].par_chunks_mut(runs.to.step).take(runs.count);
    places.enumerate().with_min_len(CHUNK.div_ceil(runs.length)).for_each(|(run, to)| {
        let from = &from[runs.from.start + run * runs.from.step..];
        work(&from[..runs.length], &mut to[..runs.length]);
    });
}

pub(super) fn copy_listed(length: usize, moves: &[Move], from: &[f32], to: &mut [f32]) {
    for &(source, place) in moves {
        to[place..place + length].copy_from_slice(&from[source..source + length]);
    }
}

pub(super) fn add_listed(length: usize, moves: &[Move], from: &[f32], to: &mut [f32]) {
    for &(source, place) in moves {
        let (from, to) = (&from[source..source + length], &mut to[place..place + length]);
        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
    }
}

pub(super) fn gather(table: &[u32], length: usize, from: &[f32], to: &mut [f32]) {
    if table.is_empty() || length == 0 {
        return;
    }
    to.par_chunks_mut(table.len()).zip(from.par_chunks(length)).for_each(|(to, from)| {
        // `NOWHERE` is outside every plane.
        let values = table.iter().map(|&place| from.get(place as usize).copied().unwrap_or(0.0));
        to.iter_mut().zip(values).for_each(|(to, value)| *to = value);
    });
}

pub(super) fn scatter(table: &[u32], length: usize, from: &[f32], to: &mut [f32]) {
    if table.is_empty() || length == 0 {
        return;
    }
    to.par_chunks_mut(length).zip(from.par_chunks(table.len())).for_each(|(to, from)| {
        to.fill(0.0);
        for (&place, value) in table.iter().zip(from) {
            if let Some(to) = to.get_mut(place as usize) {
                *to += value;
            }
        }
    });
}

pub(super) fn permute(permutation: &Permutation, from: &[f32], to: &mut [f32]) {
    let Permutation { dims, steps } = permutation;
    let (Some((&length, outer)), Some(&step)) = (dims.split_last(), steps.last()) else {
        return to.copy_from_slice(from);
    };
    if to.is_empty() {
        return;
    }
    to.par_chunks_mut(length).enumerate().with_min_len(CHUNK.div_ceil(length)).for_each(|(row, to)| {
        let (mut rest, mut source) = (row, 0);
        for (dim, step) in outer.iter().zip(steps).rev() {
            source += rest % dim * step;
            rest /= dim;
        }
        if step == 1 {
            to.copy_from_slice(&from[source..source + length]);
        } else {
            to.iter_mut().zip(from[source..].iter().step_by(step)).for_each(|(to, from)| *to = *from);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{super::Spacing, *};

    #[test]
    fn runs_go_where_they_belong() {
        let from: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let mut to = vec![0.0; 10];
        let runs = Runs { count: 3, length: 2, from: Spacing { start: 1, step: 4 }, to: Spacing { start: 2, step: 3 } };
        copy_runs(runs, &from, &mut to);
        assert_eq!(to, [0.0, 0.0, 1.0, 2.0, 0.0, 5.0, 6.0, 0.0, 9.0, 10.0]);
        add_runs(runs, &from, &mut to);
        assert_eq!(to, [0.0, 0.0, 2.0, 4.0, 0.0, 10.0, 12.0, 0.0, 18.0, 20.0]);
    }
}
