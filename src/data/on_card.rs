//! Batches that a card makes: the records' bytes go there, the card cuts images out of them and transforms them.
//!
//! A byte goes over the bus instead of a number of four. Where all records of a source have room (a quarter of the card's memory), they
//! stay there, and from the second round on nothing goes over but which record is cut how. The random numbers are the host's, drawn in
//! Caffe's order, and the values are the host's to the last bit.

use super::{
    batch::Batch,
    transform::{Cut, Mean, Transform},
};
use crate::{
    cuda::{Card, Memory},
    ops::cut::{self, Cutting, Means},
    tensor::{Buffer, Synced},
};

/// Records on their way to a card, and how the images of a batch are cut out of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Raw {
    /// C, H and W of every record.
    pub shape: [usize; 3],
    /// How many records there must be room for.
    pub slots: usize,
    /// The bytes of records that are not there yet, each filled up to [`stride`].
    bytes: Vec<u8>,
    /// Where these go: the first slot, and how many slots.
    runs: Vec<(usize, usize)>,
    /// [`cut::NUMBERS`] for each image; none at all when the host has made the batch.
    cuts: Vec<u32>,
}

/// Bytes from one record to the next: whole words.
pub fn stride(shape: [usize; 3]) -> usize {
    shape.iter().product::<usize>().next_multiple_of(4)
}

impl Raw {
    /// Whether a card is to make the batch.
    pub fn is_used(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// Empties it: the host makes the batch, or it begins.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        self.cuts.clear();
    }

    /// Sends a record to a slot.
    pub fn send(&mut self, slot: usize, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        match self.runs.last_mut() {
            Some((first, count)) if *first + *count == slot => *count += 1,
            _ => self.runs.push((slot, 1)),
        }
    }

    /// Cuts the next image out of a slot's record.
    pub fn cut(&mut self, slot: usize, cut: Cut, label: f32) {
        let Cut { top, left, mirrored } = cut;
        self.cuts.extend([slot as u32, top as u32, left as u32, u32::from(mirrored), label.to_bits()]);
    }
}

/// The records that the thread has sent to a card.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Bytes that may stay there.
    pub room: usize,
    /// C, H and W of every record, known from the first on.
    pub shape: Option<[usize; 3]>,
    /// Which records are there; `None` where they do not stay.
    pub kept: Option<Vec<bool>>,
}

impl Sent {
    /// Whether the record at this place is there.
    pub fn has(&self, place: usize) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept[place])
    }

    /// Where a record of this shape goes that is to be sent: to its place where all `count` records have room, else to that of its image.
    /// `None` when its shape is not that of the first record.
    pub fn slot(&mut self, shape: [usize; 3], count: Option<usize>, [place, item]: [usize; 2]) -> Option<usize> {
        if self.shape.is_none() {
            self.shape = Some(shape);
            let fits = |&count: &usize| count.checked_mul(stride(shape)).is_some_and(|bytes| bytes <= self.room);
            self.kept = count.filter(fits).map(|count| vec![false; count]);
        }
        if self.shape != Some(shape) {
            return None;
        }
        let Some(kept) = &mut self.kept else { return Some(item) };
        kept[place] = true;
        Some(place)
    }

    /// From now on nothing counts as sent.
    pub fn forget(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.fill(false));
    }
}

/// A card's memory for records, and what it makes batches with.
#[derive(Debug)]
pub struct Area {
    card: &'static Card,
    memory: Option<Memory>,
    mean: Buffer,
    means: Means,
    scale: f32,
    cuts: Synced<u32>,
}

impl Area {
    /// An area for records that this transformation works on.
    pub fn new(card: &'static Card, transform: &Transform) -> Self {
        let (means, mean) = match transform.mean() {
            Mean::None => (Means::None, Vec::new()),
            Mean::Values(values) if values.len() == 1 => (Means::One, values.clone()),
            Mean::Values(values) => (Means::Channels, values.clone()),
            Mean::Image { values, .. } => (Means::Image, values.clone()),
        };
        let scale = transform.scale();
        Area { card, memory: None, mean: Buffer::from(mean), means, scale, cuts: Synced::default() }
    }

