//! A picture as PNG, with the colours of light pages.

use std::io::Cursor;

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use super::{
    font,
    scene::{Anchor, Ink, Pen, Scene, Shape, Words},
};
use crate::error::{Error, Result};

/// Pixels for each point.
const SCALE: f32 = 2.0;

/// The bytes of a PNG file.
///
/// # Errors
/// When the picture is too large for the memory.
pub(super) fn png(scene: &Scene) -> Result<Vec<u8>> {
    let (width, height) = ((scene.width * SCALE).ceil() as u32, (scene.height * SCALE).ceil() as u32);
    let mut map = Pixmap::new(width, height)
        .ok_or_else(|| Error::config("the picture", format!("{width}×{height} pixels are too many")))?;
    for shape in &scene.shapes {
        paint(&mut map, shape);
    }
    // The paper is opaque, so premultiplied pixels are plain ones.
    let pixels: Vec<u8> = map.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
    let mut bytes = Cursor::new(Vec::new());
    let encoded = PngEncoder::new(&mut bytes).write_image(&pixels, width, height, ExtendedColorType::Rgb8);
    encoded.map_err(|error| Error::config("the picture", error.to_string()))?;
    Ok(bytes.into_inner())
}

fn paint(map: &mut Pixmap, shape: &Shape) {
    let scale = Transform::from_scale(SCALE, SCALE);
    match shape {
        Shape::Area { x, y, width, height, ink, opacity } => {
            if let Some(area) = Rect::from_xywh(*x, *y, *width, *height) {
                map.fill_rect(area, &color(*ink, *opacity), scale, None);
            }
        }
        Shape::Line { points, pen } => line(map, points, pen),
        Shape::Dots { points, radius, ink, opacity } => {
            let mut dots = PathBuilder::new();
            for (x, y) in points {
                dots.push_circle(*x, *y, *radius);
            }
            fill(map, dots.finish(), &color(*ink, *opacity), scale);
        }
        Shape::Words(words) => self::words(map, words),
    }
}

fn line(map: &mut Pixmap, points: &[(f32, f32)], pen: &Pen) {
    let mut path = PathBuilder::new();
    for (index, (x, y)) in points.iter().enumerate() {
        if index == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
    }
    let stroke = Stroke {
        width: pen.width,
        line_cap: LineCap::Round,
        line_join: LineJoin::Round,
        dash: if pen.dashed { StrokeDash::new(vec![5.0, 4.0], 0.0) } else { None },
        ..Stroke::default()
    };
    if let Some(path) = path.finish() {
        map.stroke_path(&path, &color(pen.ink, pen.opacity), &stroke, Transform::from_scale(SCALE, SCALE), None);
    }
}

fn words(map: &mut Pixmap, words: &Words) {
    let mut outlines = Outlines(PathBuilder::new());
    font::outline(&words.text, words.size, words.bold, &mut outlines);
    let Some(path) = outlines.0.finish() else { return };
    let reach = font::width(&words.text, words.size, words.bold);
    let back = match words.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => reach / 2.0,
        Anchor::End => reach,
    };
    let turn = if words.upright { -90.0 } else { 0.0 };
    let place = Transform::from_scale(SCALE, SCALE)
        .pre_translate(words.x, words.y)
        .pre_concat(Transform::from_rotate(turn))
        .pre_translate(-back, 0.0);
    if words.halo {
        let stroke = Stroke { width: 3.0, line_join: LineJoin::Round, ..Stroke::default() };
        map.stroke_path(&path, &color(Ink::Paper, 1.0), &stroke, place, None);
    }
    fill(map, Some(path), &color(words.ink, 1.0), place);
}

fn fill(map: &mut Pixmap, path: Option<Path>, color: &Paint<'_>, place: Transform) {
    if let Some(path) = path {
        map.fill_path(&path, color, FillRule::Winding, place, None);
    }
}

fn color(ink: Ink, opacity: f32) -> Paint<'static> {
    let [_, red, green, blue] = ink.colors().0.to_be_bytes();
    let mut paint = Paint::default();
    paint.set_color(Color::from_rgba8(red, green, blue, (opacity.clamp(0.0, 1.0) * 255.0).round() as u8));
    paint
}

/// Letters as a path.
struct Outlines(PathBuilder);

impl OutlineBuilder for Outlines {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}
