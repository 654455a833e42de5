//! Arithmetic: one folder per family, the CPU code beside the CUDA code.

pub mod activation;
pub mod batch_norm;
pub mod boxes;
pub mod broadcast;
pub mod conv;
mod disjoint;
pub mod elementwise;
pub mod eltwise;
pub mod gemm;
pub mod loss;
pub mod lrn;
pub mod math;
pub mod movement;
pub mod mvn;
pub mod normalize;
pub mod peak;
pub mod pool;
pub mod prelu;
pub mod rank;
pub mod recurrent;
pub mod reduce;
pub mod reduction;
pub mod resize;
pub mod roi;
pub mod softmax;
pub mod update;
pub mod vector;
