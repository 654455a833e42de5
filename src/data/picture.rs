//! Encoded pictures (PNG, JPEG, BMP) as planes of bytes, in OpenCV's order: blue, green, red.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, metadata::Orientation};

use super::{
    Image, Planes, jpeg,
    resize::{Resize, View},
};
use crate::proto::TransformationParameter;

/// Which channels a picture is decoded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Those it has: gray, BGR, or BGR and alpha; 8 bits each.
    AsStored,
    /// BGR (`force_color`).
    Bgr,
    /// Gray (`force_gray`).
    Gray,
}

impl Color {
    /// What `transform_param` asks for.
    ///
    /// # Errors
    /// When it asks for both; the message says so.
    pub fn from_parameter(parameter: &TransformationParameter) -> Result<Self, String> {
        match (parameter.force_color(), parameter.force_gray()) {
            (false, false) => Ok(Color::AsStored),
            (true, false) => Ok(Color::Bgr),
            (false, true) => Ok(Color::Gray),
            (true, true) => Err("cannot be set together with force_color".into()),
        }
    }
}

/// Decodes pictures into memory of its own, which it uses again for the next.
#[derive(Debug)]
pub struct Decoder {
    color: Color,
    size: Option<[usize; 2]>,
    planes: Vec<u8>,
    resize: Resize,
    resized: Vec<u8>,
}

impl Decoder {
    /// A decoder to these channels.
    pub fn new(color: Color) -> Self {
        Decoder { color, size: None, planes: Vec::new(), resize: Resize::default(), resized: Vec::new() }
    }

    /// Brings every picture to this height and width, as OpenCV does by default.
    #[must_use]
    pub fn resized(self, size: [usize; 2]) -> Self {
        Decoder { size: Some(size), ..self }
    }

    /// The image's values: decoded where it is encoded, as they are where not.
    ///
    /// # Errors
    /// Says why a picture cannot be decoded.
    pub fn decode<'a>(&'a mut self, image: Image<'a>) -> Result<Planes<'a>, String> {
        match image {
            Image::Raw(planes) => Ok(planes),
            Image::Encoded(bytes) => {
                let shape = self.fill(bytes)?;
                let Some(size) = self.size else { return Ok(Planes::bytes(shape, &self.planes)) };
                self.resize.run(View::whole(&self.planes, shape), size, &mut self.resized);
                Ok(Planes::bytes([shape[0], size[0], size[1]], &self.resized))
            }
        }
    }

    fn fill(&mut self, bytes: &[u8]) -> Result<[usize; 3], String> {
        let (image, format) = read(bytes, self.color).map_err(|cause| format!("cannot be decoded: {cause}"))?;
        let [height, width] = [image.height() as usize, image.width() as usize];
        let (channels, samples) = samples(image, self.color)?;
        self.planes.clear();
        for plane in plan(self.color, channels) {
            match *plane {
                Plane::Channel(channel) => self.planes.extend(samples.iter().skip(channel).step_by(channels)),
                Plane::Gray => self.planes.extend(samples.chunks_exact(channels).map(|pixel| gray(pixel, format))),
            }
        }
        Ok([self.planes.len() / (height * width), height, width])
    }
}

/// OpenCV turns a picture as its EXIF data say, but not when it is read as stored.
fn read(bytes: &[u8], color: Color) -> Result<(DynamicImage, Option<ImageFormat>), String> {
    let ((mut image, orientation), format) = if jpeg::is_jpeg(bytes) {
        (jpeg::decode(bytes, color == Color::Gray)?, Some(ImageFormat::Jpeg))
    } else {
        read_png_or_bmp(bytes).map_err(|cause| cause.to_string())?
    };
    match color {
        Color::AsStored if format == Some(ImageFormat::Bmp) && has_gray_palette(bytes).unwrap_or(false) => {
            image = image.into_luma8().into();
        }
        Color::AsStored => {}
        Color::Bgr | Color::Gray => image.apply_orientation(orientation),
    }
    Ok((image, format))
}

