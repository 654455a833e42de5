//! Launches of `recurrent.cu`.

use super::{LstmStep, LstmStepDiff};
use crate::{
    cuda::{Argument, Card, Grid, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "recurrent", text: include_str!("recurrent.cu") };

/// Streams, and values of each.
fn sizes(values: &Buffer, continues: &Buffer) -> [u32; 2] {
    let streams = continues.len();
    [streams as u32, (values.len() / streams.max(1)) as u32]
}

pub(super) fn lstm_forward(card: &'static Card, step: LstmStep<'_>) {
    let [streams, size] = sizes(step.cell, step.continues);
    let [previous, gates, continues] = [step.previous, step.gates, step.continues].map(|operand| operand.device(card));
    let (cell, hidden) = (step.cell.device_mut(card), step.hidden.device_mut(card));
    let arguments: [&dyn Argument; 7] = [&cell, &hidden, &previous, &gates, &continues, &streams, &size];
    card.launch(&KERNELS, "lstm_forward", Grid::over((streams * size) as usize), &arguments);
}

pub(super) fn lstm_backward(card: &'static Card, step: LstmStep<'_>, diff: LstmStepDiff<'_>) {
    let [streams, size] = sizes(step.cell, step.continues);
    let operands = [step.previous, step.gates, step.continues, step.cell, diff.cell, diff.hidden];
    let operands = operands.map(|operand| operand.device(card));
    let (previous_diff, gates_diff) = (diff.previous.device_mut(card), diff.gates.device_mut(card));
    let mut arguments: Vec<&dyn Argument> = vec![&previous_diff, &gates_diff];
    arguments.extend(operands.iter().map(|operand| operand as &dyn Argument));
    arguments.extend([&streams as &dyn Argument, &size]);
    card.launch(&KERNELS, "lstm_backward", Grid::over((streams * size) as usize), &arguments);
}

pub(super) fn scale_rows(card: &'static Card, x: &Buffer, factors: &Buffer, y: &Buffer) {
    let [rows, size] = sizes(y, factors);
    let (x, factors) = (x.device(card), factors.device(card));
    let arguments: [&dyn Argument; 5] = [&y.device_mut(card), &x, &factors, &rows, &size];
    card.launch(&KERNELS, "scale_rows", Grid::over((rows * size) as usize), &arguments);
}
