//! The matrix product on the host: which operand is read in place, which is packed, and how the work is cut.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Gemm,
    core::multiply_by_rows,
    kernel::Kernel,
    operands::{Columns, Depth, Epilogue, Offsets, Output, PaddedMatrix, Place, Rows},
    pack::{Matrix, Packed},
    scratch::with_scratch,
};

/// How many pieces a product is cut into at most: enough for any machine's cores, whatever this one has.
const PIECES: usize = 64;

/// The least multiplications worth a piece of their own.
const PIECE_WORK: usize = 1 << 18;

/// Rows that share a packed column operand in one piece.
const PIECE_ROWS: usize = 64;

/// The largest column operand that is packed once for all pieces.
const SHARED: usize = 1 << 20;

/// `C = alpha · op(A) · op(B) + beta · C`.
pub(super) fn gemm(kernel: &Kernel, gemm: &Gemm, a: &[f32], b: &[f32], c: &mut [f32]) {
    let Gemm { m, n, k, transpose_a, transpose_b, alpha, beta } = *gemm;
    assert_eq!((a.len(), b.len(), c.len()), (m * k, k * n, m * n), "matrices do not fit {gemm:?}");
    let nothing = m * n * k == 0 || alpha == 0.0;
    if beta == 0.0 && nothing {
        c.fill(0.0);
    } else if beta != 0.0 && beta != 1.0 {
        c.iter_mut().for_each(|value| *value *= beta);
    }
    if nothing {
        return;
    }
    let left =
        Operand { values: a, count: m, outer: if transpose_a { 1 } else { k }, step: if transpose_a { m } else { 1 } };
    let right =
        Operand { values: b, count: n, outer: if transpose_b { k } else { 1 }, step: if transpose_b { 1 } else { n } };
    // Packing is cheap for an operand that lies in memory as panels do, and otherwise cheapest for the smaller one.
    let swap = transpose_b && (transpose_a || m < n);
    let target = Target { address: c.as_mut_ptr(), row_stride: n, column_stride: 1, alpha, accumulate: beta != 0.0 };
    if swap {
        product(kernel, k, &right, &left, &Target { row_stride: 1, column_stride: n, ..target });
    } else {
        product(kernel, k, &left, &right, &target);
    }
}

/// One side of the product: element `i` at step `p` of the reduction is `values[i · outer + p · step]`.
struct Operand<'a> {
    values: &'a [f32],
    count: usize,
    outer: usize,
    step: usize,
}

/// The matrix the product goes to.
#[derive(Clone, Copy)]
struct Target {
    address: *mut f32,
    row_stride: usize,
    column_stride: usize,
    alpha: f32,
    accumulate: bool,
}

/// A block of the target, from this row and column on.
struct Block<'a> {
    target: &'a Target,
    row: usize,
    column: usize,
}

// SAFETY: blocks of one product do not overlap, and each is written by one thread.
unsafe impl Sync for Target {}

/// How a product is cut into blocks.
struct Cut {
    rows: usize,
    columns: usize,
}

impl Cut {
    fn new(kernel: &Kernel, depth: usize, rows: usize, columns: usize) -> Self {
        let pieces = (rows * columns * depth / PIECE_WORK).clamp(1, PIECES);
        let is_large = Packed::size(kernel, depth, columns) > SHARED;
        // A large column operand is cut into wide blocks, and packed again only for many rows.
        let (least_rows, least_columns) = if is_large { (512, 480) } else { (PIECE_ROWS, 96) };
        let (row_pieces, column_pieces) = if is_large {
            let column_pieces = pieces.min(columns.div_ceil(least_columns));
            (pieces.div_ceil(column_pieces).min(rows.div_ceil(least_rows)), column_pieces)
        } else {
            let row_pieces = pieces.min(rows.div_ceil(least_rows));
            (row_pieces, pieces.div_ceil(row_pieces).min(columns.div_ceil(least_columns)))
        };
        Cut {
            rows: rows.div_ceil(row_pieces).next_multiple_of(kernel.rows),
            columns: columns.div_ceil(column_pieces).next_multiple_of(kernel.panel()),
        }
    }
}

