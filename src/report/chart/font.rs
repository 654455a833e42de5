//! The font of the pictures: Inter (SIL Open Font License, `fonts/LICENSE-Inter.txt`), regular and semi-bold, cut down to Latin,
//! Greek and Cyrillic letters and the signs of formulas.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

static REGULAR: LazyLock<Face<'static>> = LazyLock::new(|| face(include_bytes!("fonts/Inter-Regular.ttf")));
static BOLD: LazyLock<Face<'static>> = LazyLock::new(|| face(include_bytes!("fonts/Inter-SemiBold.ttf")));

fn face(bytes: &'static [u8]) -> Face<'static> {
    Face::parse(bytes, 0).expect("the font is part of the program")
}

fn chosen(bold: bool) -> &'static Face<'static> {
    if bold { &BOLD } else { &REGULAR }
}

/// A letter that the font lacks becomes the font's sign for that.
fn glyph(face: &Face<'_>, letter: char) -> GlyphId {
    face.glyph_index(letter).unwrap_or(GlyphId(0))
}

/// How far words of this size reach.
pub(super) fn width(text: &str, size: f32, bold: bool) -> f32 {
    let face = chosen(bold);
    let units: u32 =
        text.chars().map(|letter| u32::from(face.glyph_hor_advance(glyph(face, letter)).unwrap_or(0))).sum();
    units as f32 * size / f32::from(face.units_per_em())
}

/// Words that are no longer than `limit`: cut, with an ellipsis, where they were.
pub(super) fn fitting(text: &str, size: f32, limit: f32) -> String {
    if width(text, size, false) <= limit {
        return text.to_string();
    }
    let mut letters: Vec<char> = text.chars().collect();
    while letters.pop().is_some() {
        let cut: String = letters.iter().collect::<String>().trim_end().to_string() + "…";
        if width(&cut, size, false) <= limit {
            return cut;
        }
    }
    String::new()
}

/// Hands the outlines of words to `pen`, in points: the words begin at `x` 0 and stand on the base line `y` 0, y downwards.
pub(super) fn outline(text: &str, size: f32, bold: bool, pen: &mut dyn OutlineBuilder) {
    let face = chosen(bold);
    let scale = size / f32::from(face.units_per_em());
    let mut x = 0.0;
    for letter in text.chars() {
        let glyph = glyph(face, letter);
        face.outline_glyph(glyph, &mut Placed { pen, x, scale });
        x += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * scale;
    }
}

/// A pen that draws a letter at its place.
struct Placed<'a> {
    pen: &'a mut dyn OutlineBuilder,
    x: f32,
    scale: f32,
}

impl Placed<'_> {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Placed<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.pen.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.pen.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.pen.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.pen.curve_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.pen.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_to_their_room_and_no_more() {
        let long = "models/cifar10_full_train_test.prototxt";
        let cut = fitting(long, 12.0, 120.0);
        assert!(width(&cut, 12.0, false) <= 120.0 && width(&cut, 12.0, false) > 100.0, "{cut}");
        assert!(cut.ends_with('…') && long.starts_with(cut.trim_end_matches('…')));
        assert_eq!(fitting("conv1", 12.0, 120.0), "conv1");
    }

    #[test]
    fn letters_of_several_scripts_and_signs_are_there() {
        for letter in "aZ09·×→−≤€éßΩλЖя…₀²".chars() {
            assert!(REGULAR.glyph_index(letter).is_some() && BOLD.glyph_index(letter).is_some(), "{letter}");
        }
    }
}
