//! Steps of recurrent nets on the host, parallel over streams.

use rayon::prelude::*;

use super::{LstmStep, LstmStepDiff};
use crate::{
    ops::{
        math::{sigmoid, tanh},
        vector::widest,
    },
    tensor::Buffer,
};

/// A gate's values for one stream.
struct Gates<'a> {
    input: &'a [f32],
    forget: &'a [f32],
    output: &'a [f32],
    candidate: &'a [f32],
}

impl<'a> Gates<'a> {
    /// The quarters of a stream's 4H values.
    #[inline(always)]
    fn of(values: &'a [f32]) -> Self {
        let (first, second) = values.split_at(values.len() / 2);
        let (input, forget) = first.split_at(first.len() / 2);
        let (output, candidate) = second.split_at(second.len() / 2);
        Gates { input, forget, output, candidate }
    }
}

/// The forget gate; a new sequence forgets, whatever the gate's value.
#[inline(always)]
fn forget(continues: f32, x: f32) -> f32 {
    if continues == 0.0 { 0.0 } else { continues * sigmoid(x) }
}

pub(super) fn lstm_forward(step: LstmStep<'_>) {
    let (previous, gates, continues) = (step.previous.host(), step.gates.host(), step.continues.host());
    let (mut cell, mut hidden) = (step.cell.host_mut(), step.hidden.host_mut());
    let size = cell.len() / continues.len().max(1);
    if size == 0 {
        return;
    }
    let outputs = cell.par_chunks_mut(size).zip(hidden.par_chunks_mut(size));
    let inputs = previous.par_chunks(size).zip(gates.par_chunks(4 * size)).zip(&continues[..]);
    outputs.zip(inputs).for_each(|((cell, hidden), ((previous, gates), &continues))| {
        widest(
            #[inline(always)]
            || {
                let gates = Gates::of(gates);
                for at in 0..size {
                    let kept = forget(continues, gates.forget[at]) * previous[at];
                    let value = kept + sigmoid(gates.input[at]) * tanh(gates.candidate[at]);
                    cell[at] = value;
                    hidden[at] = sigmoid(gates.output[at]) * tanh(value);
                }
            },
        );
    });
}

pub(super) fn lstm_backward(step: LstmStep<'_>, diff: LstmStepDiff<'_>) {
    let (previous, gates, continues, cell) =
        (step.previous.host(), step.gates.host(), step.continues.host(), step.cell.host());
    let (cell_diff, hidden_diff) = (diff.cell.host(), diff.hidden.host());
    let (mut previous_diff, mut gates_diff) = (diff.previous.host_mut(), diff.gates.host_mut());
    let size = cell.len() / continues.len().max(1);
    if size == 0 {
        return;
    }
    let outputs = previous_diff.par_chunks_mut(size).zip(gates_diff.par_chunks_mut(4 * size));
    outputs.zip(&continues[..]).enumerate().for_each(|(stream, ((previous_diff, gates_diff), &continues))| {
        let of_stream = stream * size..(stream + 1) * size;
        let gates = Gates::of(&gates[4 * stream * size..][..4 * size]);
        let (previous, cell) = (&previous[of_stream.clone()], &cell[of_stream.clone()]);
        let (cell_diff, hidden_diff) = (&cell_diff[of_stream.clone()], &hidden_diff[of_stream]);
        widest(
            #[inline(always)]
            || {
                for at in 0..size {
                    let (i, f) = (sigmoid(gates.input[at]), forget(continues, gates.forget[at]));
                    let (o, g) = (sigmoid(gates.output[at]), tanh(gates.candidate[at]));
                    let squashed = tanh(cell[at]);
                    let d = cell_diff[at] + hidden_diff[at] * o * (1.0 - squashed * squashed);
                    previous_diff[at] = d * f;
                    gates_diff[at] = d * g * i * (1.0 - i);
                    gates_diff[size + at] = d * previous[at] * f * (1.0 - f);
                    gates_diff[2 * size + at] = hidden_diff[at] * squashed * o * (1.0 - o);
                    gates_diff[3 * size + at] = d * i * (1.0 - g * g);
                }
            },
        );
    });
}

pub(super) fn scale_rows(x: &Buffer, factors: &[f32], y: &Buffer) {
    let mut y_values = y.host_mut();
    let size = y_values.len() / factors.len().max(1);
    if size == 0 {
        return;
    }
    let x = x.host();
    let rows = y_values.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(factors);
    rows.for_each(|((y, x), &factor)| y.iter_mut().zip(x).for_each(|(y, x)| *y = x * factor));
}
