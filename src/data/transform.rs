//! What `transform_param` does to an image on its way into a batch: crop, mirror, subtract the mean, scale.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `scale` | 1 | factor, applied last |
//! | `mirror` | false | flip left to right, half of the time |
//! | `crop_size` | 0 | side of a square cut out: anywhere when training, from the middle when testing; 0 cuts nothing |
//! | `mean_file` | | a mean image of the whole input's shape, subtracted before the cut |
//! | `mean_value` | | one mean, or one per channel; not with `mean_file` |
//! | `force_color`, `force_gray` | false | channels of encoded pictures (see [`picture`](super::picture)) |
//!
//! `y = (x − mean)·scale`, in f32.
//!
//! Random numbers: the transformation has a stream of its own, whose seed is one draw from the engine that the net's layers
//! share; per image it draws for the mirror first (`mirror` only), then the crop's row and column (training only), each as
//! `u32 mod n`.

use std::path::Path;

use log::info;

use super::{Planes, Values, datasets::mean, paths};
use crate::{
    error::{Error, Result},
    proto::{BlobProto, Phase, TransformationParameter},
    rng::{Random, SharedRandom},
};

/// The transformation of one layer's images.
#[derive(Debug)]
pub struct Transform {
    scale: f32,
    mirror: bool,
    crop: usize,
    phase: Phase,
    mean: Mean,
    random: Random,
}

/// What is subtracted from an image.
#[derive(Debug)]
pub enum Mean {
    /// Nothing.
    None,
    /// An image.
    Image {
        /// C, H and W.
        shape: [usize; 3],
        /// `C·H·W` values.
        values: Vec<f32>,
    },
    /// One value, or one per channel.
    Values(Vec<f32>),
}

impl Mean {
    /// The mean that `parameter` asks for. `base` is the folder of the file that names the mean file.
    ///
    /// # Errors
    /// When both means are given, or the mean file cannot be read.
    pub fn from_parameter(parameter: &TransformationParameter, base: Option<&Path>) -> Result<Self> {
        match (&parameter.mean_file, parameter.mean_value.as_slice()) {
            (Some(_), [_, ..]) => {
                Err(Error::config("transform_param.mean_value", "cannot be set together with mean_file"))
            }
            (Some(name), []) => read_mean(name, base),
            (None, []) => Ok(Mean::None),
            (None, values) => Ok(Mean::Values(values.to_vec())),
        }
    }
}

impl Transform {
    /// The transformation that `parameter` asks for. `base` is the folder of the file that names the mean file.
    ///
    /// # Errors
    /// When both means are given, or the mean file cannot be read.
    pub fn new(parameter: &TransformationParameter, phase: Phase, base: Option<&Path>) -> Result<Self> {
        Ok(Transform {
            scale: parameter.scale(),
            mirror: parameter.mirror(),
            crop: parameter.crop_size() as usize,
            phase,
            mean: Mean::from_parameter(parameter, base)?,
            random: Random::new(0),
        })
    }

    /// Begins the random stream with a seed drawn from `engine`, if the transformation is random at all: Caffe draws nothing
    /// for one that is not.
    pub fn seed_from(&mut self, engine: &SharedRandom) {
        if self.is_random() {
            let seed = engine.lock().next_u32();
            self.random = Random::new(seed);
        }
    }

    fn is_random(&self) -> bool {
        self.mirror || (self.phase == Phase::Train && self.crop > 0)
    }

    /// Puts the state of the random stream into `state`; nothing, if the transformation is not random.
    pub fn state_into(&self, state: &mut Vec<u32>) {
        if self.is_random() {
            self.random.state_into(state);
        }
    }

    /// The random stream that goes on from a state; the present one when the state is empty, or nothing is random.
    ///
    /// # Errors
    /// When the numbers are no state.
    pub fn stream_of(&self, state: &[u32]) -> Result<Random> {
        if state.is_empty() || !self.is_random() {
            return Ok(self.random.clone());
        }
        Random::from_state(state).ok_or_else(|| Error::data("random stream", "the numbers are not its state"))
    }

    /// The random stream as it is.
    pub fn stream(&self) -> Random {
        self.random.clone()
    }

    /// Goes on with this random stream.
    pub fn set_stream(&mut self, random: Random) {
        self.random = random;
    }

