//! An emulated card: a library that poses as CUDA's driver, NVRTC, cuBLAS and cuDNN, and runs kernels on the CPU.
//!
//! Tests put it where the program looks for `libcuda.so.1`, `libnvrtc.so.12` and `libcublas.so.12`; then `--gpu 0` runs here, launches,
//! copies and graphs included. It is strict where a real card fails, or might:
//!
//! - Device memory lies between pages that cannot be touched, and holds no number until something is written to it.
//! - Work runs as late as it may: a stream's queue is run when something waits for it. Copies from and to pinned memory read and write
//!   then.
//! - What may not be done while a stream is captured ends in CUDA's error, and so does what a launch may not ask for.
//! - Kernels are the program's own text, compiled by the machine's C compiler behind `shim.h`. A block's threads meet at barriers and
//!   shuffles or it is a fault (`threads.c`); an index outside a shared array is one too.
//! - Faults end the process with a line that names kernel, block, thread and address.
//!
//! The environment changes it: `EMULATED_CARD_COUNT` (cards, 1), `EMULATED_CARD_MEMORY` (bytes, 8 GiB), `EMULATED_CARD_GUARD=front`
//! (allocations begin at a page that cannot be touched instead of ending there), `EMULATED_CARD_ORDER=reversed` (blocks and threads
//! run from the last to the first: what depends on their order changes), `EMULATED_CARD_TRACE=1` (every operation as a line on stderr),
//! `EMULATED_CARD_RECORD` (a folder: the text of every program that is compiled, as `PROGRAM.cu`, and an empty file `PROGRAM.cu.KERNEL.kernel`
//! for every kernel that is asked for), `CC` (the C compiler).
//!
//! Every exported function is one of CUDA's, with its name, arguments and duties of the caller.

#![cfg(target_os = "linux")]
#![allow(non_snake_case, unsafe_op_in_unsafe_fn, clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)]
// The lock of `card.rs` is held by whoever uses a function or a graph.
#![allow(clippy::arc_with_non_send_sync)]
// The signatures are CUDA's.
#![allow(clippy::too_many_arguments)]

mod capture;
mod card;
mod codes;
mod convolution;
mod copies;
mod cublas;
mod cudnn;
mod descriptors;
mod devices;
mod faults;
mod kernels;
mod memory;
mod nvrtc;
mod source;
mod streams;