/// Whether a BMP file has a palette, and no colours in it: OpenCV then takes it for gray.
fn has_gray_palette(bytes: &[u8]) -> Option<bool> {
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    };
    let (header, bits, used) = (number(14, 4)?, number(28, 2)?, number(46, 4)?);
    if header < 40 || bits > 8 {
        return Some(false);
    }
    let all = 1 << bits;
    let colors = if used == 0 { all } else { used.min(all) };
    let palette = bytes.get(14 + header..)?.get(..4 * colors)?;
    Some(palette.chunks_exact(4).all(|color| color[0] == color[1] && color[1] == color[2]))
}

type Turned = (DynamicImage, Orientation);

fn read_png_or_bmp(bytes: &[u8]) -> image::ImageResult<(Turned, Option<ImageFormat>)> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format();
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok(((DynamicImage::from_decoder(decoder)?, orientation), format))
}

/// The number of channels, and the samples pixel by pixel. Of 16 bits the upper 8 are kept, after colours became gray.
fn samples(image: DynamicImage, color: Color) -> Result<(usize, Vec<u8>), String> {
    let upper = |samples: Vec<u16>| samples.into_iter().map(|sample| (sample >> 8) as u8).collect();
    let wide = matches!(image.color().bytes_per_pixel() / image.color().channel_count(), 2..);
    if wide && color == Color::AsStored {
        return Err("has more than 8 bits per channel; force_color or force_gray in transform_param reads it".into());
    }
    Ok(match image {
        DynamicImage::ImageLuma8(pixels) => (1, pixels.into_raw()),
        DynamicImage::ImageLumaA8(pixels) => (2, pixels.into_raw()),
        DynamicImage::ImageRgb8(pixels) => (3, pixels.into_raw()),
        DynamicImage::ImageRgba8(pixels) => (4, pixels.into_raw()),
        DynamicImage::ImageLuma16(pixels) => (1, upper(pixels.into_raw())),
        DynamicImage::ImageLumaA16(pixels) => (2, upper(pixels.into_raw())),
        DynamicImage::ImageRgb16(pixels) if color == Color::Gray => (1, wide_gray(&pixels.into_raw(), 3)),
        DynamicImage::ImageRgba16(pixels) if color == Color::Gray => (1, wide_gray(&pixels.into_raw(), 4)),
        DynamicImage::ImageRgb16(pixels) => (3, upper(pixels.into_raw())),
        DynamicImage::ImageRgba16(pixels) => (4, upper(pixels.into_raw())),
        other => (3, other.into_rgb8().into_raw()),
    })
}

/// Where a plane comes from.
enum Plane {
    Channel(usize),
    Gray,
}

/// The planes to make of pixels that are gray, gray and alpha, RGB, or RGB and alpha.
fn plan(color: Color, channels: usize) -> &'static [Plane] {
    use Plane::{Channel, Gray};
    match (color, channels) {
        (Color::Gray, 3..) => &[Gray],
        (Color::Gray, _) | (Color::AsStored, 1) => &[Channel(0)],
        (Color::Bgr, 1 | 2) => &[Channel(0), Channel(0), Channel(0)],
        (Color::AsStored, 2) => &[Channel(0), Channel(0), Channel(0), Channel(1)],
        (Color::AsStored, 4) => &[Channel(2), Channel(1), Channel(0), Channel(3)],
        _ => &[Channel(2), Channel(1), Channel(0)],
    }
}

/// `0.299·R + 0.587·G + 0.114·B`: libpng counts in 2⁻¹⁵ and cuts the rest off, OpenCV, for the others, in 2⁻¹⁴ and rounds.
fn gray(pixel: &[u8], format: Option<ImageFormat>) -> u8 {
    let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
    if format == Some(ImageFormat::Png) {
        ((9_797 * red + 19_234 * green + 3_737 * blue) >> 15) as u8
    } else {
        ((4_899 * red + 9_617 * green + 1_868 * blue + (1 << 13)) >> 14) as u8
    }
}