    /// The shape C×H×W that an image of this shape gets.
    ///
    /// # Errors
    /// Says which option does not fit the image.
    pub fn shape(&self, [channels, height, width]: [usize; 3]) -> Result<[usize; 3], String> {
        let crop = self.crop;
        if crop > height || crop > width {
            return Err(format!("is {height}×{width}, too small for transform_param.crop_size {crop}"));
        }
        match &self.mean {
            Mean::Image { shape, .. } if *shape != [channels, height, width] => {
                let [c, h, w] = shape;
                return Err(format!(
                    "is {channels}×{height}×{width}, the image in transform_param.mean_file {c}×{h}×{w}"
                ));
            }
            Mean::Values(values) if values.len() != 1 && values.len() != channels => {
                let count = values.len();
                return Err(format!(
                    "has {channels} channels, transform_param.mean_value is given {count} times: give one, or one per channel"
                ));
            }
            _ => {}
        }
        Ok(if crop > 0 { [channels, crop, crop] } else { [channels, height, width] })
    }

    /// Transforms an image into `out`, which has as many values as [`shape`](Transform::shape) says.
    pub fn apply(&mut self, image: &Planes<'_>, out: &mut [f32]) {
        let Cut { top, left, mirrored } = self.cut(image.shape);
        let [_, height, width] = image.shape;
        let window = match self.crop {
            0 => Window { top, left, height, width },
            crop => Window { top, left, height: crop, width: crop },
        };
        match &image.values {
            Values::Bytes(values) => self.fill(image.shape, window, mirrored, values, out),
            Values::Floats(values) => self.fill(image.shape, window, mirrored, values, out),
        }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random.next_u32() as usize % below
    }

    /// How the next image, of this shape, is cut: draws the random numbers.
    pub fn cut(&mut self, [_, height, width]: [usize; 3]) -> Cut {
        let (mirrored, crop) = (self.mirror && self.draw(2) == 1, self.crop);
        let (top, left) = match (crop, self.phase) {
            (0, _) => (0, 0),
            (_, Phase::Train) => (self.draw(height - crop + 1), self.draw(width - crop + 1)),
            (_, Phase::Test) => ((height - crop) / 2, (width - crop) / 2),
        };
        Cut { top, left, mirrored }
    }

    /// What is subtracted.
    pub fn mean(&self) -> &Mean {
        &self.mean
    }

    /// The factor, applied last.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    fn fill<T: Copy + Into<f32>>(
        &self,
        [_, height, width]: [usize; 3],
        window: Window,
        mirrored: bool,
        values: &[T],
        out: &mut [f32],
    ) {
        // A whole plane is one long row, unless its rows must be turned around one by one.
        let whole = !mirrored && window.width == width && window.height == height;
        let (rows, length) = if whole { (1, height * width) } else { (window.height, window.width) };
        for (channel, plane) in out.chunks_exact_mut(rows * length).enumerate() {
            for (row, out) in plane.chunks_exact_mut(length).enumerate() {
                let start = (channel * height + window.top + row) * width + window.left;
                self.fill_row(channel, start, mirrored, &values[start..start + length], out);
            }
        }
    }

    fn fill_row<T: Copy + Into<f32>>(
        &self,
        channel: usize,
        start: usize,
        mirrored: bool,
        values: &[T],
        out: &mut [f32],
    ) {
        let scale = self.scale;
        let values = values.iter().map(|&value| value.into());
        match &self.mean {
            Mean::None => write(values.map(|value| value * scale), mirrored, out),
            Mean::Values(means) => {
                let mean = means[if means.len() == 1 { 0 } else { channel }];
                write(values.map(|value| (value - mean) * scale), mirrored, out);
            }
            Mean::Image { values: means, .. } => {
                let means = &means[start..start + out.len()];
                write(values.zip(means).map(|(value, mean)| (value - mean) * scale), mirrored, out);
            }
        }
    }
}

/// How an image is cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Whether it is flipped left to right.
    pub mirrored: bool,
}

