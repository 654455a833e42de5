//! Batches: images of one shape, transformed, with their labels.

use super::{
    Planes, Position, Source, Values,
    on_card::{Raw, Sent},
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
    /// The images, N×C×H×W; not filled where a card is to make them.
    pub images: Vec<f32>,
    /// The labels, N.
    pub labels: Vec<f32>,
    /// What a card makes the images of.
    pub raw: Raw,
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

    /// From now on batches are for a card, which has so many bytes of room for records; tells how images are transformed there. `None`
    /// where the host must make them.
    fn for_card(&mut self, room: usize) -> Option<&Transform> {
        let _ = room;
        None
    }

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
    /// What a card has; `None` where the host makes the images.
    sent: Option<Sent>,
}

impl Loader {
    /// A loader of batches of `size` records, from the source's first record on.
    pub fn new(mut source: Box<dyn Source>, decoder: Decoder, transform: Transform, size: usize) -> Self {
        source.rewind();
        let name = source.name().to_owned();
        Loader { source, decoder, transform, size, name, sent: None }
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

    /// Fills a batch for a card; says whether it could: not where records are no bytes, have different shapes or cannot be read. Then
    /// nothing has happened, and the host makes this batch and all that follow.
    fn load_raw(&mut self, batch: &mut Batch) -> bool {
        let Some(sent) = &mut self.sent else { return false };
        let (position, stream) = (self.source.position(), self.transform.stream());
        // Shuffled records have no places of their own.
        let count = self.source.known_count().filter(|_| position.shuffle_seed.is_none());
        let Loader { source, decoder, transform, size, .. } = self;
        let mut next = || -> Option<()> {
            for item in 0..*size {
                // Behind the last record comes the first.
                let place = count.map_or(0, |count| source.position().place % count.max(1));
                let record = source.next().ok()?;
                let label = record.label as f32;
                let slot = if sent.has(place) {
                    place
                } else {
                    let Planes { shape, values: Values::Bytes(bytes) } = decoder.decode(record.image).ok()? else {
                        return None;
                    };
                    let slot = sent.slot(shape, count, [place, item])?;
                    batch.raw.send(slot, bytes);
                    slot
                };
                let shape = sent.shape?;
                let [channels, height, width] = transform.shape(shape).ok()?;
                batch.shape = [*size, channels, height, width];
                batch.raw.cut(slot, transform.cut(shape), label);
                batch.labels[item] = label;
            }
            Some(())
        };
        if next().is_none() {
            self.sent = None;
            self.transform.set_stream(stream);
            // A source that cannot go back says so with its next record.
            let _ = self.source.seek(position);
            return false;
        }
        batch.raw.shape = sent.shape.unwrap_or_default();
        batch.raw.slots = sent.kept.as_ref().map_or(self.size, Vec::len);
        true
    }
}

impl Load for Loader {
    /// Fills a batch with the next records. They take the shape of the first of them.
    ///
    /// # Errors
    /// When a record cannot be used, or differs in shape from the first; the message names source and key.
    fn load(&mut self, batch: &mut Batch) -> Result<()> {
        let rounds = self.source.rounds();
        batch.labels.resize(self.size, 0.0);
        batch.raw.clear();
        if self.load_raw(batch) {
            batch.restarts = self.source.rounds() - rounds;
            return Ok(());
        }
        batch.raw.clear();
        let Loader { source, decoder, transform, size, name, .. } = self;
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

    fn for_card(&mut self, room: usize) -> Option<&Transform> {
        self.sent = Some(Sent { room, ..Sent::default() });
        Some(&self.transform)
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
        // Batches that were on their way are lost, and what they would have sent.
        self.sent.iter_mut().for_each(Sent::forget);
        Ok(())
    }
}
