//! Data: sources of records, the transformation of images, prefetching, converters of public data sets.
//!
//! A [`source`] hands out [`Record`]s in the order of their keys and begins again after the last. What a record may hold
//! is Caffe's `Datum`: raw bytes, floats, or an encoded picture.

pub mod batch;
pub mod datasets;
pub mod extent;
pub mod feed;
pub mod hdf5;
pub mod image_list;
mod jpeg;
pub mod leveldb;
pub mod lmdb;
pub mod npz;
pub mod on_card;
pub mod paths;
pub mod picture;
pub mod prefetch;
pub mod record;
mod resize;
pub mod rows;
pub mod source;
pub mod synthetic;
pub mod transform;
pub mod window_loader;
pub mod windows;

pub use record::{Image, Planes, Record, Values};
pub use source::{Position, Source};
