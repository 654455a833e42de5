//! cuBLAS: matrix products in f32, column by column, in the order of the sums' terms.

use std::{
    collections::BTreeMap,
    ffi::{c_int, c_longlong, c_void},
    sync::Mutex,
};

use crate::{
    card::{self, in_context, note, trace},
    faults,
    streams::Operation,
};

/// `cublasStatus_t`.
type Status = c_int;
const NOT_INITIALIZED: Status = 1;
const ALLOCATION_FAILED: Status = 3;
const INVALID_VALUE: Status = 7;
const EXECUTION_FAILED: Status = 13;

/// A handle: its stream.
#[derive(Default)]
struct Handle {
    stream: usize,
    /// Whether factors are read from the card's memory.
    factors_on_card: bool,
}

static HANDLES: Mutex<BTreeMap<usize, Handle>> = Mutex::new(BTreeMap::new());

/// A matrix: its first value, the distance of columns, whether it is transposed, the distance of the next one.
#[derive(Clone, Copy)]
struct Matrix {
    start: usize,
    leading: usize,
    is_transposed: bool,
    stride: usize,
}

impl Matrix {
    fn value(&self, batch: usize, row: usize, column: usize) -> f32 {
        let (row, column) = if self.is_transposed { (column, row) } else { (row, column) };
        unsafe { *((self.start as *const f32).add(batch * self.stride + column * self.leading + row)) }
    }

    /// Bytes that products of `rows` × `columns` (before it is transposed) use.
    fn check(&self, name: &str, rows: usize, columns: usize, batches: usize) {
        let (rows, columns) = if self.is_transposed { (columns, rows) } else { (rows, columns) };
        if rows * columns * batches == 0 {
            return;
        }
        let values = (batches - 1) * self.stride + (columns - 1) * self.leading + rows;
        let memory = &card::without_lock().memory;
        if !memory.holds(self.start, 4 * values) {
            let place = memory.describe(self.start);
            faults::fail(&format!("matrix {name} of a product: {values} values at {:#x}, {place}", self.start));
        }
    }
}

/// C = α·A·B + β·C, `batches` times.
#[derive(Clone)]
pub struct Product {
    sizes: [usize; 3],
    batches: usize,
    alpha: f32,
    beta: f32,
    a: Matrix,
    b: Matrix,
    c: Matrix,
}

impl Product {
    /// Runs it, here and now. C is not read where β is 0.
    pub fn run(&self) {
        let [m, n, k] = self.sizes;
        trace(|| format!("product of {m}×{k} and {k}×{n}, {} of them", self.batches));
        self.c.check("C", m, n, self.batches);
        if self.alpha != 0.0 {
            self.a.check("A", m, k, self.batches);
            self.b.check("B", k, n, self.batches);
        }
        let mut column = vec![0.0_f32; m];
        let mut copy = vec![0.0_f32; m * k];
        for batch in 0..self.batches {
            for inner in 0..k {
                for row in 0..m {
                    copy[inner * m + row] = self.a.value(batch, row, inner);
                }
            }
            for at in 0..n {
                column.fill(0.0);
                for inner in 0..k {
                    let factor = self.b.value(batch, inner, at);
                    let values = &copy[inner * m..][..m];
                    column.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value * factor);
                }
                let target = unsafe {
                    let start = (self.c.start as *mut f32).add(batch * self.c.stride + at * self.c.leading);
                    std::slice::from_raw_parts_mut(start, m)
                };
                for (target, &sum) in target.iter_mut().zip(&column) {
                    let old = if self.beta == 0.0 { 0.0 } else { self.beta * *target };
                    *target = self.alpha * sum + old;
                }
            }
        }
    }
}

