//! Products of matrices by cuBLAS.

use cudarc::cublas::{result, sys};

use super::{Card, Memory, Pointer, card::lock, libraries};
use crate::error::Result;

/// How products are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Math {
    /// As f32.
    #[default]
    F32,
    /// Factors are rounded to TF32, ten bits behind the point, where tensor cores are faster for it.
    Tf32,
}

/// cuBLAS works in this memory: what it recommends for the largest cards. With memory of its own it can be captured.
const WORKSPACE: usize = 32 << 20;

/// cuBLAS on a card.
#[derive(Debug)]
pub(super) struct Blas {
    handle: sys::cublasHandle_t,
    _workspace: Memory,
}

// SAFETY: the handle belongs to the context, not to a thread; the card lets one thread at a time use it.
unsafe impl Send for Blas {}

/// A product in cuBLAS's order: columns one behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// Whether each of both factors lies transposed.
    pub transposed: [bool; 2],
    /// Rows of the result, columns of the result, terms of a sum.
    pub sizes: [usize; 3],
    /// The distance between columns of both factors and the result.
    pub strides: [usize; 3],
    /// The factor of the product.
    pub alpha: f32,
    /// The factor of what the result holds.
    pub beta: f32,
}

impl Blas {
    /// Loads the library and makes it ready for a card.
    ///
    /// # Errors
    /// When the library is missing or refuses.
    pub fn new(card: &'static Card, math: Math) -> Result<Self> {
        libraries::cublas()?;
        let workspace = Memory::new(card, WORKSPACE);
        let failed = |error: result::CublasError| crate::Error::cuda("cuBLAS", format!("{:?}", error.0));
        let handle = result::create_handle().map_err(failed)?;
        let mode = match math {
            Math::F32 => sys::cublasMath_t::CUBLAS_DEFAULT_MATH,
            Math::Tf32 => sys::cublasMath_t::CUBLAS_TF32_TENSOR_OP_MATH,
        };
        // SAFETY: the handle was made just now; the stream lives as long as the card, which is for ever. Both runtimes call a stream the same.
        unsafe {
            result::set_stream(handle, card.stream().cast()).map_err(failed)?;
            sys::cublasSetMathMode(handle, mode).result().map_err(failed)?;
            sys::cublasSetWorkspace_v2(handle, workspace.pointer().0 as *mut _, WORKSPACE).result().map_err(failed)?;
        }
        Ok(Blas { handle, _workspace: workspace })
    }

    /// `c = alpha · op(a) · op(b) + beta · c`.
    pub fn product(&self, product: Product, a: Pointer, b: Pointer, c: Pointer) -> Result<(), result::CublasError> {
        let operation = |is_transposed| match is_transposed {
            true => sys::cublasOperation_t::CUBLAS_OP_T,
            false => sys::cublasOperation_t::CUBLAS_OP_N,
        };
        let [m, n, k] = product.sizes.map(|size| size as i32);
        let [lda, ldb, ldc] = product.strides.map(|stride| stride.max(1) as i32);
        let [a_operation, b_operation] = product.transposed.map(operation);
        // SAFETY: the handle is alive, the factors are on the host; whoever gives the pointers answers for their sizes.
        unsafe {
            result::sgemm(
                self.handle,
                a_operation,
                b_operation,
                m,
                n,
                k,
                &product.alpha,
                a.0 as *const f32,
                lda,
                b.0 as *const f32,
                ldb,
                &product.beta,
                c.0 as *mut f32,
                ldc,
            )
        }
    }
}

impl Card {
    /// A product of matrices, behind all that was given to the card.
    pub fn product(&'static self, product: Product, a: Pointer, b: Pointer, c: Pointer) {
        if self.has_failed() {
            return;
        }
        self.enter();
        let math = *lock(&self.math);
        let mut blas = lock(&self.blas);
        if blas.is_none() {
            match Blas::new(self, math) {
                Ok(new) => *blas = Some(new),
                Err(error) => return self.fail_with(error),
            }
        }
        self.count_launches(1);
        let mut outcome = Ok(());
        self.attempt("cuEventRecord", || {
            self.timed("cuBLAS", || {
                outcome = blas.as_ref().map_or(Ok(()), |blas| blas.product(product, a, b, c));
                Ok(())
            })
        });
        if let Err(error) = outcome {
            self.fail("cublasSgemm".into(), format!("{:?}", error.0));
        }
    }
}