    /// Sends the new records of a batch, and makes its images and labels.
    pub fn fill(&mut self, batch: &Batch, images: &Buffer, labels: Option<&Buffer>) {
        let (raw, card) = (&batch.raw, self.card);
        let stride = stride(raw.shape);
        if self.memory.as_ref().is_none_or(|memory| memory.bytes() != raw.slots * stride) {
            self.memory = Some(Memory::new(card, raw.slots * stride));
        }
        let Some(memory) = &self.memory else { return };
        let mut bytes = raw.bytes.as_slice();
        for &(slot, count) in &raw.runs {
            let (run, rest) = bytes.split_at(count * stride);
            card.send(run, memory.pointer().at(slot * stride / 4));
            bytes = rest;
        }
        self.cuts.grow(raw.cuts.len());
        self.cuts.host_mut()[..raw.cuts.len()].copy_from_slice(&raw.cuts);
        let cutting = Cutting { stride, record: raw.shape, batch: batch.shape, means: self.means, scale: self.scale };
        cut::cut(card, &cutting, memory.pointer(), &self.cuts, &self.mean, images, labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{
            batch::{Load, Loader},
            lmdb,
            picture::{Color, Decoder},
            record::serialize_bytes,
        },
        proto::{LayerState, Phase, TransformationParameter},
        rng::SharedRandom,
    };

    /// A loader of random crops, from a database of five records of 3×4×5 bytes.
    fn loader(folder: &std::path::Path) -> Loader {
        let parameter = TransformationParameter { crop_size: Some(3), mirror: Some(true), ..Default::default() };
        let transform = Transform::new(&parameter, Phase::Train, None).unwrap();
        let name = folder.to_str().unwrap();
        let source = Box::new(lmdb::Cursor::open(name, folder).unwrap());
        let mut loader = Loader::new(source, Decoder::new(Color::AsStored), transform, 3);
        loader.seed_from(&SharedRandom::new(5));
        loader
    }

    fn database(folder: &std::path::Path) {
        let mut writer = lmdb::Writer::create(folder, 100_000).unwrap();
        for record in 0..5u8 {
            let values: Vec<u8> = (0..60).map(|value| value + 37 * record).collect();
            writer.put(&[b'0' + record], serialize_bytes([3, 4, 5], record.into(), &values)).unwrap();
        }
        writer.finish().unwrap();
    }

    /// What the card does.
    fn images(raw: &Raw, memory: &mut Vec<u8>) -> Vec<f32> {
        let stride = stride(raw.shape);
        memory.resize(raw.slots * stride, 0);
        let mut bytes = raw.bytes.as_slice();
        for &(slot, count) in &raw.runs {
            memory[slot * stride..][..count * stride].copy_from_slice(&bytes[..count * stride]);
            bytes = &bytes[count * stride..];
        }
        let mut images = Vec::new();
        for cut in raw.cuts.chunks(cut::NUMBERS).map(|cut| [0, 1, 2, 3].map(|number| cut[number] as usize)) {
            for (channel, y, x) in (0..3).flat_map(|c| (0..3).flat_map(move |y| (0..3).map(move |x| (c, y, x)))) {
                let x = if cut[3] == 1 { 2 - x } else { x };
                images.push(memory[cut[0] * stride + (channel * 4 + cut[1] + y) * 5 + cut[2] + x].into());
            }
        }
        images
    }

    #[test]
    fn raw_batches_are_those_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        database(&path);
        for (room, slots) in [(5 * 60, 5), (5 * 60 - 1, 3)] {
            let (mut on_host, mut raw) = (loader(&path), loader(&path));
            let (mut expected, mut batch, mut memory) = (Batch::default(), Batch::default(), Vec::new());
            let [mut host_state, mut state] = [LayerState::default(), LayerState::default()];
            assert!(raw.for_card(room).is_some());
            let mut sent = 0;
            for number in 0..9 {
                on_host.load(&mut expected).unwrap();
                raw.load(&mut batch).unwrap();
                assert!(batch.raw.is_used() && !expected.raw.is_used());
                assert_eq!((batch.raw.slots, batch.shape, &batch.labels), (slots, expected.shape, &expected.labels));
                assert_eq!(batch.restarts, expected.restarts);
                assert_eq!(images(&batch.raw, &mut memory), expected.images, "batch {number}");
                sent += batch.raw.bytes.len() / 60;
                (host_state.random, state.random) = (Vec::new(), Vec::new());
                on_host.save(&mut host_state);
                raw.save(&mut state);
                assert_eq!(state, host_state);
                // What was sent and is lost goes again.
                if number == 4 {
                    raw.restore(&state).unwrap();
                    memory.clear();
                }
            }
            assert_eq!(sent, if slots == 5 { 10 } else { 27 });
        }
    }

    #[test]
    fn records_of_another_shape_are_left_to_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut writer = lmdb::Writer::create(&path, 100_000).unwrap();
        for record in 0..5u8 {
            let side = if record == 3 { 6 } else { 5 };
            let values: Vec<u8> = (0..3 * 4 * side).collect();
            writer.put(&[b'0' + record], serialize_bytes([3, 4, side.into()], 0, &values)).unwrap();
        }
        writer.finish().unwrap();
        let (mut on_host, mut raw) = (loader(&path), loader(&path));
        raw.for_card(1 << 20);
        let (mut expected, mut batch) = (Batch::default(), Batch::default());
        for is_raw in [true, false, false] {
            on_host.load(&mut expected).unwrap();
            raw.load(&mut batch).unwrap();
            assert_eq!(batch.raw.is_used(), is_raw);
            assert!(is_raw || (&batch.images, batch.shape) == (&expected.images, expected.shape));
        }
    }
}