fn with(handle: usize, run: impl FnOnce(&mut Handle) -> Status) -> Status {
    let mut handles = HANDLES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    handles.get_mut(&handle).map_or(NOT_INITIALIZED, run)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasCreate_v2(handle: *mut usize) -> Status {
    let mut new = 0;
    let refused = in_context(|card| {
        card.refuse_in_capture("cublasCreate", false)?;
        new = card.new_handle();
        Ok(())
    });
    if refused != 0 {
        return ALLOCATION_FAILED;
    }
    HANDLES.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(new, Handle::default());
    *handle = new;
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasDestroy_v2(handle: usize) -> Status {
    let known = HANDLES.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&handle);
    known.map_or(NOT_INITIALIZED, |_| 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSetStream_v2(handle: usize, stream: usize) -> Status {
    with(handle, |handle| {
        handle.stream = stream;
        0
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSetMathMode(handle: usize, mode: c_int) -> Status {
    // Default, pedantic, TF32.
    with(handle, |_| if matches!(mode & 0xf, 0 | 2 | 3) { 0 } else { INVALID_VALUE })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSetPointerMode_v2(handle: usize, mode: c_int) -> Status {
    with(handle, |handle| {
        handle.factors_on_card = mode == 1;
        0
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSetAtomicsMode(handle: usize, _mode: c_int) -> Status {
    with(handle, |_| 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSetWorkspace_v2(handle: usize, workspace: *mut c_void, bytes: usize) -> Status {
    let is_on_card = bytes == 0 || card::without_lock().memory.holds(workspace as usize, bytes);
    with(handle, |_| if is_on_card { 0 } else { INVALID_VALUE })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasGetVersion_v2(_handle: usize, version: *mut c_int) -> Status {
    *version = 130_000;
    0
}

unsafe fn multiply(
    handle: usize,
    transposed: [c_int; 2],
    sizes: [c_int; 3],
    alpha: *const f32,
    beta: *const f32,
    matrices: [(usize, c_int, c_longlong); 3],
    batches: c_int,
) -> Status {
    let mut stream = 0;
    let known = with(handle, |handle| {
        stream = handle.stream;
        // Nobody here needs it.
        if handle.factors_on_card { INVALID_VALUE } else { 0 }
    });
    if known != 0 {
        return known;
    }
    let [m, n, k] = sizes;
    let rows = [if transposed[0] == 0 { m } else { k }, if transposed[1] == 0 { k } else { n }, m];
    let is_short = matrices.iter().zip(rows).any(|((_, leading, _), rows)| *leading < rows.max(1));
    if sizes.iter().any(|&size| size < 0)
        || batches < 0
        || is_short
        || !transposed.iter().all(|kind| (0..3).contains(kind))
    {
        note(&format!("a product of sizes {sizes:?} with leading dimensions {:?}", matrices.map(|matrix| matrix.1)));
        return INVALID_VALUE;
    }
    if m == 0 || n == 0 || batches == 0 {
        return 0;
    }
    let matrix = |at: usize, is_transposed: bool| {
        let (start, leading, stride) = matrices[at];
        Matrix { start, leading: leading as usize, is_transposed, stride: stride as usize }
    };
    let product = Product {
        sizes: sizes.map(|size| size as usize),
        batches: batches as usize,
        alpha: *alpha,
        beta: *beta,
        a: matrix(0, transposed[0] != 0),
        b: matrix(1, transposed[1] != 0),
        c: matrix(2, false),
    };
    let refused = in_context(|card| card.enqueue(stream, Operation::Product(product)));
    if refused == 0 { 0 } else { EXECUTION_FAILED }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSgemm_v2(
    handle: usize,
    a_transposed: c_int,
    b_transposed: c_int,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const f32,
    a: usize,
    a_leading: c_int,
    b: usize,
    b_leading: c_int,
    beta: *const f32,
    c: usize,
    c_leading: c_int,
) -> Status {
    let matrices = [(a, a_leading, 0), (b, b_leading, 0), (c, c_leading, 0)];
    multiply(handle, [a_transposed, b_transposed], [m, n, k], alpha, beta, matrices, 1)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSgemmStridedBatched(
    handle: usize,
    a_transposed: c_int,
    b_transposed: c_int,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const f32,
    a: usize,
    a_leading: c_int,
    a_stride: c_longlong,
    b: usize,
    b_leading: c_int,
    b_stride: c_longlong,
    beta: *const f32,
    c: usize,
    c_leading: c_int,
    c_stride: c_longlong,
    batches: c_int,
) -> Status {
    let matrices = [(a, a_leading, a_stride), (b, b_leading, b_stride), (c, c_leading, c_stride)];
    multiply(handle, [a_transposed, b_transposed], [m, n, k], alpha, beta, matrices, batches)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cublasSgemv_v2(
    handle: usize,
    transposed: c_int,
    rows: c_int,
    columns: c_int,
    alpha: *const f32,
    a: usize,
    leading: c_int,
    x: usize,
    x_step: c_int,
    beta: *const f32,
    y: usize,
    y_step: c_int,
) -> Status {
    if y_step != 1 || x_step < 1 {
        note("cublasSgemv: only results that lie side by side are emulated");
        return INVALID_VALUE;
    }
    let (m, k) = if transposed == 0 { (rows, columns) } else { (columns, rows) };
    // A vector with steps is a row of a matrix.
    let matrices = [(a, leading, 0), (x, x_step, 0), (y, m.max(1), 0)];
    multiply(handle, [transposed, 1], [m, 1, k], alpha, beta, matrices, 1)
}
