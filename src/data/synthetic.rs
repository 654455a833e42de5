//! A data set that needs no files: `synthetic:shapes/train` (10,000 images) and `synthetic:shapes/test` (1,000).
//!
//! Images are as CIFAR-10's, 3×32×32 bytes of ten classes: disc, ring, square, frame, triangle, plus, cross, horizontal
//! stripes, vertical stripes, checkerboard. Colours of figure and ground, place, size, light and noise are random, so that
//! the class shows in the form alone: neither the mean colour nor any weighted sum of pixels tells it. Each image is a pure
//! function of its number, made when it is read, the same on every machine; Caffe's random stream is not touched. The mean
//! of each channel is about 128.

use super::{Image, Planes, Position, Record, Source};
use crate::error::{Error, Result};

/// What the names of these sources begin with.
pub const PREFIX: &str = "synthetic:";

const SIDE: usize = 32;
const CLASSES: usize = 10;

/// A place in one of the two sets.
#[derive(Debug)]
pub struct Shapes {
    name: String,
    stream: u64,
    count: usize,
    place: usize,
    rounds: usize,
    key: String,
    values: Vec<u8>,
}

impl Shapes {
    /// The set of this name.
    ///
    /// # Errors
    /// When there is none; the message lists those there are.
    pub fn open(name: &str) -> Result<Self> {
        let (stream, count) = match name.strip_prefix(PREFIX) {
            Some("shapes/train") => (1, 10_000),
            Some("shapes/test") => (2, 1_000),
            _ => {
                let message = format!("is unknown; there are {PREFIX}shapes/train and {PREFIX}shapes/test");
                return Err(Error::data(name, message));
            }
        };
        let values = vec![0; 3 * SIDE * SIDE];
        Ok(Shapes { name: name.to_owned(), stream, count, place: 0, rounds: 0, key: String::new(), values })
    }
}

impl Source for Shapes {
    fn next(&mut self) -> Result<Record<'_>> {
        if self.place == self.count {
            (self.place, self.rounds) = (0, self.rounds + 1);
        }
        let index = self.place;
        self.place += 1;
        self.key = format!("{index:05}");
        let label = index % CLASSES;
        paint(label, &mut Noise::new(self.stream, index as u64), &mut self.values);
        let image = Image::Raw(Planes::bytes([3, SIDE, SIDE], &self.values));
        Ok(Record { key: self.key.as_bytes(), label: label as i32, image })
    }

    fn rewind(&mut self) {
        (self.place, self.rounds) = (0, 0);
    }

    fn count(&self) -> Result<usize> {
        Ok(self.count)
    }

    fn known_count(&self) -> Option<usize> {
        self.count().ok()
    }

    fn position(&self) -> Position {
        Position { place: self.place, rounds: self.rounds, shuffle_seed: None }
    }

    fn seek(&mut self, position: Position) -> Result<()> {
        position.check(self.count, &self.name)?;
        (self.place, self.rounds) = (position.place, position.rounds);
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Whether a point belongs to the figure of a class; the figure lies within -1..1 along both axes, y downwards.
fn is_figure(class: usize, x: f32, y: f32) -> bool {
    let (across, along) = (x.abs(), y.abs());
    let (reach, square) = (across.max(along), x * x + y * y);
    if reach > 1.0 {
        return false;
    }
    let band = |position: f32| ((position + 1.0) * 2.5) as usize & 1;
    match class {
        0 => square < 1.0,
        1 => (0.36..1.0).contains(&square),
        2 => reach < 0.9,
        3 => (0.55..0.95).contains(&reach),
        4 => across < 0.5 * (y + 1.0),
        5 => across.min(along) < 0.3,
        6 => (across - along).abs() < 0.36,
        7 => band(y) == 0,
        8 => band(x) == 0,
        _ => band(x) == band(y),
    }
}

/// Paints an image of the class into `values`, 3×32×32. Only exactly rounded operations are used, so the bytes are the same
/// on every machine.
fn paint(class: usize, noise: &mut Noise, values: &mut [u8]) {
    let (ground, figure) = noise.colours();
    let radius = noise.between(7.0, 12.0);
    let [left, top] = [(); 2].map(|()| noise.between(radius - 1.0, SIDE as f32 - radius));
    let [light_x, light_y] = [(); 2].map(|()| noise.between(-1.0, 1.0));
    let area = SIDE * SIDE;
    for (place, (x, y)) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x as f32, y as f32))).enumerate() {
        let is_figure = is_figure(class, (x - left) / radius, (y - top) / radius);
        let colour = if is_figure { figure } else { ground };
        let light = light_x * (x - 15.5) + light_y * (y - 15.5);
        let grains = noise.next().to_le_bytes();
        for channel in 0..3 {
            let grain = (f32::from(grains[channel]) - 127.5) * 0.2;
            // The cast clips to 0..=255.
            values[channel * area + place] = (colour[channel] + light + grain) as u8;
        }
    }
}

/// The SplitMix64 generator (Steele, Lea and Flood 2014), begun anew for each image.
struct Noise(u64);

