//! rcaffe trains, tests and serves Caffe networks from their own files.
//!
//! ```text
//! prototxt text → messages (upgraded) → net graph → layers → ops (CPU | CUDA)
//!                                          ↑ data sources → transform → prefetch
//! solver: learning rate + update rule + loop  → snapshots, log lines, metrics, reports  → command line
//! range test: runs of a solver on throw-away weights; check: what would fail or surprise, before a run
//! compare: what differs between two runs, nets or dumps; selftest: a GPU against the CPU
//! below all: tensor (memory on host and GPU), cuda (GPUs, their libraries, kernels), rng, error
//! selftest: a GPU against the CPU, op by op and layer by layer
//! ```
//!
//! Everything points one way: a folder uses what stands to its right or below it, never back.

pub mod check;
pub mod cli;
pub mod compare;
pub mod cuda;
pub mod data;
pub mod error;
pub mod layers;
pub mod net;
pub mod ops;
pub mod prototxt;
pub mod range_test;
pub mod report;
pub mod rng;
pub mod selftest;
pub mod snapshot;
pub mod solver;
pub mod tensor;

/// Caffe's messages, generated from `proto/caffe.proto`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/caffe.rs"));

    /// The descriptors of all messages, for readers and printers that go by field name.
    pub static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/caffe.descriptors"));
}

pub use error::{Error, Result};
