//! Batches: images of one shape, transformed, with their labels.

use super::{
    Position, Source,
    picture::Decoder,
    record::{fault, in_source},
    transform::Transform,
};
use crate::{
    error::{Error, Result},
    proto::LayerState,
};

/// A batch of images and labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// N, C, H and W.
    pub shape: [usize; 4],
    /// The images, N×C×H×W.
    pub images: Vec<f32>,
    /// The labels, N.
    pub labels: Vec<f32>,
    /// How often the source began anew in this batch.
    pub restarts: usize,
    /// Where the loader stood behind this batch.
    pub state: LayerState,
}

/// What fills batches one after the other, and can be put back to where it was.
pub trait Load: Send {
    /// Fills the images and labels of the next batch.
    ///
    /// # Errors
    /// When they cannot be read.
    fn load(&mut self, batch: &mut Batch) -> Result<()>;

    /// Says where it stands.
    fn save(&self, state: &mut LayerState);

    /// Goes to where it stood.
    ///
    /// # Errors
    /// When that place is not one of these data.
    fn restore(&mut self, state: &LayerState) -> Result<()>;
}

/// Refuses the state of other data.
///
/// # Errors
/// When the state is not of the source of this name.
pub(super) fn check_source(state: &LayerState, name: &str) -> Result<()> {
    if state.source() == name {
        return Ok(());
    }
    Err(Error::data(name, format!("is not the source of the snapshot, which is {}", state.source())))
}

/// Fills batches from a source.
pub struct Loader {
    source: Box<dyn Source>,
    decoder: Decoder,
    transform: Transform,
    size: usize,
    name: String,
}

impl Loader {
    /// A loader of batches of `size` records, from the source's first record on.
    pub fn new(mut source: Box<dyn Source>, decoder: Decoder, transform: Transform, size: usize) -> Self {
        source.rewind();
        let name = source.name().to_owned();
        Loader { source, decoder, transform, size, name }
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
}

impl Load for Loader {
    /// Fills a batch with the next records. They take the shape of the first of them.
    ///
    /// # Errors
    /// When a record cannot be used, or differs in shape from the first; the message names source and key.
    fn load(&mut self, batch: &mut Batch) -> Result<()> {
        let Loader { source, decoder, transform, size, name } = self;
        let rounds = source.rounds();
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
        }
        batch.restarts = source.rounds() - rounds;
        Ok(())
    }

    fn save(&self, state: &mut LayerState) {
        let Position { place, rounds, shuffle_seed } = self.source.position();
        if state.source.as_deref() != Some(&self.name) {
            state.source = Some(self.name.clone());
        }
        (state.place, state.rounds, state.shuffle_seed) = (Some(place as u64), Some(rounds as u64), shuffle_seed);
        self.transform.state_into(&mut state.random);
    }

    fn restore(&mut self, state: &LayerState) -> Result<()> {
        check_source(state, &self.name)?;
        let random = self.transform.stream_of(&state.random)?;
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let position =
            Position { place: number(state.place()), rounds: number(state.rounds()), shuffle_seed: state.shuffle_seed };
        self.source.seek(position)?;
        self.transform.set_stream(random);
        Ok(())
    }
}