/// As [`gray`], from 16 bits, where libpng rounds.
fn wide_gray(samples: &[u16], channels: usize) -> Vec<u8> {
    let gray = |pixel: &[u16]| {
        let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
        ((9_797 * red + 19_234 * green + 3_737 * blue + (1 << 14)) >> 23) as u8
    };
    samples.chunks_exact(channels).map(gray).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;

    fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn decode(bytes: &[u8], color: Color) -> Result<([usize; 3], Vec<u8>), String> {
        let mut decoder = Decoder::new(color);
        let planes = decoder.decode(Image::Encoded(bytes))?;
        let Values::Bytes(values) = planes.values else { unreachable!("pictures are bytes") };
        Ok((planes.shape, values.to_vec()))
    }

    fn two_pixels<P: image::Pixel>(samples: Vec<P::Subpixel>) -> image::ImageBuffer<P, Vec<P::Subpixel>> {
        image::ImageBuffer::from_raw(2, 1, samples).unwrap()
    }

    #[test]
    fn colour_is_blue_green_red_and_gray_is_weighted() {
        let image = DynamicImage::ImageRgb8(two_pixels(vec![200, 100, 50, 7, 7, 7]));
        for format in [ImageFormat::Png, ImageFormat::Bmp] {
            let bytes = encode(&image, format);
            let bgr = ([3, 1, 2], vec![50, 7, 100, 7, 200, 7]);
            assert_eq!(decode(&bytes, Color::AsStored).unwrap(), bgr);
            assert_eq!(decode(&bytes, Color::Bgr).unwrap(), bgr);
            // 0.299·200 + 0.587·100 + 0.114·50 = 124.2
            assert_eq!(decode(&bytes, Color::Gray).unwrap(), ([1, 1, 2], vec![124, 7]));
        }
    }

    #[test]
    fn gray_and_alpha() {
        let bytes = encode(&DynamicImage::ImageLumaA8(two_pixels(vec![9, 255, 8, 1])), ImageFormat::Png);
        assert_eq!(decode(&bytes, Color::AsStored).unwrap(), ([4, 1, 2], vec![9, 8, 9, 8, 9, 8, 255, 1]));
        assert_eq!(decode(&bytes, Color::Bgr).unwrap(), ([3, 1, 2], vec![9, 8, 9, 8, 9, 8]));
        assert_eq!(decode(&bytes, Color::Gray).unwrap(), ([1, 1, 2], vec![9, 8]));
        let bytes = encode(&DynamicImage::ImageLuma8(two_pixels(vec![9, 8])), ImageFormat::Png);
        assert_eq!(decode(&bytes, Color::AsStored).unwrap(), ([1, 1, 2], vec![9, 8]));
    }

    #[test]
    fn sixteen_bits_need_a_forced_colour() {
        let bytes = encode(&DynamicImage::ImageLuma16(two_pixels(vec![0x12ff, 0xff00])), ImageFormat::Png);
        assert!(decode(&bytes, Color::AsStored).unwrap_err().contains("more than 8 bits"));
        assert_eq!(decode(&bytes, Color::Gray).unwrap(), ([1, 1, 2], vec![0x12, 0xff]));
    }

    #[test]
    fn a_palette_without_colours_makes_a_bmp_gray() {
        let bytes = encode(&DynamicImage::ImageLuma8(two_pixels(vec![9, 8])), ImageFormat::Bmp);
        assert_eq!(decode(&bytes, Color::AsStored).unwrap(), ([1, 1, 2], vec![9, 8]));
        assert_eq!(decode(&bytes, Color::Bgr).unwrap(), ([3, 1, 2], vec![9, 8, 9, 8, 9, 8]));
    }

    #[test]
    fn noise_is_an_error() {
        assert!(decode(b"\x89PNG\r\n\x1a\nnonsense", Color::Bgr).unwrap_err().starts_with("cannot be decoded: "));
        assert!(decode(b"", Color::Bgr).is_err());
    }
}