fn product(kernel: &Kernel, depth: usize, left: &Operand<'_>, right: &Operand<'_>, target: &Target) {
    let cut = Cut::new(kernel, depth, left.count, right.count);
    let (row_blocks, column_blocks) = (left.count.div_ceil(cut.rows), right.count.div_ceil(cut.columns));
    let rows_of = |block: usize| block * cut.rows..left.count.min((block + 1) * cut.rows);
    let columns_of = |block: usize| block * cut.columns..right.count.min((block + 1) * cut.columns);
    let size = Packed::size(kernel, depth, right.count);
    if row_blocks == 1 || size > SHARED {
        (0..row_blocks * column_blocks).into_par_iter().for_each(|number| {
            let columns = columns_of(number / row_blocks);
            let block = Block { target, row: number % row_blocks * cut.rows, column: columns.start };
            run(kernel, left, rows_of(number % row_blocks), depth, &right.matrix(columns), &block);
        });
        return;
    }
    with_scratch(|scratch| {
        let space = scratch.take(size);
        space.par_chunks_mut(depth * cut.columns).enumerate().for_each(|(block, space)| {
            Packed::fill(kernel, &right.matrix(columns_of(block)), depth, space);
        });
        let space = &*space;
        (0..row_blocks * column_blocks).into_par_iter().for_each(|number| {
            let columns = columns_of(number % column_blocks);
            let rows = rows_of(number / column_blocks);
            let block = Block { target, row: rows.start, column: columns.start };
            let packed = Packed { values: &space[columns.start * depth..], depth, columns: columns.len() };
            run(kernel, left, rows, depth, &packed, &block);
        });
    });
}

impl<'a> Operand<'a> {
    fn matrix(&self, columns: Range<usize>) -> Matrix<'a> {
        Matrix {
            values: &self.values[columns.start * self.outer..],
            depth_stride: self.step,
            column_stride: self.outer,
            columns: columns.len(),
        }
    }
}

fn run(
    kernel: &Kernel,
    left: &Operand<'_>,
    rows: Range<usize>,
    depth: usize,
    columns: &impl Columns,
    block: &Block<'_>,
) {
    let rows = Rows {
        values: &left.values[rows.start * left.outer..],
        offsets: Offsets::Even { count: rows.len(), stride: left.outer },
        step: left.step,
        depth: Depth::Straight(depth),
    };
    let Target { row_stride, alpha, accumulate, .. } = *block.target;
    if row_stride == 1 && alpha == 1.0 && !accumulate {
        return run_turned(kernel, &rows, columns, block);
    }
    multiply_by_rows(kernel, &rows, columns, block, Epilogue { bias: None, accumulate });
}

/// A block whose rows are columns of the target: it is put together in rows, and turned at the end.
fn run_turned(kernel: &Kernel, rows: &Rows<'_>, columns: &impl Columns, block: &Block<'_>) {
    let (row_count, column_count, lanes) = (rows.count(), columns.count(), kernel.lanes);
    let width = kernel.padded(column_count);
    with_scratch(|scratch| {
        let sums = scratch.take(row_count * width);
        multiply_by_rows(kernel, rows, columns, &PaddedMatrix::new(sums, width), Epilogue::default());
        for row in (0..row_count).step_by(lanes) {
            let count = lanes.min(row_count - row);
            for column in (0..column_count).step_by(lanes) {
                let turned = kernel.turned(&sums[row * width + column..], width, count);
                for (column, values) in (column..column_count).zip(turned.columns()) {
                    // SAFETY: see `address`; rows are neighbours in the target, and the block is this thread's own.
                    unsafe { block.address(row, column).copy_from_nonoverlapping(values.as_ptr(), count) };
                }
            }
        }
    });
}

impl Block<'_> {
    fn address(&self, row: usize, column: usize) -> *mut f32 {
        let offset = (self.row + row) * self.target.row_stride + (self.column + column) * self.target.column_stride;
        // SAFETY: rows and columns of a block lie in the target, which `gemm` measured.
        unsafe { self.target.address.add(offset) }
    }
}

