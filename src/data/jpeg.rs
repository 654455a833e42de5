//! JPEG files, decoded by libjpeg-turbo's code (in mozjpeg), which OpenCV uses as well: chroma brought to full size along
//! triangles, the slow integer transform. Pixels are then OpenCV's to the last bit.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use image::{DynamicImage, GrayImage, RgbImage, metadata::Orientation};
use mozjpeg::{ColorSpace, Decompress, Marker, decompress::DecompressStarted};

/// The largest picture, in samples: half a GiB.
const MOST_SAMPLES: usize = 1 << 29;
const EXIF: Marker = Marker::APP(1);

/// Whether these bytes begin as a JPEG file does.
pub fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

/// Decodes to RGB; to gray where the file is gray, or when asked to: that is the file's own brightness. Also says how the
/// picture is to be turned.
///
/// # Errors
/// Says why it cannot be decoded.
pub fn decode(bytes: &[u8], to_gray: bool) -> Result<(DynamicImage, Orientation), String> {
    // The library reports errors by unwinding, without a message on the terminal.
    catch_unwind(AssertUnwindSafe(|| decode_unwinding(bytes, to_gray))).unwrap_or_else(|cause| Err(message(&*cause)))
}

fn message(cause: &(dyn Any + Send)) -> String {
    let known = cause.downcast_ref::<String>().map(|text| text.trim_start_matches("libjpeg fatal error: ").to_owned());
    known.unwrap_or_else(|| "the file is damaged".into())
}

fn decode_unwinding(bytes: &[u8], to_gray: bool) -> Result<(DynamicImage, Orientation), String> {
    let text = |cause: std::io::Error| cause.to_string();
    let decoder = Decompress::with_markers(&[EXIF]).from_mem(bytes).map_err(text)?;
    let exif = decoder.markers().find_map(|marker| marker.data.strip_prefix(b"Exif\0\0"));
    let orientation = exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    let components = decoder.components().len();
    if decoder.width() * decoder.height() * components > MOST_SAMPLES {
        return Err(format!("{}×{} pixels are too many", decoder.width(), decoder.height()));
    }
    let image = match (components, to_gray) {
        (1, _) | (3, true) => gray(decoder.grayscale().map_err(text)?),
        (4, _) => cmyk(decoder.to_colorspace(ColorSpace::JCS_CMYK).map_err(text)?),
        _ => rgb(decoder.rgb().map_err(text)?),
    };
    Ok((image?, orientation))
}

type Started<'a> = DecompressStarted<&'a [u8]>;

fn gray(mut started: Started<'_>) -> Result<DynamicImage, String> {
    let [width, height] = [started.width() as u32, started.height() as u32];
    let image = GrayImage::from_raw(width, height, samples(&mut started)?);
    image.map(DynamicImage::ImageLuma8).ok_or_else(|| "it has too few pixels".into())
}

fn rgb(mut started: Started<'_>) -> Result<DynamicImage, String> {
    let [width, height] = [started.width() as u32, started.height() as u32];
    let image = RgbImage::from_raw(width, height, samples(&mut started)?);
    image.map(DynamicImage::ImageRgb8).ok_or_else(|| "it has too few pixels".into())
}

/// Such files hold their inks inverted; OpenCV mixes them so.
fn cmyk(mut started: Started<'_>) -> Result<DynamicImage, String> {
    let [width, height] = [started.width() as u32, started.height() as u32];
    let inks = samples(&mut started)?;
    let mix = |ink: u8, black: u8| (i32::from(black) - (((255 - i32::from(ink)) * i32::from(black)) >> 8)) as u8;
    let pixels = inks.chunks_exact(4).flat_map(|pixel| [0, 1, 2].map(|ink| mix(pixel[ink], pixel[3]))).collect();
    let image = RgbImage::from_raw(width, height, pixels);
    image.map(DynamicImage::ImageRgb8).ok_or_else(|| "it has too few pixels".into())
}

fn samples(started: &mut Started<'_>) -> Result<Vec<u8>, String> {
    let mut samples = vec![0; started.min_flat_buffer_size()];
    started.read_scanlines_into(&mut samples).map_err(|cause| cause.to_string())?;
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        std::fs::read(format!("tests/golden/images/{name}")).unwrap()
    }

    #[test]
    fn exif_says_how_a_picture_is_turned() {
        let plain = file("a_420.jpg");
        assert_eq!(decode(&plain, false).unwrap().1, Orientation::NoTransforms);
        // A TIFF header and one entry: orientation (0x112), one short, 6.
        let exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let turned = [&plain[..2], exif, &plain[2..]].concat();
        assert_eq!(decode(&turned, true).unwrap().1, Orientation::Rotate90);
    }

    #[test]
    fn damage_is_an_error_or_a_picture() {
        let bytes = file("d_progressive.jpg");
        assert!(decode(&bytes[..20], false).is_err());
        assert!(decode(b"\xff\xd8\xff", false).unwrap_err().len() > 5);
        for place in (0..bytes.len()).step_by(11) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x40;
            let _ = decode(&damaged, place % 2 == 0);
        }
    }

    #[test]
    fn gray_is_the_files_own_brightness() {
        let (image, _) = decode(&file("a_420.jpg"), true).unwrap();
        assert!(matches!(image, DynamicImage::ImageLuma8(_)));
        let (image, _) = decode(&file("g_gray.jpg"), false).unwrap();
        assert!(matches!(image, DynamicImage::ImageLuma8(_)));
    }
}
