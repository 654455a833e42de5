//! NVIDIA GPUs: libraries found at run time, cards, their memory, kernels, products of matrices, captured graphs.
//!
//! Nothing here is needed to build or to run on the CPU: driver, NVRTC and cuBLAS are looked for when a card is asked for
//! ([`Card::open`]). Kernels are CUDA C beside the ops that launch them; NVRTC compiles them for the card that is there, and a cache on
//! disk keeps what it made.
//!
//! All work goes to one stream of the card and runs in the order of the calls. A call that fails does not return an error: the first
//! failure stays with the card, later calls do nothing, and [`Card::check`] tells; nets ask after every layer.

mod blas;
mod cache;
mod card;
mod compile;
mod dnn;
mod failure;
mod graph;
mod kernels;
mod launch;
mod libraries;
mod memory;
mod profile;
mod properties;
mod staging;

pub use blas::{Math, Product};
pub use cache::Memo;
pub use card::{Card, Counters};
pub use compile::{Compiled, PRELUDE, Source, compile, compiler};
pub use dnn::{Direction, DnnConvolution, DnnShape};
pub use graph::Graph;
pub use launch::{Argument, Grid, Pointer};
pub use memory::Memory;
pub use profile::KernelTime;
pub use properties::Properties;
