//! Checks of the steps of recurrent nets.

use crate::{
    ops::recurrent::{self, LstmStep, LstmStepDiff},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] =
    &[OpCheck { name: "lstm step", run: lstm_step }, OpCheck { name: "scale rows", run: scale_rows }];

/// For each stream whether its sequence goes on.
fn continues(trial: &mut Trial, streams: usize) -> Buffer {
    let values = (0..streams).map(|_| trial.pick(&[0.0, 1.0, 1.0])).collect();
    trial.buffer(values)
}

fn lstm_step(trial: &mut Trial) {
    let card = trial.card();
    for _ in 0..trial.cases() {
        let (streams, size) = (trial.batch(9), trial.size(300));
        let count = streams * size;
        let (previous, gates) = (trial.values(count), trial.values(4 * count));
        let continues = continues(trial, streams);
        let (cell_diff, hidden_diff) = (trial.values(count), trial.values(count));
        let [cell, cell_on_card] = trial.results(count);
        let [hidden, hidden_on_card] = trial.results(count);
        let step = LstmStep { previous: &previous, gates: &gates, continues: &continues, cell: &cell, hidden: &hidden };
        recurrent::lstm_forward(Device::Cpu, step);
        recurrent::lstm_forward(card, LstmStep { cell: &cell_on_card, hidden: &hidden_on_card, ..step });
        trial.close("c", &cell, &cell_on_card);
        trial.close("h", &hidden, &hidden_on_card);
        let [previous_diff, previous_on_card] = trial.results(count);
        let [gates_diff, gates_on_card] = trial.results(4 * count);
        let diff =
            LstmStepDiff { cell: &cell_diff, hidden: &hidden_diff, previous: &previous_diff, gates: &gates_diff };
        recurrent::lstm_backward(Device::Cpu, step, diff);
        recurrent::lstm_backward(
            card,
            step,
            LstmStepDiff { previous: &previous_on_card, gates: &gates_on_card, ..diff },
        );
        trial.close("gradient of c before", &previous_diff, &previous_on_card);
        trial.close("gradient of the gates", &gates_diff, &gates_on_card);
    }
}

fn scale_rows(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let (rows, size) = (trial.batch(40), trial.size(300));
        let (x, factors) = (trial.values(rows * size), continues(trial, rows));
        let [y, on_card] = trial.results(rows * size);
        recurrent::scale_rows(Device::Cpu, &x, &factors, &y);
        recurrent::scale_rows(trial.card(), &x, &factors, &on_card);
        trial.same("y", &y, &on_card);
    }
}