impl Output for Block<'_> {
    fn place(&self, rows: Range<usize>, columns: Range<usize>, width: usize) -> Option<Place> {
        let direct = self.target.column_stride == 1 && columns.len() == width && self.target.alpha == 1.0;
        direct.then(|| Place { address: self.address(rows.start, columns.start), stride: self.target.row_stride })
    }

    fn store(&self, rows: Range<usize>, columns: Range<usize>, tile: &[f32], width: usize, accumulate: bool) {
        let put = |row: usize, column: usize| {
            let address = self.address(row, column);
            let value = self.target.alpha * tile[(row - rows.start) * width + column - columns.start];
            // SAFETY: see `address`; the block is this thread's own.
            unsafe { *address = if accumulate { *address + value } else { value } };
        };
        if self.target.row_stride == 1 {
            columns.clone().for_each(|column| rows.clone().for_each(|row| put(row, column)));
        } else {
            rows.clone().for_each(|row| columns.clone().for_each(|column| put(row, column)));
        }
    }
}

/// `c[i][j] += row[j]`.
pub(super) fn add_to_rows(row: &[f32], c: &mut [f32]) {
    assert!(!row.is_empty() && c.len().is_multiple_of(row.len()), "{} values in rows of {}", c.len(), row.len());
    for values in c.chunks_exact_mut(row.len()) {
        for (value, added) in values.iter_mut().zip(row) {
            *value += added;
        }
    }
}

/// `sum[j] += Σ_i c[i][j]`.
pub(super) fn sum_rows(c: &[f32], sum: &mut [f32]) {
    assert!(!sum.is_empty() && c.len().is_multiple_of(sum.len()), "{} values in rows of {}", c.len(), sum.len());
    for values in c.chunks_exact(sum.len()) {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    fn naive(gemm: &Gemm, a: &[f32], b: &[f32], c: &[f32]) -> Vec<f32> {
        let Gemm { m, n, k, .. } = *gemm;
        let mut result = Vec::with_capacity(m * n);
        for i in 0..m {
            for j in 0..n {
                let mut sum = 0.0f64;
                for p in 0..k {
                    let left = if gemm.transpose_a { a[p * m + i] } else { a[i * k + p] };
                    let right = if gemm.transpose_b { b[j * k + p] } else { b[p * n + j] };
                    sum += f64::from(left) * f64::from(right);
                }
                let before = if gemm.beta == 0.0 { 0.0 } else { gemm.beta * c[i * n + j] };
                result.push(gemm.alpha * sum as f32 + before);
            }
        }
        result
    }

    fn check(gemm: &Gemm) {
        let (a, b, c) = (noise(gemm.m * gemm.k, 1), noise(gemm.k * gemm.n, 2), noise(gemm.m * gemm.n, 3));
        let expected = naive(gemm, &a, &b, &c);
        for kernel in Kernel::available() {
            let mut result = c.clone();
            super::gemm(kernel, gemm, &a, &b, &mut result);
            for (got, want) in result.iter().zip(&expected) {
                let tolerance = 1e-5 * (gemm.k as f32).max(1.0);
                assert!((got - want).abs() <= tolerance, "{}: {got} for {want} in {gemm:?}", kernel.name);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Every instruction set computes what the definition says, whatever the sizes.
        #[test]
        fn agrees_with_the_definition(
            m in 0usize..70, n in 0usize..130, k in 0usize..60,
            transpose_a: bool, transpose_b: bool,
            alpha in prop_oneof![Just(1.0f32), Just(-0.5), Just(0.0)],
            beta in prop_oneof![Just(0.0f32), Just(1.0), Just(0.25)],
        ) {
            check(&Gemm { m, n, k, transpose_a, transpose_b, alpha, beta });
        }
    }

    #[test]
    fn long_reductions_are_cut_and_put_together() {
        for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
            check(&Gemm { transpose_a, transpose_b, ..Gemm::new(19, 300, 1030) });
            check(&Gemm { transpose_a, transpose_b, beta: 1.0, ..Gemm::new(300, 17, 1030) });
        }
    }

    #[test]
    fn beta_zero_forgets_what_was_there() {
        let mut c = [f32::NAN];
        super::gemm(Kernel::get(), &Gemm::new(1, 1, 1), &[2.0], &[3.0], &mut c);
        assert_eq!(c, [6.0]);
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let gemm = Gemm { transpose_b: true, ..Gemm::new(100, 333, 777) };
        let (a, b) = (noise(gemm.m * gemm.k, 1), noise(gemm.k * gemm.n, 2));
        let run = |threads| {
            let mut c = vec![0.0; gemm.m * gemm.n];
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| super::gemm(Kernel::get(), &gemm, &a, &b, &mut c));
            c
        };
        assert!(run(1) == run(2) && run(1) == run(5));
    }
}
