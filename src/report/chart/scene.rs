//! A picture as a list of shapes, before it is SVG or pixels: coordinates are points from the top left corner.

/// A picture.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    pub width: f32,
    pub height: f32,
    /// What a reader who cannot see the picture is told.
    pub description: String,
    /// From back to front.
    pub shapes: Vec<Shape>,
}

/// One thing that is drawn.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// A filled rectangle.
    Area { x: f32, y: f32, width: f32, height: f32, ink: Ink, opacity: f32 },
    /// Points joined by a line.
    Line { points: Vec<(f32, f32)>, pen: Pen },
    /// A dot at each point.
    Dots { points: Vec<(f32, f32)>, radius: f32, ink: Ink, opacity: f32 },
    /// A line of words; `y` is their base line.
    Words(Words),
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pen {
    pub ink: Ink,
    pub width: f32,
    pub opacity: f32,
    pub dashed: bool,
}

/// A line of words.
#[derive(Debug, Clone)]
pub(super) struct Words {
    pub x: f32,
    pub y: f32,
    pub text: String,
    pub size: f32,
    pub bold: bool,
    pub anchor: Anchor,
    pub ink: Ink,
    /// Turned by a quarter, to be read from below.
    pub upright: bool,
    /// Surrounded by the colour of the paper, to be read above lines.
    pub halo: bool,
}

/// Which part of words stands at their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// What a colour is for; the colour itself depends on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Paper,
    Text,
    /// Words and lines of less weight.
    Quiet,
    Grid,
    /// The colour of a series; [`super::HUES`] of them.
    Hue(usize),
}

impl Ink {
    /// All of them, for style sheets.
    pub fn all() -> impl Iterator<Item = Ink> {
        [Ink::Paper, Ink::Text, Ink::Quiet, Ink::Grid].into_iter().chain((0..super::HUES).map(Ink::Hue))
    }

    /// The colour on light pages and on dark ones, as RGB. The hues are those of Okabe and Ito, without yellow, which is
    /// hard to see on white; on dark pages lighter ones of the same kind.
    pub fn colors(self) -> (u32, u32) {
        const HUES: [(u32, u32); super::HUES] = [
            (0x0072b2, 0x58b0e8),
            (0xd55e00, 0xff9350),
            (0x00916b, 0x36c99b),
            (0xb05a8e, 0xe59bc6),
            (0xc98a00, 0xf2bd4b),
            (0x3b9fd6, 0x9bd8f8),
            (0x5b6770, 0xb4bfc7),
        ];
        match self {
            Ink::Paper => (0xffffff, 0x12161b),
            Ink::Text => (0x1d2329, 0xe6eaee),
            Ink::Quiet => (0x5d6770, 0x9aa5af),
            Ink::Grid => (0xe3e7ea, 0x2b333b),
            Ink::Hue(index) => HUES[index % super::HUES],
        }
    }
}

impl Words {
    /// Words of ordinary size.
    pub fn new(x: f32, y: f32, text: impl Into<String>) -> Self {
        Words {
            x,
            y,
            text: text.into(),
            size: 12.0,
            bold: false,
            anchor: Anchor::Middle,
            ink: Ink::Quiet,
            upright: false,
            halo: false,
        }
    }
}

impl Pen {
    /// A plain line.
    pub fn new(ink: Ink, width: f32) -> Self {
        Pen { ink, width, opacity: 1.0, dashed: false }
    }
}

impl Scene {
    /// An empty sheet.
    pub fn new(width: f32, height: f32) -> Self {
        let paper = Shape::Area { x: 0.0, y: 0.0, width, height, ink: Ink::Paper, opacity: 1.0 };
        Scene { width, height, description: String::new(), shapes: vec![paper] }
    }

    /// Adds a shape in front of the others.
    pub fn add(&mut self, shape: Shape) {
        self.shapes.push(shape);
    }

    /// Adds words.
    pub fn write(&mut self, words: Words) {
        if !words.text.is_empty() {
            self.shapes.push(Shape::Words(words));
        }
    }

    /// Adds a straight line.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), pen: Pen) {
        self.shapes.push(Shape::Line { points: vec![from, to], pen });
    }
}
