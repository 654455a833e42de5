//! Pictures of numbers: curves ([`Chart`]) and heat maps ([`Grid`]), as SVG, as PNG and as text for a terminal.
//!
//! A chart is laid out once, as a list of lines, areas and words, which is then written as SVG or painted as PNG.
//! Words are measured and painted with a font that is part of the program, so that a picture does not depend on the machine.
//! An SVG has the colours of light and of dark pages; a PNG, twice as many pixels as points, those of light ones.

mod axis;
mod curve;
mod font;
mod grid;
mod layout;
mod legend;
mod pixels;
mod scene;
mod svg;
mod terminal;

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Width of a chart in points; a PNG has two pixels for each.
pub const WIDTH: f32 = 960.0;
/// Height of a chart in points; a PNG has two pixels for each.
pub const HEIGHT: f32 = 540.0;

/// Curves over one axis, with a second axis on the right where values of two kinds share the picture.
///
/// Points that are not finite, or not positive on a logarithmic axis, are gaps. Thousands of points are thinned to what a pixel
/// can show, with minima and maxima kept. A chart with no points draws its axes.
///
/// ```
/// use rcaffe::report::chart::{Axis, Chart, Series};
///
/// let accuracy = vec![(0.0, 0.1), (500.0, 0.52), (1000.0, 0.61)];
/// let rate = vec![(0.0, 0.001), (500.0, 0.006), (1000.0, 0.001)];
/// let chart = Chart {
///     title: "CIFAR-10, triangular".into(),
///     right: Some(Axis::linear("learning rate")),
///     series: vec![Series::new("accuracy", accuracy), Series::new("learning rate", rate).right()],
///     ..Chart::new(Axis::linear("iteration"), Axis::linear("test accuracy"))
/// };
/// assert!(chart.svg()?.starts_with("<svg "));
/// println!("{}", chart.terminal(80, 20));
/// # Ok::<(), rcaffe::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Stands above the picture; none when empty.
    pub title: String,
    /// The axis below.
    pub x: Axis,
    /// The axis on the left.
    pub y: Axis,
    /// The axis on the right, for the series of [`Side::Right`].
    pub right: Option<Axis>,
    /// The curves, in the order of the legend; later ones are drawn above earlier ones, and those of the left axis above those of
    /// the right.
    pub series: Vec<Series>,
    /// Vertical lines.
    pub marks: Vec<Mark>,
    /// Shaded ranges of the x axis.
    pub bands: Vec<Band>,
}

/// What an axis shows and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// How values are placed.
    pub scale: Scale,
    /// The values at its ends; by default all points of its series fit.
    pub range: Option<(f64, f64)>,
}

/// How values are placed on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// By value.
    Linear,
    /// By logarithm; values must be above 0.
    Log,
}

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend; not listed when empty.
    pub name: String,
    /// Its points, in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
    /// The axis that its values belong to.
    pub side: Side,
    /// How it is drawn.
    pub look: Look,
    /// Which of the [`HUES`] colours it has; by default the next one, and for [`Look::Faint`] that of the series behind it.
    pub hue: Option<usize>,
}

/// The number of colours that are told apart by everyone; curves beyond it repeat them, dashed.
pub const HUES: usize = 7;

/// Which axis values belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// [`Chart::y`].
    Left,
    /// [`Chart::right`]; [`Chart::y`] when there is none. Lines are dashed and thin.
    Right,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A line.
    Line,
    /// Dots.
    Points,
    /// A pale thin line: the raw values behind a smoothed line.
    Faint,
}

/// A vertical line with a label: a bound, the end of a cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where it stands.
    pub x: f64,
    /// What it means; none when empty.
    pub label: String,
}

/// A shaded range of the x axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Its beginning.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// What it means; none when empty.
    pub label: String,
}

