//! `ImageData`: batches of pictures from files, and their labels.
//!
//! | option (`image_data_param`) | default | meaning |
//! |---|---|---|
//! | `source` | | the list: one file name, blank and label a line (see [`image_list`](crate::data::image_list)) |
//! | `root_folder` | "" | put before the names in the list, as it is |
//! | `batch_size` | 1 | N, at least 1 |
//! | `new_height`, `new_width` | 0 | the size that pictures are brought to; 0 for both leaves theirs |
//! | `is_color` | true | three channels, blue, green and red; false: one, gray |
//! | `shuffle` | false | another order of the list in each round |
//! | `rand_skip` | 0 | leaves out up to so many pictures, less one, of the first round, by chance |
//!
//! `transform_param`: see [`transform`](crate::data::transform). `data_param.prefetch`: see [`batches`]. Pictures are JPEG, PNG
//! or BMP files, turned as their EXIF data say; pixels are those of OpenCV. With a batch size above 1 they must have one size:
//! give `new_height` and `new_width`, or `transform_param.crop_size`.
//!
//! Bottoms: none. Tops: images N×C×H×W; labels, N.
//!
//! Random numbers, as Caffe draws them: the transformation's seed, if it is random at all, then the seed for shuffling, then
//! the number of pictures to leave out, then the transformation's seed once more (this one counts), then the seed of the
//! prefetch thread, which nothing uses.

use log::info;

use super::{
    Io, Layer, Setup, batches,
    batches::{Batches, SET_UP},
};
use crate::{
    data::{
        batch::Loader,
        image_list::ImageList,
        picture::{Color, Decoder},
        transform::Transform,
    },
    error::{Error, Result},
    proto::{ImageDataParameter, LayerParameter, LayerState, TransformationParameter},
    rng::SharedRandom,
    tensor::Shape,
};

const SKIP: &str = "image_data_param.rand_skip";

/// The layer; see the module's text.
pub struct ImageData {
    parameter: ImageDataParameter,
    transform: TransformationParameter,
    prefetch: usize,
    batches: Option<Batches>,
}

impl ImageData {
    /// Reads the options.
    ///
    /// # Errors
    /// When an option cannot be right.
    pub fn new_layer(message: &LayerParameter) -> Result<Box<dyn Layer>> {
        let parameter = message.image_data_param.clone().unwrap_or_default();
        let config = |field: &str, message: &str| Err(Error::config(format!("image_data_param.{field}"), message));
        if parameter.batch_size() == 0 {
            return config("batch_size", "must be at least 1");
        }
        if parameter.source().is_empty() {
            return config("source", "is missing: the name of a list of pictures and labels");
        }
        if (parameter.new_height() == 0) != (parameter.new_width() == 0) {
            return config("new_height", "and new_width must be given together");
        }
        if parameter.new_height().max(parameter.new_width()) > MOST_PIXELS {
            return config("new_height", "and new_width must be at most 65,536");
        }
        let prefetch = batches::check_prefetch(message)?;
        let transform = message.transform_param.clone().unwrap_or_default();
        Ok(Box::new(ImageData { parameter, transform, prefetch, batches: None }))
    }

    fn decoder(&self) -> Decoder {
        let decoder = Decoder::new(if self.parameter.is_color() { Color::Bgr } else { Color::Gray });
        match [self.parameter.new_height(), self.parameter.new_width()] {
            [0, 0] => decoder,
            size => decoder.resized(size.map(|side| side as usize)),
        }
    }

    fn order(&self, list: &mut ImageList, random: &SharedRandom) -> Result<()> {
        if self.parameter.shuffle() {
            info!("Shuffling data");
            list.shuffle(random.lock().next_u32());
        }
        if self.parameter.rand_skip() > 0 {
            let skip = random.lock().next_u32() % self.parameter.rand_skip();
            info!("Skipping first {skip} data points.");
            list.skip(skip as usize, SKIP)?;
        }
        Ok(())
    }

    fn batches(&self) -> &Batches {
        self.batches.as_ref().expect(SET_UP)
    }

    fn batches_mut(&mut self) -> &mut Batches {
        self.batches.as_mut().expect(SET_UP)
    }
}

