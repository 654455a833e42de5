//! Products by cuBLAS, and launches of `gemm.cu`.

use super::Gemm;
use crate::{
    cuda::{Card, Grid, Product, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "gemm", text: include_str!("gemm.cu") };

/// cuBLAS counts along columns: what lies in memory as rows of C is Cᵀ to it, and Cᵀ = op(B)ᵀ · op(A)ᵀ.
pub(super) fn gemm(card: &'static Card, gemm: &Gemm, a: &Buffer, b: &Buffer, c: &Buffer) {
    let Gemm { m, n, k, transpose_a, transpose_b, alpha, beta } = *gemm;
    assert!(
        a.len() >= m * k && b.len() >= k * n && c.len() >= m * n,
        "{gemm:?}: {}, {}, {}",
        a.len(),
        b.len(),
        c.len()
    );
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        let count = m * n;
        return card.launch(
            &KERNELS,
            "scale_result",
            Grid::over(count),
            &[&c.device_mut(card), &(count as u32), &beta],
        );
    }
    let strides = [if transpose_b { k } else { n }, if transpose_a { m } else { k }, n];
    let product = Product { transposed: [transpose_b, transpose_a], sizes: [n, m, k], strides, alpha, beta };
    let (a, b) = (a.device(card), b.device(card));
    card.product(product, b, a, c.device_mut(card));
}

pub(super) fn add_to_rows(card: &'static Card, row: &Buffer, c: &Buffer) {
    let (columns, from) = (row.len() as u32, row.device(card));
    card.launch(
        &KERNELS,
        "add_to_rows",
        Grid::over(c.len()),
        &[&c.device_mut(card), &from, &(c.len() as u32), &columns],
    );
}

pub(super) fn sum_rows(card: &'static Card, c: &Buffer, sum: &Buffer) {
    const COLUMNS: usize = 32;
    const LANES: u32 = 8;
    let columns = sum.len();
    let Some(rows) = c.len().checked_div(columns).filter(|&rows| rows > 0) else { return };
    let grid = Grid::blocks(columns.div_ceil(COLUMNS), COLUMNS as u32 * LANES);
    let from = c.device(card);
    card.launch(&KERNELS, "sum_rows", grid, &[&sum.device_mut(card), &from, &(rows as u32), &(columns as u32)]);
}
