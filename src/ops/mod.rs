//! Arithmetic: one folder per family, the CPU code beside the CUDA code.

pub mod reduce;

pub mod update;
