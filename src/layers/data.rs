//! `Data`: batches of images and labels from a database.
//!
//! | option (`data_param`) | default | meaning |
//! |---|---|---|
//! | `source` | | the database, or `synthetic:shapes/train` (see [`source`](crate::data::source)) |
//! | `backend` | LEVELDB | `LMDB` or `LEVELDB`; a synthetic source has none |
//! | `batch_size` | | N, at least 1 |
//! | `prefetch` | 4 | batches that a thread keeps ready, 1 to 1,000 |
//! | `rand_skip` | 0 | no effect, as in Caffe 1.0 |
//! | `force_encoded_color` | false | no effect, as in Caffe 1.0; `transform_param.force_color` has |
//!
//! `transform_param`: see [`transform`](crate::data::transform). Records come in the order of their keys and begin again after
//! the last.
//!
//! Bottoms: none. Tops: images N×C×H×W; optionally labels, N.
//!
//! Random numbers, as Caffe draws them: the transformation's seed twice (the second counts), if it is random at all, then the
//! seed of the prefetch thread, which nothing uses.

use log::warn;

use super::{
    Io, Layer, Setup, batches,
    batches::{Batches, SET_UP},
};
use crate::{
    data::{
        batch::Loader,
        picture::{Color, Decoder},
        source,
        transform::Transform,
    },
    error::{Error, Result},
    proto::{DataParameter, LayerParameter, LayerState, TransformationParameter},
};

/// The layer `Data`.
pub struct Data {
    parameter: DataParameter,
    transform: TransformationParameter,
    color: Color,
    prefetch: usize,
    batches: Option<Batches>,
}

impl Data {
    /// The layer that this message describes.
    ///
    /// # Errors
    /// When an option cannot be right.
    pub fn new_layer(message: &LayerParameter) -> Result<Box<dyn Layer>> {
        let parameter = message.data_param.clone().unwrap_or_default();
        let transform = message.transform_param.clone().unwrap_or_default();
        if parameter.batch_size() == 0 {
            return Err(Error::config("data_param.batch_size", "must be at least 1"));
        }
        let prefetch = batches::check_prefetch(message)?;
        let color = Color::from_parameter(&transform)
            .map_err(|message| Error::config("transform_param.force_gray", message))?;
        Ok(Box::new(Data { parameter, transform, color, prefetch, batches: None }))
    }

    fn batches(&self) -> &Batches {
        self.batches.as_ref().expect(SET_UP)
    }

    fn batches_mut(&mut self) -> &mut Batches {
        self.batches.as_mut().expect(SET_UP)
    }
}

impl Layer for Data {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let (context, base) = (setup.context, setup.context.base.as_deref());
        let source = source::open(&self.parameter, base)?;
        if self.parameter.rand_skip() > 0 {
            warn!("data_param.rand_skip has no effect, as in Caffe 1.0: reading begins with the first record");
        }
        if self.parameter.force_encoded_color() {
            warn!("data_param.force_encoded_color has no effect, as in Caffe 1.0: write transform_param.force_color");
        }
        let transform = Transform::new(&self.transform, context.phase, base)?;
        let size = self.parameter.batch_size() as usize;
        let mut loader = Loader::new(source, Decoder::new(self.color), transform, size);
        loader.seed_from(&context.random);
        let shape = loader.shape()?;
        batches::check_shape(context.room, shape, "data_param.batch_size")?;
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
    use std::path::Path;

    use super::*;
    use crate::{
        data::{lmdb::Writer, record::serialize_bytes},
        layers::testing::{Trial, golden_forwards},
        proto::{Phase, data_parameter::Db},
        rng::Random,
    };

    fn message(source: &Path, batch_size: u32) -> LayerParameter {
        LayerParameter {
            r#type: Some("Data".into()),
            data_param: Some(DataParameter {
                source: Some(source.to_str().unwrap().into()),
                batch_size: Some(batch_size),
                backend: Some(Db::Lmdb as i32),
                ..DataParameter::default()
            }),
            ..LayerParameter::default()
        }
    }