impl Noise {
    fn new(stream: u64, index: u64) -> Self {
        let mut noise = Noise(stream << 32 | index);
        noise.0 = noise.next();
        noise
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.next() >> 40) as f32 / (1 << 24) as f32)
    }

    /// Two colours that differ well.
    fn colours(&mut self) -> ([f32; 3], [f32; 3]) {
        loop {
            let [one, other] = [(); 2].map(|()| [(); 3].map(|()| self.between(20.0, 235.0)));
            let difference: f32 = one.iter().zip(other).map(|(one, other)| (one - other).abs()).sum();
            if difference > 150.0 {
                return (one, other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;

    const LENGTH: usize = 3 * SIDE * SIDE;

    fn images(name: &str) -> Vec<(usize, Vec<f32>)> {
        let mut source = Shapes::open(name).unwrap();
        let mut read = || {
            let record = source.next().unwrap();
            let Image::Raw(Planes { values: Values::Bytes(values), .. }) = record.image else {
                unreachable!("the set holds bytes")
            };
            (record.label as usize, values.iter().map(|&value| f32::from(value) / 128.0 - 1.0).collect())
        };
        (0..if name.ends_with("test") { 1_000 } else { 4_000 }).map(|_| read()).collect()
    }

    /// The share of images that the class with the largest score is right for.
    fn accuracy(images: &[(usize, Vec<f32>)], score: impl Fn(&[f32], usize) -> f32) -> f64 {
        let best = |image: &[f32]| (0..CLASSES).max_by(|&a, &b| score(image, a).total_cmp(&score(image, b))).unwrap();
        images.iter().filter(|(label, image)| best(image) == *label).count() as f64 / images.len() as f64
    }

    /// The bytes must not change: results that were published with them would not come again.
    #[test]
    fn the_same_bytes_for_ever() {
        let digest = |name: &str| {
            let mut source = Shapes::open(name).unwrap();
            let mut hash = 0xcbf2_9ce4_8422_2325_u64;
            for _ in 0..200 {
                let Image::Raw(Planes { values: Values::Bytes(values), .. }) = source.next().unwrap().image else {
                    unreachable!("the set holds bytes")
                };
                values.iter().for_each(|&value| hash = (hash ^ u64::from(value)).wrapping_mul(0x100_0000_01b3));
            }
            hash
        };
        assert_eq!(
            [digest("synthetic:shapes/train"), digest("synthetic:shapes/test")],
            [5_209_609_078_324_275_425, 14_512_114_054_661_269_325]
        );
    }

    #[test]
    fn it_begins_again_after_the_last() {
        let mut source = Shapes::open("synthetic:shapes/test").unwrap();
        let first = source.next().unwrap().image.to_owned();
        let first = format!("{first:?}");
        (1..1_000).for_each(|_| drop(source.next().unwrap()));
        let record = source.next().unwrap();
        assert_eq!((record.key, record.label), (&b"00000"[..], 0));
        assert_eq!(format!("{:?}", record.image), first);
        let error = Shapes::open("synthetic:cats").unwrap_err().to_string();
        assert!(error.contains("synthetic:shapes/train and synthetic:shapes/test"), "{error}");
    }

    /// The class whose mean colour is nearest is hardly ever the right one.
    #[test]
    fn colour_does_not_tell_the_class() {
        let colour = |image: &[f32]| -> Vec<f32> {
            image.chunks(LENGTH / 3).map(|plane| plane.iter().sum::<f32>() / plane.len() as f32).collect()
        };
        let train = images("synthetic:shapes/train");
        let mut means = [[0.0; 3]; CLASSES];
        for (label, image) in &train {
            let share = CLASSES as f32 / train.len() as f32;
            means[*label].iter_mut().zip(colour(image)).for_each(|(mean, value)| *mean += value * share);
        }
        let score = |image: &[f32], class: usize| {
            -colour(image).iter().zip(means[class]).map(|(value, mean)| (value - mean).powi(2)).sum::<f32>()
        };
        let found = accuracy(&images("synthetic:shapes/test"), score);
        assert!(found < 0.15, "{found}");
    }

    /// Softmax regression on all pixels, trained until it knows its training images, stays near chance on others.
    #[test]
    fn no_weighted_sum_of_pixels_tells_the_class() {
        let train = images("synthetic:shapes/train");
        let mut weights = vec![vec![0.0_f32; LENGTH]; CLASSES];
        let dot = |weights: &[f32], image: &[f32]| weights.iter().zip(image).map(|(w, x)| w * x).sum::<f32>();
        for _ in 0..3 {
            for (label, image) in &train {
                let exp: Vec<f32> = weights.iter().map(|weights| dot(weights, image).exp()).collect();
                let sum: f32 = exp.iter().sum();
                for (class, weights) in weights.iter_mut().enumerate() {
                    let step = 0.0005 * (f32::from(u8::from(class == *label)) - exp[class] / sum);
                    weights.iter_mut().zip(image).for_each(|(weight, value)| *weight += step * value);
                }
            }
        }
        let found = accuracy(&images("synthetic:shapes/test"), |image, class| dot(&weights[class], image));
        assert!(found < 0.25, "{found}");
    }
}
