//! Shapes and memory: what every layer and op works on.
//!
//! A [`Blob`] is a named pair of [`Buffer`]s, data and diff, under one [`Shape`]. Buffers are handles: several blobs may
//! hold the same memory (a Split's tops, a Flatten's top, a shared parameter), and all learnable parameters of a net are
//! ranges of one buffer. Memory moves to where it is asked for, as Caffe's `SyncedMemory` does.

mod blob;
mod buffer;
mod device;
mod message;
mod room;
mod shape;
mod synced;

pub use blob::Blob;
pub use buffer::{Buffer, HostMut, HostRef};
pub use device::Device;
pub use room::{MOST_VALUES, Room};
pub use shape::Shape;
pub use synced::{Plain, Synced};