/// The longest side that a picture is brought to.
const MOST_PIXELS: u32 = 1 << 16;

impl Layer for ImageData {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let (context, base) = (setup.context, setup.context.base.as_deref());
        let source = self.parameter.source();
        let picture = Shape::from([3, self.parameter.new_height() as usize, self.parameter.new_width() as usize]);
        context.room.check(&picture).map_err(|why| Error::config("image_data_param.new_height", why))?;
        let mut transform = Transform::new(&self.transform, context.phase, base)?;
        transform.seed_from(&context.random);
        info!("Opening file {source}");
        let mut list = ImageList::open(source, self.parameter.root_folder(), base)?;
        self.order(&mut list, &context.random)?;
        let size = self.parameter.batch_size() as usize;
        let mut loader = Loader::new(Box::new(list), self.decoder(), transform, size);
        let shape = loader.shape()?;
        batches::check_shape(context.room, shape, "image_data_param.batch_size")?;
        loader.seed_from(&context.random);
        context.random.lock().next_u32();
        self.batches = Some(Batches::start(shape, self.prefetch, Box::new(loader))?);
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.batches().reshape(io)
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.batches_mut().load(io)
    }

    fn forward(&mut self, _: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn backward(&mut self, _: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn state(&self) -> Option<LayerState> {
        Some(self.batches().state())
    }

    fn restore(&mut self, state: &LayerState) -> Result<()> {
        self.batches_mut().restore(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::testing::{Trial, golden_forwards},
        proto::Phase,
        rng::Random,
    };

    #[test]
    fn golden_pictures() {
        for (case, forwards) in [("one_by_one", 9), ("resize_color", 2), ("gray_scaled", 3), ("shuffle_crop_mirror", 5)]
        {
            golden_forwards("tests/golden/images", case, case, 19, forwards);
        }
    }

    fn message() -> LayerParameter {
        LayerParameter {
            r#type: Some("ImageData".into()),
            image_data_param: Some(ImageDataParameter {
                source: Some("tests/golden/images/list.txt".into()),
                root_folder: Some("tests/golden/images/".into()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn draws_are_caffes() {
        let drawn = |change: fn(&mut ImageDataParameter), mirror: bool| {
            let mut message = message();
            change(message.image_data_param.as_mut().unwrap());
            message.transform_param = Some(TransformationParameter { mirror: Some(mirror), ..Default::default() });
            let trial = Trial::of(&message).phase(Phase::Test).tops(2).seed(5).build().unwrap();
            let next = trial.random().lock().next_u32();
            let mut engine = Random::new(5);
            (0..7).position(|_| engine.next_u32() == next).unwrap()
        };
        assert_eq!(drawn(|_| (), false), 1);
        assert_eq!(drawn(|_| (), true), 3);
        assert_eq!(drawn(|options| options.shuffle = Some(true), false), 2);
        assert_eq!(drawn(|options| (options.shuffle, options.rand_skip) = (Some(true), Some(3)), true), 5);
    }

    #[test]
    fn options_that_cannot_be_right() {
        let error = |change: fn(&mut ImageDataParameter)| {
            let mut message = message();
            change(message.image_data_param.as_mut().unwrap());
            Trial::of(&message).tops(2).run().err().unwrap().to_string()
        };
        assert!(error(|options| options.batch_size = Some(0)).starts_with("image_data_param.batch_size: must be"));
        assert!(error(|options| options.source = None).starts_with("image_data_param.source: is missing"));
        assert!(error(|options| options.new_width = Some(3)).starts_with("image_data_param.new_height: and new_width"));
        assert!(error(|options| options.source = Some("no.txt".into())).starts_with("no.txt: not found"));
        assert!(error(|options| options.rand_skip = Some(u32::MAX)).starts_with("image_data_param.rand_skip: skips"));
        assert!(error(|options| options.root_folder = Some("x/".into())).contains("picture \"x/a_420.jpg\" cannot be"));
        let error = error(|options| options.batch_size = Some(2));
        assert!(
            error.contains("record \"b_444.jpg\" is 3×131×97, the batch 3×90×120; images of different size"),
            "{error}"
        );
    }
}
