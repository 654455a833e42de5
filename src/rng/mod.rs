//! Caffe's random numbers: the Mersenne twister, Boost's distributions, and the fillers that draw from them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    error::{Error, Result},
    proto::FillerParameter,
    tensor::Shape,
};

/// One stream of random numbers.
#[derive(Debug)]
pub struct Random {}

impl Random {
    /// The stream that starts from `seed`.
    pub fn new(seed: u32) -> Self {
        let _ = seed;
        Random {}
    }
}

/// The engine that all parts of a run draw from in turn, as Caffe's global one.
#[derive(Debug, Clone)]
pub struct SharedRandom(Arc<Mutex<Random>>);

impl SharedRandom {
    /// The engine that starts from `seed`.
    pub fn new(seed: u32) -> Self {
        SharedRandom(Arc::new(Mutex::new(Random::new(seed))))
    }

    /// The engine, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Random> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills a parameter of this shape with its initial values.
///
/// # Errors
/// When the filler does not exist or cannot fill this shape; `field` names it in the message.
pub fn fill(
    filler: &FillerParameter,
    shape: &Shape,
    values: &mut [f32],
    random: &mut Random,
    field: &str,
) -> Result<()> {
    let _ = (filler, shape, values, random);
    Err(Error::config(field, "no fillers yet"))
}
