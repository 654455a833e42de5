//! `WindowData`: windows of pictures, some on objects and some beside them, as R-CNN is trained with (Girshick et al. 2014).
//!
//! | option (`window_data_param`) | default | meaning |
//! |---|---|---|
//! | `source` | | the list of pictures and windows (see [`windows`](crate::data::windows)) |
//! | `root_folder` | "" | put before the file names in the list, as it is |
//! | `batch_size` | | N, at least 1 |
//! | `fg_threshold` | 0.5 | overlap from which a window is foreground |
//! | `bg_threshold` | 0.5 | overlap below which a window is background |
//! | `fg_fraction` | 0.25 | part of each batch that is foreground; it comes last |
//! | `context_pad` | 0 | pixels on each side of the crop that show what surrounds the window |
//! | `crop_mode` | "warp" | "square": the smallest square around the window instead of the window itself |
//! | `cache_images` | false | keeps all files in memory |
//! | `scale` | 1 | factor, applied last |
//! | `mean_file`, `crop_size`, `mirror` | | no effect but in old nets, whose upgrade moves them to `transform_param` |
//!
//! | option (`transform_param`) | default | meaning |
//! |---|---|---|
//! | `crop_size` | | side S of the square that a window is warped to |
//! | `mirror` | false | flip left to right, half of the time |
//! | `mean_file` | | a mean image, of which the middle is subtracted |
//! | `mean_value` | | one mean, or one per channel; not with `mean_file` |
//! | `scale` | | no effect, as in Caffe |
//!
//! `y = (x − mean)·scale`; pixels of a crop that lie outside of the picture are 0. `data_param.prefetch`: see [`batches`].
//!
//! Bottoms: none. Tops: windows N×3×S×S; labels, N, 0 for background.
//!
//! Random numbers, as Caffe draws them: the transformation's seed, if mirrored or training, then the seed of the windows'
//! stream, then the transformation's seed again, then that of the prefetch thread; only the second counts. Each window draws its
//! index, then its mirroring.

use log::{info, warn};

use super::{
    Io, Layer, Setup, batches,
    batches::{Batches, SET_UP},
};
use crate::{
    data::{
        transform::Mean,
        window_loader::{Options, WindowLoader},
        windows::{Crop, WindowList},
    },
    error::{Error, Result},
    layers::Context,
    proto::{LayerParameter, LayerState, Phase, TransformationParameter, WindowDataParameter},
    rng::Random,
};

/// The layer; see the module's text.
pub struct WindowData {
    parameter: WindowDataParameter,
    transform: TransformationParameter,
    prefetch: usize,
    batches: Option<Batches>,
}

impl WindowData {
    /// Reads the options.
    ///
    /// # Errors
    /// When an option cannot be right.
    pub fn new_layer(message: &LayerParameter) -> Result<Box<dyn Layer>> {
        let parameter = message.window_data_param.clone().unwrap_or_default();
        let transform = message.transform_param.clone().unwrap_or_default();
        let config = |field: &str, message: &str| Err(Error::config(field, message));
        if parameter.source().is_empty() {
            return config("window_data_param.source", "is missing: the name of a list of windows");
        }
        if parameter.batch_size() == 0 {
            return config("window_data_param.batch_size", "must be at least 1");
        }
        if transform.crop_size() == 0 {
            return config("transform_param.crop_size", "must be at least 1: the side that windows are warped to");
        }
        if u64::from(parameter.context_pad()) * 2 >= u64::from(transform.crop_size()) {
            return config("window_data_param.context_pad", "must be less than half of transform_param.crop_size");
        }
        if !(0.0..=1.0).contains(&parameter.fg_fraction()) {
            return config("window_data_param.fg_fraction", "must be from 0 to 1");
        }
        if !["warp", "square"].contains(&parameter.crop_mode()) {
            return config("window_data_param.crop_mode", "must be \"warp\" or \"square\"");
        }
        if transform.scale() != 1.0 {
            warn!("transform_param.scale has no effect on WindowData, as in Caffe: write window_data_param.scale");
        }
        let prefetch = batches::check_prefetch(message)?;
        Ok(Box::new(WindowData { parameter, transform, prefetch, batches: None }))
    }

    fn options(&self, context: &Context) -> Result<Options> {
        let parameter = &self.parameter;
        let size = parameter.batch_size() as usize;
        Ok(Options {
            name: parameter.source().to_owned(),
            base: context.base.clone(),
            sizes: [size, (size as f32 * parameter.fg_fraction()) as usize],
            crop: Crop {
                side: self.transform.crop_size() as usize,
                context: parameter.context_pad() as usize,
                square: parameter.crop_mode() == "square",
            },
            mirror: self.transform.mirror(),
            mean: Mean::from_parameter(&self.transform, context.base.as_deref())?,
            scale: parameter.scale(),
        })
    }

    /// The stream that windows are drawn from; Caffe draws three more seeds that nothing depends on.
    fn random(&self, context: &Context) -> Random {
        let mut engine = context.random.lock();
        let transform_draws = self.transform.mirror() || context.phase == Phase::Train;
        if transform_draws {
            engine.next_u32();
        }
        let random = Random::new(engine.next_u32());
        if transform_draws {
            engine.next_u32();
        }
        engine.next_u32();
        random
    }

    fn batches(&self) -> &Batches {
        self.batches.as_ref().expect(SET_UP)
    }

    fn batches_mut(&mut self) -> &mut Batches {
        self.batches.as_mut().expect(SET_UP)
    }
}