/// A heat map of counts, such as a confusion matrix: rows are the truth, columns the predictions.
///
/// A cell's colour is its share of its row; its count stands in it while cells have room for words.
///
/// ```
/// use rcaffe::report::chart::Grid;
///
/// let grid = Grid {
///     title: "Confusion".into(),
///     row_label: "truth".into(),
///     column_label: "prediction".into(),
///     names: vec!["cat".into(), "dog".into()],
///     values: vec![vec![90, 10], vec![25, 75]],
/// };
/// assert!(grid.svg()?.contains("dog"));
/// # Ok::<(), rcaffe::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// Stands above the picture; none when empty.
    pub title: String,
    /// What rows are.
    pub row_label: String,
    /// What columns are.
    pub column_label: String,
    /// Names of the classes, for rows and columns alike.
    pub names: Vec<String>,
    /// Counts by row and column.
    pub values: Vec<Vec<u64>>,
}

impl Axis {
    /// An axis that places values by value.
    pub fn linear(label: impl Into<String>) -> Self {
        Axis { label: label.into(), scale: Scale::Linear, range: None }
    }

    /// An axis that places values by logarithm.
    pub fn log(label: impl Into<String>) -> Self {
        Axis { label: label.into(), scale: Scale::Log, range: None }
    }

    /// Shows these values and cuts off what lies beyond.
    #[must_use]
    pub fn within(mut self, from: f64, to: f64) -> Self {
        self.range = Some((from, to));
        self
    }
}

impl Series {
    /// A line that belongs to the left axis.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Series { name: name.into(), points, side: Side::Left, look: Look::Line, hue: None }
    }

    /// Belongs to the right axis.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.side = Side::Right;
        self
    }

    /// Is drawn like this.
    #[must_use]
    pub fn look(mut self, look: Look) -> Self {
        self.look = look;
        self
    }

    /// Has this colour, counted from 0: series that belong together share one.
    #[must_use]
    pub fn hue(mut self, hue: usize) -> Self {
        self.hue = Some(hue);
        self
    }
}

impl Chart {
    /// A chart with these axes and nothing in it.
    pub fn new(x: Axis, y: Axis) -> Self {
        Chart { title: String::new(), x, y, right: None, series: Vec::new(), marks: Vec::new(), bands: Vec::new() }
    }

    /// Writes the picture as SVG or PNG, by the file's extension: 960×540 points, a PNG with two pixels for each.
    ///
    /// # Errors
    /// When the extension is another, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write(&layout::scene(self), path)
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// None are known; the result is for symmetry with [`Chart::write`].
    pub fn svg(&self) -> Result<String> {
        Ok(svg::text(&layout::scene(self)))
    }

    /// The picture for a terminal, `columns` characters wide and `rows` lines high, in Braille dots; at least 30×8.
    pub fn terminal(&self, columns: usize, rows: usize) -> String {
        terminal::text(self, columns, rows)
    }
}

impl Grid {
    /// Writes the picture as SVG or PNG, by the file's extension; a PNG has two pixels for each point.
    ///
    /// # Errors
    /// When the extension is another, rows or names do not fit each other, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write(&grid::scene(self)?, path)
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// When rows or names do not fit each other.
    pub fn svg(&self) -> Result<String> {
        Ok(svg::text(&grid::scene(self)?))
    }
}

/// Whether a picture can be written to this file, before the work that ends with it.
///
/// # Errors
/// When the extension is neither `.svg` nor `.png`.
pub fn check_extension(path: &Path) -> Result<()> {
    kind(path).map(|_| ())
}

/// The colours of series, on light pages and on dark ones, as RGB.
pub(in crate::report) fn colors() -> Vec<(u32, u32)> {
    (0..HUES).map(|hue| scene::Ink::Hue(hue).colors()).collect()
}

enum Kind {
    Svg,
    Png,
}

fn kind(path: &Path) -> Result<Kind> {
    match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("svg") => Ok(Kind::Svg),
        Some("png") => Ok(Kind::Png),
        _ => Err(Error::config(path.display().to_string(), "pictures are written as .svg or .png: give one of these")),
    }
}

fn write(scene: &scene::Scene, path: &Path) -> Result<()> {
    let bytes = match kind(path)? {
        Kind::Svg => svg::text(scene).into_bytes(),
        Kind::Png => pixels::png(scene)?,
    };
    // Whoever looks on while the picture is written again sees the old one or the new one.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    fs::write(&unfinished, bytes).map_err(|cause| Error::io(path, cause))?;
    fs::rename(&unfinished, path).map_err(|cause| Error::io(path, cause))
}

#[cfg(test)]
mod tests;
