//! `MemoryData`: images and labels that the program gives, through [`Net::feed`](crate::net::Net::feed).
//!
//! | option (`memory_data_param`) | default | meaning |
//! |---|---|---|
//! | `batch_size`, `channels`, `height`, `width` | | N, C, H and W, each at least 1 |
//!
//! `transform_param` (see [`transform`](crate::data::transform)) is for images that are pushed as they come from a file; C, H and
//! W are then those behind the crop. Values that are set are taken as they are.
//!
//! Bottoms: none. Tops: images N×C×H×W; labels, N.
//!
//! Random numbers: the transformation's seed, if it is random at all.

use super::{Io, Layer, Setup, batches};
use crate::{
    data::{feed::Feed, transform::Transform},
    error::{Error, Result},
    proto::{LayerParameter, LayerState, TransformationParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct MemoryData {
    shape: [usize; 4],
    transform: TransformationParameter,
    feed: Option<Feed>,
}

impl MemoryData {
    /// Reads the options.
    ///
    /// # Errors
    /// When a dimension is missing.
    pub fn new_layer(message: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = message.memory_data_param.unwrap_or_default();
        let dims = [
            ("batch_size", options.batch_size()),
            ("channels", options.channels()),
            ("height", options.height()),
            ("width", options.width()),
        ];
        if let Some((field, _)) = dims.iter().find(|(_, dim)| *dim == 0) {
            return Err(Error::config(format!("memory_data_param.{field}"), "must be given, and at least 1"));
        }
        let shape = dims.map(|(_, dim)| dim as usize);
        let transform = message.transform_param.clone().unwrap_or_default();
        Ok(Box::new(MemoryData { shape, transform, feed: None }))
    }
}

impl Layer for MemoryData {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let context = setup.context;
        batches::check_shape(setup.context.room, self.shape, "memory_data_param.batch_size")?;
        let mut transform = Transform::new(&self.transform, context.phase, context.base.as_deref())?;
        transform.seed_from(&context.random);
        self.feed = Some(Feed::new(self.shape, transform));
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.set_top_shape(0, &Shape::from(self.shape))?;
        io.set_top_shape(1, &Shape::from([self.shape[0]]))
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        let fed = self.feed.as_ref().is_some_and(|feed| {
            feed.next(|images, labels| {
                io.top(0).data().host_anew().copy_from_slice(images);
                io.top(1).data().host_anew().copy_from_slice(labels);
            })
        });
        if fed {
            [0, 1].iter().for_each(|&top| io.top(top).data().bring_to(io.device()));
            return Ok(());
        }
        let message = "the layer has no images: give it some with Net::feed(name) and set or push; from files, use ImageData, \
                       Data or HDF5Data instead";
        Err(Error::config("memory_data_param", message))
    }

    fn forward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn backward(&mut self, _: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn feed(&self) -> Option<Feed> {
        self.feed.clone()
    }

    fn state(&self) -> Option<LayerState> {
        self.feed.as_ref().map(Feed::state)
    }

    fn restore(&mut self, state: &LayerState) -> Result<()> {
        self.feed.as_ref().map_or(Ok(()), |feed| feed.restore(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Planes, net::Net, prototxt::parse_net, rng::SharedRandom};

    fn net(batch_size: usize, transform: &str) -> Net {
        let text = format!(
            "layer {{ name: 'in' type: 'MemoryData' top: 'data' top: 'label' {transform}
             memory_data_param {{ batch_size: {batch_size} channels: 1 height: 1 width: 2 }} }}
             layer {{ name: 'all' type: 'Silence' bottom: 'data' bottom: 'label' }}"
        );
        Net::new(&parse_net(text, "net").unwrap().message, "net", SharedRandom::new(3)).unwrap()
    }

    fn forward(net: &mut Net) -> (Vec<f32>, Vec<f32>) {
        net.forward().unwrap();
        let values = |name: &str| net.blob(name).unwrap().data().host().to_vec();
        (values("data"), values("label"))
    }

    #[test]
    fn values_go_round_batch_by_batch() {
        let mut net = net(1, "transform_param { scale: 9 }");
        let feed = net.feed("in").unwrap();
        feed.set(vec![1.0, 2.0, 3.0, 4.0], vec![7.0, 8.0]).unwrap();
        assert_eq!(forward(&mut net), (vec![1.0, 2.0], vec![7.0]));
        assert_eq!(forward(&mut net), (vec![3.0, 4.0], vec![8.0]));
        assert_eq!(forward(&mut net), (vec![1.0, 2.0], vec![7.0]));
        feed.set(vec![5.0, 6.0], vec![9.0]).unwrap();
        assert_eq!(forward(&mut net), (vec![5.0, 6.0], vec![9.0]));
    }

    #[test]
    fn pushed_images_are_transformed_and_wait_until_they_are_used() {
        let mut net = net(1, "transform_param { mean_value: 1 scale: 2 }");
        let feed = net.feed("in").unwrap();
        let images = [[3, 4], [5, 6]];
        let images = images.each_ref().map(|bytes| Planes::bytes([1, 1, 2], bytes));
        feed.push(&images, &[1, 2]).unwrap();
        assert_eq!(forward(&mut net), (vec![4.0, 6.0], vec![1.0]));
        assert!(feed.push(&images, &[1, 2]).unwrap_err().to_string().contains("have not all been used"));
        assert_eq!(forward(&mut net), (vec![8.0, 10.0], vec![2.0]));
        feed.push(&images[1..], &[3]).unwrap();
        assert_eq!(forward(&mut net), (vec![8.0, 10.0], vec![3.0]));
    }

    #[test]
    fn a_restored_layer_goes_on_in_the_images_that_are_given_again() {
        let bytes: Vec<u8> = (0..12).collect();
        let images: Vec<_> = bytes.chunks(2).map(|bytes| Planes::bytes([1, 1, 2], bytes)).collect();
        let begin = || {
            let net = net(2, "transform_param { mirror: true }");
            net.feed("in").unwrap().push(&images, &[0, 1, 2, 3, 4, 5]).unwrap();
            net
        };
        let (mut one, mut other) = (begin(), begin());
        forward(&mut one);
        let states: Vec<_> = one.states(0).collect();
        states.iter().for_each(|state| other.restore_state(state));
        assert_eq!((states.len(), forward(&mut other)), (1, forward(&mut one)));
        assert_eq!(forward(&mut other).1, [4.0, 5.0]);
        let feed = net(2, "").feed("in").unwrap();
        assert!(feed.restore(&states[0]).unwrap_err().to_string().contains("there are 0 images"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut net = net(2, "");
        let error = net.forward().unwrap_err().to_string();
        assert!(
            error.contains("layer \"in\" (MemoryData): memory_data_param: the layer has no images: give it some"),
            "{error}"
        );
        let error = net.feed("all").err().unwrap().to_string();
        assert!(error.ends_with("no MemoryData layer \"all\"; it has \"in\""), "{error}");
        let feed = net.feed("in").unwrap();
        let error = |result: Result<()>| result.unwrap_err().to_string();
        assert!(error(feed.set(vec![0.0; 6], vec![0.0; 3])).contains("batch_size 2 must divide"));
        assert!(error(feed.set(vec![0.0; 5], vec![0.0; 2])).contains("2 images of 1×1×2, 4 values; there are 5"));
        let image = Planes::bytes([1, 1, 3], &[0; 3]);
        let images = [image.clone(), image];
        assert!(error(feed.push(&images, &[0, 0])).contains("image 0 is 1×1×3, the layer takes 1×1×2"));
        assert!(error(feed.push(&images, &[0])).contains("2 images and 1 labels"));
        assert!(error(feed.push(&[], &[])).contains("there are 0 images"));
        let options = LayerParameter { r#type: Some("MemoryData".into()), ..Default::default() };
        assert!(
            MemoryData::new_layer(&options)
                .err()
                .unwrap()
                .to_string()
                .starts_with("memory_data_param.batch_size: must")
        );
    }
}