    fn database(folder: &Path, records: &[([usize; 3], i32)]) {
        let mut writer = Writer::create(folder, 10_000).unwrap();
        for (index, &(shape, label)) in records.iter().enumerate() {
            let values = vec![10 * index as u8; shape.iter().product()];
            writer.put(format!("{index:03}").as_bytes(), serialize_bytes(shape, label, &values)).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn batches_go_round_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        database(&path, &[([1, 1, 2], 7), ([1, 1, 2], 8), ([1, 1, 2], 9)]);
        let mut trial = Trial::of(&message(&path, 2)).tops(2).run().unwrap();
        assert_eq!((trial.top_shape(0), trial.top_shape(1)), (vec![2, 1, 1, 2], vec![2]));
        let mut labels = trial.top(1);
        assert_eq!(trial.top(0), [0.0, 0.0, 10.0, 10.0]);
        for _ in 0..4 {
            trial.forward().unwrap();
            labels.extend(trial.top(1));
        }
        assert_eq!(labels, [7.0, 8.0, 9.0, 7.0, 8.0, 9.0, 7.0, 8.0, 9.0, 7.0]);
    }

    /// Raw and encoded records with random crops and mirrors: what Caffe's layer gave for the same seed.
    #[test]
    fn golden_databases() {
        for case in ["lmdb_raw", "lmdb_encoded", "leveldb_raw", "leveldb_encoded"] {
            let net = format!("{case}_net");
            golden_forwards("tests/golden/db", &net, &net, 19, 4);
        }
    }

    #[test]
    fn draws_of_a_layer_with_and_without_chance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        database(&path, &[([1, 2, 2], 0)]);
        let mut message = message(&path, 1);
        let drawn = |message: &LayerParameter, phase| {
            let trial = Trial::of(message).phase(phase).seed(5).build().unwrap();
            let next = trial.random().lock().next_u32();
            let mut engine = Random::new(5);
            (0..5).position(|_| engine.next_u32() == next).unwrap()
        };
        assert_eq!(drawn(&message, Phase::Train), 1);
        message.transform_param = Some(TransformationParameter { crop_size: Some(1), ..Default::default() });
        assert_eq!((drawn(&message, Phase::Train), drawn(&message, Phase::Test)), (3, 1));
        message.transform_param = Some(TransformationParameter { mirror: Some(true), ..Default::default() });
        assert_eq!((drawn(&message, Phase::Train), drawn(&message, Phase::Test)), (3, 3));
    }

    #[test]
    fn images_of_different_size_need_batches_of_one_or_a_crop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        database(&path, &[([1, 1, 2], 7), ([1, 3, 2], 8)]);
        let mut trial = Trial::of(&message(&path, 1)).tops(2).run().unwrap();
        assert_eq!(trial.top_shape(0), [1, 1, 1, 2]);
        trial.forward().unwrap();
        assert_eq!((trial.top_shape(0), trial.top(1)), (vec![1, 1, 3, 2], vec![8.0]));
        let mut message = message(&path, 2);
        let error = Trial::of(&message).run().err().unwrap().to_string();
        assert!(error.contains("record \"001\" is 1×3×2, the batch 1×1×2"), "{error}");
        message.transform_param = Some(TransformationParameter { crop_size: Some(1), ..Default::default() });
        assert_eq!(Trial::of(&message).run().unwrap().top(0), [0.0, 10.0]);
        message.transform_param = Some(TransformationParameter { crop_size: Some(2), ..Default::default() });
        let error = Trial::of(&message).build().err().unwrap().to_string();
        assert!(error.contains("record \"000\" is 1×2, too small for transform_param.crop_size 2"), "{error}");
    }

    #[test]
    fn a_record_that_does_not_decode_is_an_error_when_its_turn_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut writer = Writer::create(&path, 1000).unwrap();
        writer.put(b"000", serialize_bytes([1, 1, 1], 0, &[1])).unwrap();
        writer.put(b"001", [b"\x22\x03abc\x38\x01".as_slice()].concat()).unwrap();
        writer.finish().unwrap();
        let mut trial = Trial::of(&message(&path, 1)).run().unwrap();
        let error = trial.forward().unwrap_err().to_string();
        assert!(error.contains("db: record \"001\" cannot be decoded: "), "{error}");
        assert!(trial.forward().is_err());
    }

    #[test]
    fn options_that_cannot_be_right() {
        let error = |change: fn(&mut LayerParameter)| {
            let mut message = message(Path::new("x/mnist_train_lmdb"), 1);
            change(&mut message);
            Trial::of(&message).build().err().unwrap().to_string()
        };
        assert!(
            error(|message| message.data_param.as_mut().unwrap().batch_size = None)
                .starts_with("data_param.batch_size")
        );
        assert!(
            error(|message| message.data_param.as_mut().unwrap().prefetch = Some(u32::MAX))
                .starts_with("data_param.prefetch")
        );
        assert!(error(|message| message.data_param.as_mut().unwrap().source = None).starts_with("data_param.source"));
        assert!(error(|_| ()).contains("`rcaffe data mnist x` makes it"));
        let huge = |message: &mut LayerParameter| {
            let data = message.data_param.as_mut().unwrap();
            (data.source, data.batch_size) = (Some("synthetic:shapes/test".into()), Some(u32::MAX));
        };
        assert!(error(huge).starts_with("data_param.batch_size: 4294967295×3×32×32 is more than"));
        let both = |message: &mut LayerParameter| {
            let both =
                TransformationParameter { force_color: Some(true), force_gray: Some(true), ..Default::default() };
            message.transform_param = Some(both);
        };
        assert!(error(both).starts_with("transform_param.force_gray"));
    }
}
