//! Checks of products of matrices and what goes with them.

use crate::{
    ops::gemm::{self, Gemm},
    selftest::check::{OpCheck, Trial},
    tensor::{Buffer, Device},
};

pub static CHECKS: &[OpCheck] = &[
    OpCheck { name: "product", run: product },
    OpCheck { name: "add_to_rows", run: add_to_rows },
    OpCheck { name: "sum_rows", run: sum_rows },
];

fn product(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let (m, n) = (trial.batch(70), trial.size(70));
        // Sums of nothing too.
        let k = trial.batch(70);
        let (transpose_a, transpose_b) = (trial.chance(), trial.chance());
        let (alpha, beta) = (trial.pick(&[1.0, -0.5]), trial.pick(&[0.0, 1.0, 0.25]));
        let product = Gemm { m, n, k, transpose_a, transpose_b, alpha, beta };
        let (a, b) = (trial.values(m * k), trial.values(k * n));
        let [c, on_card] = trial.results(m * n);
        product.run(Device::Cpu, &a, &b, &c);
        product.run(trial.card(), &a, &b, &on_card);
        trial.close(&format!("{product:?}"), &c, &on_card);
    }
    let (size, card) = (trial.large(4096, 64), trial.card());
    let [a, b, c] = [(); 3].map(|()| Buffer::zeros(size * size));
    let (bytes, operations) = (12 * size * size, 2 * size.pow(3));
    trial.time(bytes as u64, operations as u64, || Gemm::new(size, size, size).run(card, &a, &b, &c));
}

fn add_to_rows(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let (rows, columns) = (trial.batch(100), trial.size(100));
        let row = trial.values(columns);
        let [c, on_card] = trial.results(rows * columns);
        gemm::add_to_rows(Device::Cpu, &row, &c);
        gemm::add_to_rows(trial.card(), &row, &on_card);
        trial.same("c", &c, &on_card);
    }
    let (rows, card) = (trial.large(1 << 13, 8), trial.card());
    let (row, c) = (Buffer::zeros(4096), Buffer::zeros(4096 * rows));
    trial.time(8 * c.len() as u64, c.len() as u64, || gemm::add_to_rows(card, &row, &c));
}

fn sum_rows(trial: &mut Trial) {
    for _ in 0..trial.cases() {
        let (rows, columns) = (trial.batch(300), trial.size(100));
        let c = trial.values(rows * columns);
        let [sum, on_card] = trial.results(columns);
        gemm::sum_rows(Device::Cpu, &c, &sum);
        gemm::sum_rows(trial.card(), &c, &on_card);
        trial.close("sum", &sum, &on_card);
    }
    let (rows, card) = (trial.large(1 << 10, 8), trial.card());
    let (c, sum) = (Buffer::zeros(4096 * rows), Buffer::zeros(4096));
    trial.time(4 * c.len() as u64, c.len() as u64, || gemm::sum_rows(card, &c, &sum));
}
