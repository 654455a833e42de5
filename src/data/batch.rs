//! Batches: images of one shape, transformed, with their labels.

use log::info;

use super::{
    Source,
    picture::Decoder,
    record::{fault, in_source},
    transform::Transform,
};
use crate::error::Result;

/// A batch of images and labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// N, C, H and W.
    pub shape: [usize; 4],
    /// The images, N×C×H×W.
    pub images: Vec<f32>,
    /// The labels, N.
    pub labels: Vec<f32>,
}

/// Fills batches from a source.
pub struct Loader {
    source: Box<dyn Source>,
    decoder: Decoder,
    transform: Transform,
    size: usize,
    name: String,
    rounds: usize,
}

impl Loader {
    /// A loader of batches of `size` records, from the source's first record on.
    pub fn new(mut source: Box<dyn Source>, decoder: Decoder, transform: Transform, size: usize) -> Self {
        source.rewind();
        let name = source.name().to_owned();
        Loader { source, decoder, transform, size, name, rounds: 0 }
    }

    /// The shape of the first batch.
    ///
    /// # Errors
    /// When the first record cannot be used.
    pub fn shape(&mut self) -> Result<[usize; 4]> {
        let Loader { source, decoder, transform, size, name, .. } = self;
        let record = source.next()?;
        let fault = |message: String| in_source(fault(record.key, &message), name);
        let planes = decoder.decode(record.image).map_err(fault)?;
        let [channels, height, width] = transform.shape(planes.shape).map_err(fault)?;
        source.rewind();
        Ok([*size, channels, height, width])
    }

    /// Begins the transformation's random stream ([`Transform::seed_from`]).
    pub fn seed_from(&mut self, engine: &crate::rng::SharedRandom) {
        self.transform.seed_from(engine);
    }

    /// Fills a batch with the next records. They take the shape of the first of them.
    ///
    /// # Errors
    /// When a record cannot be used, or differs in shape from the first; the message names source and key.
    pub fn load(&mut self, batch: &mut Batch) -> Result<()> {
        let Loader { source, decoder, transform, size, name, rounds } = self;
        batch.labels.resize(*size, 0.0);
        for item in 0..*size {
            let record = source.next()?;
            let fault = |message: String| in_source(fault(record.key, &message), name);
            let planes = decoder.decode(record.image).map_err(fault)?;
            let [channels, height, width] = transform.shape(planes.shape).map_err(fault)?;
            let shape = [*size, channels, height, width];
            if item == 0 {
                batch.shape = shape;
                batch.images.resize(shape.iter().product(), 0.0);
            } else if shape != batch.shape {
                let [_, c, h, w] = batch.shape;
                let advice = "images of different size need batch_size 1, or crop_size";
                return Err(fault(format!("is {channels}×{height}×{width}, the batch {c}×{h}×{w}; {advice}")));
            }
            let length = channels * height * width;
            transform.apply(&planes, &mut batch.images[item * length..][..length]);
            batch.labels[item] = record.label as f32;
            if source.rounds() > *rounds {
                *rounds = source.rounds();
                info!("Restarting data prefetching from start.");
            }
        }
        Ok(())
    }
}