impl Layer for WindowData {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let context = setup.context;
        let (parameter, base) = (&self.parameter, context.base.as_deref());
        let random = self.random(context);
        let thresholds = [parameter.fg_threshold(), parameter.bg_threshold()];
        let list = WindowList::open(parameter.source(), parameter.root_folder(), thresholds, base)?;
        info!("Number of images: {}", list.pictures.len());
        info!("{} foreground windows, {} background windows", list.foreground.len(), list.background.len());
        let mut loader = WindowLoader::new(list, self.options(context)?, random)?;
        let shape = loader.shape();
        batches::check_shape(context.room, shape, "window_data_param.batch_size")?;
        if parameter.cache_images() {
            loader.cache()?;
        }
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
    use crate::layers::testing::{Trial, golden_forwards};

    #[test]
    fn golden_windows() {
        golden_forwards("tests/golden/images", "windows", "windows", 19, 3);
    }

    fn message() -> LayerParameter {
        let window = WindowDataParameter {
            source: Some("tests/golden/images/windows.txt".into()),
            root_folder: Some("tests/golden/images/".into()),
            batch_size: Some(6),
            ..Default::default()
        };
        LayerParameter {
            r#type: Some("WindowData".into()),
            window_data_param: Some(window),
            transform_param: Some(TransformationParameter { crop_size: Some(12), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn files_in_memory_give_the_same_and_half_of_a_batch_is_foreground() {
        let run = |cache: bool| {
            let mut message = message();
            let window = message.window_data_param.as_mut().unwrap();
            (window.cache_images, window.fg_fraction) = (Some(cache), Some(0.5));
            window.crop_mode = Some("square".into());
            Trial::of(&message).tops(2).run().unwrap()
        };
        let (kept, read) = (run(true), run(false));
        assert_eq!((kept.top_shape(0), kept.top(0)), (vec![6, 3, 12, 12], read.top(0)));
        let is_foreground: Vec<bool> = kept.top(1).iter().map(|&label| label > 0.0).collect();
        assert_eq!(is_foreground, [false, false, false, true, true, true]);
    }

    #[test]
    fn a_mean_image_is_subtracted_from_its_middle_and_the_scale_comes_last() {
        let plain = Trial::of(&message()).tops(2).run().unwrap().top(0);
        let folder = tempfile::tempdir().unwrap();
        let mean = folder.path().join("mean.binaryproto");
        // The middle 12×12 of 16×16 begins at row and column 2.
        let data: Vec<f32> =
            (0..3 * 16 * 16).map(|at| (at / 256) as f32 + ((at / 16 % 16) * 16 + at % 16) as f32 / 256.0).collect();
        let [channels, side] = [Some(3), Some(16)];
        let blob =
            crate::proto::BlobProto { num: Some(1), channels, height: side, width: side, data, ..Default::default() };
        std::fs::write(&mean, prost::Message::encode_to_vec(&blob)).unwrap();
        let mut message = message();
        message.window_data_param.as_mut().unwrap().scale = Some(2.0);
        message.transform_param.as_mut().unwrap().mean_file = Some(mean.to_str().unwrap().into());
        let found = Trial::of(&message).tops(2).run().unwrap().top(0);
        for (at, (found, plain)) in found.iter().zip(&plain).enumerate() {
            let [channel, row, column] = [at / 144 % 3, at / 12 % 12, at % 12];
            let mean = channel as f32 + ((row + 2) * 16 + column + 2) as f32 / 256.0;
            assert_eq!(*found, (plain - mean) * 2.0);
        }
        message.transform_param.as_mut().unwrap().crop_size = Some(17);
        let error = Trial::of(&message).tops(2).run().err().unwrap().to_string();
        assert!(error.starts_with("transform_param.mean_file: its image is 3×16×16, too small"), "{error}");
    }

    #[test]
    fn draws_are_caffes() {
        for (phase, mirror, draws) in [(Phase::Test, false, 2), (Phase::Test, true, 4), (Phase::Train, false, 4)] {
            let mut message = message();
            message.transform_param.as_mut().unwrap().mirror = Some(mirror);
            let trial = Trial::of(&message).phase(phase).tops(2).seed(5).build().unwrap();
            let next = trial.random().lock().next_u32();
            let mut engine = Random::new(5);
            assert_eq!((0..7).position(|_| engine.next_u32() == next), Some(draws));
        }
    }

    #[test]
    fn options_that_cannot_be_right() {
        let error = |change: fn(&mut WindowDataParameter, &mut TransformationParameter)| {
            let mut message = message();
            change(message.window_data_param.as_mut().unwrap(), message.transform_param.as_mut().unwrap());
            Trial::of(&message).tops(2).run().err().unwrap().to_string()
        };
        assert!(error(|window, _| window.source = None).starts_with("window_data_param.source: is missing"));
        assert!(error(|window, _| window.batch_size = None).starts_with("window_data_param.batch_size: must be"));
        assert!(error(|_, transform| transform.crop_size = None).starts_with("transform_param.crop_size: must be"));
        assert!(error(|window, _| window.context_pad = Some(6)).starts_with("window_data_param.context_pad: must be"));
        assert!(
            error(|window, _| window.fg_fraction = Some(1.5)).starts_with("window_data_param.fg_fraction: must be")
        );
        assert!(error(|window, _| window.crop_mode = Some("round".into())).starts_with("window_data_param.crop_mode"));
        assert!(error(|window, _| window.fg_threshold = Some(2.0)).contains("windows.txt: has no foreground windows"));
        assert!(error(|window, _| window.root_folder = None).contains("cannot be read: "));
    }
}
