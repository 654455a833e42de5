//! The way into a `MemoryData` layer: images and labels that the program itself makes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Planes, transform::Transform};
use crate::{
    error::{Error, Result},
    proto::LayerState,
};

/// A handle to the images and labels of a `MemoryData` layer. Clones share them; threads may hold them.
///
/// The layer takes N images (its batch size) per forward pass, in order, and begins again after the last.
///
/// ```
/// use rcaffe::{net::Net, prototxt, rng::SharedRandom};
///
/// let text = r#"
///     layer {
///       name: "data" type: "MemoryData" top: "data" top: "label"
///       memory_data_param { batch_size: 2 channels: 1 height: 1 width: 3 }
///     }
///     layer { name: "double" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }
/// "#;
/// let net = prototxt::parse_net(text, "net.prototxt")?.message;
/// let mut net = Net::new(&net, "net.prototxt", SharedRandom::new(1))?;
///
/// // Two images of 1×1×3 and their labels.
/// net.feed("data")?.set(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0.0, 1.0])?;
/// net.forward()?;
/// assert_eq!(net.blob("twice").unwrap().data().host()[..], [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
/// assert_eq!(net.blob("label").unwrap().data().host()[..], [0.0, 1.0]);
/// # Ok::<(), rcaffe::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Feed(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// N, C, H and W of a batch.
    shape: [usize; 4],
    transform: Transform,
    images: Vec<f32>,
    labels: Vec<f32>,
    /// The next image.
    place: usize,
    /// Images that [`Feed::push`] brought and no forward pass has taken yet.
    waiting: bool,
}

impl Feed {
    /// The feed of a layer with batches of this shape; `transform` is for images that are pushed.
    pub(crate) fn new(shape: [usize; 4], transform: Transform) -> Self {
        let state = State { shape, transform, images: Vec::new(), labels: Vec::new(), place: 0, waiting: false };
        Feed(Arc::new(Mutex::new(state)))
    }

    /// Gives the layer these values, as they are: images one after the other, each C×H×W, and a label for each. They take the
    /// place of all before.
    ///
    /// # Errors
    /// When the values are not those of as many images as there are labels, or these fill no whole number of batches.
    pub fn set(&self, images: Vec<f32>, labels: Vec<f32>) -> Result<()> {
        let mut state = self.lock();
        let length: usize = state.shape[1..].iter().product();
        state.check_count(labels.len())?;
        if images.len() != labels.len() * length {
            let [_, c, h, w] = state.shape;
            let (count, values) = (labels.len(), images.len());
            let message = format!(
                "{count} labels need {count} images of {c}×{h}×{w}, {} values; there are {values}",
                count * length
            );
            return Err(Error::shape(message));
        }
        (state.images, state.labels, state.place, state.waiting) = (images, labels, 0, false);
        Ok(())
    }

    /// Gives the layer these images, cropped, mirrored, less the mean and scaled as its `transform_param` says, and a label for
    /// each. They take the place of all before, which must have been used.
    ///
    /// # Errors
    /// When images given before wait still, an image has not the layer's shape, or they fill no whole number of batches.
    pub fn push(&self, images: &[Planes<'_>], labels: &[i32]) -> Result<()> {
        let mut state = self.lock();
        if state.waiting {
            return Err(Error::shape("the images given before have not all been used: run the net forward first"));
        }
        state.check_count(images.len())?;
        if images.len() != labels.len() {
            return Err(Error::shape(format!("there are {} images and {} labels", images.len(), labels.len())));
        }
        let State { shape, transform, .. } = &mut *state;
        let mut values = vec![0.0; images.len() * shape[1..].iter().product::<usize>()];
        let length = values.len() / images.len();
        for (index, (image, out)) in images.iter().zip(values.chunks_exact_mut(length)).enumerate() {
            let found =
                transform.shape(image.shape).map_err(|message| Error::shape(format!("image {index} {message}")))?;
            if found != shape[1..] {
                let ([c, h, w], [_, channels, height, width]) = (found, *shape);
                let message = format!("image {index} is {c}×{h}×{w}, the layer takes {channels}×{height}×{width}");
                return Err(Error::shape(message));
            }
            transform.apply(image, out);
        }
        let labels = labels.iter().map(|&label| label as f32).collect();
        (state.images, state.labels, state.place, state.waiting) = (values, labels, 0, true);
        Ok(())
    }

    /// Hands the images and labels of the next batch to `read`; false when there are none.
    pub(crate) fn next(&self, read: impl FnOnce(&[f32], &[f32])) -> bool {
        let mut state = self.lock();
        let (size, place) = (state.shape[0], state.place);
        if state.labels.is_empty() {
            return false;
        }
        let length = state.images.len() / state.labels.len();
        read(&state.images[place * length..][..size * length], &state.labels[place..][..size]);
        state.place = (place + size) % state.labels.len();
        state.waiting &= state.place != 0;
        true
    }

    /// Where the feed stands, for a snapshot: the images themselves are the program's.
    pub(crate) fn state(&self) -> LayerState {
        let state = self.lock();
        let mut random = Vec::new();
        state.transform.state_into(&mut random);
        LayerState { place: Some(state.place as u64), random, ..LayerState::default() }
    }

    /// Goes to where such a feed stood, in the images that the program has given again.
    ///
    /// # Errors
    /// When they are fewer.
    pub(crate) fn restore(&self, saved: &LayerState) -> Result<()> {
        let mut state = self.lock();
        let place = usize::try_from(saved.place()).unwrap_or(usize::MAX);
        if place >= state.labels.len().max(1) || !place.is_multiple_of(state.shape[0]) {
            let message = format!("there are {} images, the snapshot was made at number {place}", state.labels.len());
            return Err(Error::shape(message));
        }
        let random = state.transform.stream_of(&saved.random)?;
        state.transform.set_stream(random);
        state.place = place;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_count(&self, count: usize) -> Result<()> {
        let size = self.shape[0];
        if count == 0 || !count.is_multiple_of(size) {
            let message =
                format!("there are {count} images; memory_data_param.batch_size {size} must divide their number");
            return Err(Error::shape(message));
        }
        Ok(())
    }
}