/// The part of an image that is kept.
#[derive(Clone, Copy)]
struct Window {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

fn write(values: impl Iterator<Item = f32>, mirrored: bool, out: &mut [f32]) {
    if mirrored {
        out.iter_mut().rev().zip(values).for_each(|(out, value)| *out = value);
    } else {
        out.iter_mut().zip(values).for_each(|(out, value)| *out = value);
    }
}

fn read_mean(name: &str, base: Option<&Path>) -> Result<Mean> {
    let path = paths::resolve(name, base);
    if !path.exists() {
        return Err(paths::missing(name));
    }
    info!("Loading mean file from: {name}");
    let blob = mean::read(&path)?;
    let shape = mean_shape(&blob).ok_or_else(|| {
        Error::data(name, format!("its {} values are not one image of the shape that it gives", blob.data.len()))
    })?;
    Ok(Mean::Image { shape, values: blob.data })
}

/// The shape C×H×W of a mean image, which is given in new or in old fields; nothing when its values are not as many.
fn mean_shape(blob: &BlobProto) -> Option<[usize; 3]> {
    let dims: Vec<i64> = match &blob.shape {
        Some(shape) => shape.dim.clone(),
        None => [blob.num(), blob.channels(), blob.height(), blob.width()].map(i64::from).to_vec(),
    };
    let shape = match dims[..] {
        [1, channels, height, width] | [channels, height, width] => [channels, height, width],
        _ => return None,
    };
    let shape = shape.map(|dim| usize::try_from(dim).unwrap_or(0));
    let count = shape.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim))?;
    (count == blob.data.len()).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(parameter: TransformationParameter, phase: Phase) -> Transform {
        Transform::new(&parameter, phase, None).unwrap()
    }

    fn apply(transform: &mut Transform, shape: [usize; 3], bytes: &[u8]) -> Vec<f32> {
        let mut out = vec![f32::NAN; transform.shape(shape).unwrap().iter().product()];
        transform.apply(&Planes::bytes(shape, bytes), &mut out);
        out
    }

    #[test]
    fn the_mean_goes_off_before_the_scale() {
        let parameter = TransformationParameter {
            scale: Some(0.5),
            mean_value: vec![1.0, 2.0],
            ..TransformationParameter::default()
        };
        let mut transform = transform(parameter, Phase::Test);
        assert_eq!(apply(&mut transform, [2, 1, 2], &[10, 20, 30, 40]), [4.5, 9.5, 14.0, 19.0]);
        assert!(transform.shape([3, 1, 2]).unwrap_err().contains("mean_value is given 2 times"));
    }

    #[test]
    fn a_test_crop_is_from_the_middle() {
        let parameter = TransformationParameter { crop_size: Some(2), ..TransformationParameter::default() };
        let mut transform = transform(parameter, Phase::Test);
        let image: Vec<u8> = (0..20).collect();
        assert_eq!(apply(&mut transform, [1, 4, 5], &image), [6.0, 7.0, 11.0, 12.0]);
        assert!(transform.shape([1, 1, 5]).unwrap_err().contains("too small for transform_param.crop_size 2"));
    }

    /// Mirror, then row, then column, one draw each.
    #[test]
    fn draws_come_in_caffes_order() {
        let parameter = TransformationParameter {
            crop_size: Some(2),
            mirror: Some(true),
            mean_value: vec![1.0],
            ..TransformationParameter::default()
        };
        let mut transform = transform(parameter, Phase::Train);
        let engine = SharedRandom::new(3);
        transform.seed_from(&engine);
        let mut draws = Random::new(Random::new(3).next_u32());
        let image: Vec<u8> = (0..30).collect();
        for _ in 0..20 {
            let mirrored = draws.next_u32() % 2 == 1;
            let top = draws.next_u32() % 4;
            let left = draws.next_u32() % 5;
            let mut expected = [[0, 1], [6, 7]].map(|row| row.map(|value| (value + 6 * top + left) as f32 - 1.0));
            if mirrored {
                expected.iter_mut().for_each(|row| row.reverse());
            }
            assert_eq!(apply(&mut transform, [1, 5, 6], &image), expected.concat());
        }
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_random() {
        let crop = TransformationParameter { crop_size: Some(2), ..TransformationParameter::default() };
        let engine = SharedRandom::new(3);
        transform(crop, Phase::Test).seed_from(&engine);
        transform(crop_free(), Phase::Train).seed_from(&engine);
        assert_eq!(engine.lock().next_u32(), Random::new(3).next_u32());
    }

    fn crop_free() -> TransformationParameter {
        TransformationParameter { mean_value: vec![1.0], ..TransformationParameter::default() }
    }

    #[test]
    fn a_mean_file_has_the_shape_of_the_images() {
        let folder = tempfile::tempdir().unwrap();
        let blob = BlobProto {
            num: Some(1),
            channels: Some(1),
            height: Some(1),
            width: Some(2),
            data: vec![1.0, 2.0],
            ..BlobProto::default()
        };
        mean::write(&blob, &folder.path().join("mean.binaryproto")).unwrap();
        let mut parameter = TransformationParameter {
            mean_file: Some("mean.binaryproto".into()),
            ..TransformationParameter::default()
        };
        let mut transform = Transform::new(&parameter, Phase::Test, Some(folder.path())).unwrap();
        assert_eq!(apply(&mut transform, [1, 1, 2], &[5, 5]), [4.0, 3.0]);
        assert!(transform.shape([1, 2, 2]).unwrap_err().contains("mean_file 1×1×2"));
        parameter.mean_value = vec![1.0];
        let error = Transform::new(&parameter, Phase::Test, None).unwrap_err().to_string();
        assert_eq!(error, "transform_param.mean_value: cannot be set together with mean_file");
        parameter = TransformationParameter { mean_file: Some("cifar10/mean".into()), ..Default::default() };
        let error = Transform::new(&parameter, Phase::Test, None).unwrap_err().to_string();
        assert!(error.contains("rcaffe data cifar10 cifar10"), "{error}");
    }
}
