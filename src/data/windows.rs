//! Windows of pictures: the list that `WindowData` reads, and the part of a picture that a window means.

use std::{
    path::{Path, PathBuf},
    str::{FromStr, SplitAsciiWhitespace},
};

use super::paths;
use crate::error::{Error, Result};

/// A window list: pictures, and windows in them that hold an object or do not.
///
/// ```text
/// # IMAGE_INDEX
/// FILE
/// CHANNELS
/// HEIGHT
/// WIDTH
/// NUMBER_OF_WINDOWS
/// CLASS OVERLAP X1 Y1 X2 Y2
/// ...
/// ```
///
/// again and again, the image index counting from 0. File names have no blanks.
#[derive(Debug, Default)]
pub struct WindowList {
    /// The names of the pictures, the root folder before each.
    pub pictures: Vec<String>,
    /// Windows that overlap an object enough.
    pub foreground: Vec<Window>,
    /// Windows that overlap objects little.
    pub background: Vec<Window>,
}

/// A window: the corners are pixels of it, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The picture's place in the list.
    pub picture: usize,
    /// The class; 0 in the background.
    pub label: i32,
    /// x1, y1, x2 and y2.
    pub corners: [i32; 4],
}

impl WindowList {
    /// Reads the list `name`. A window is foreground when it overlaps an object by `thresholds[0]` or more, background when by
    /// less than `thresholds[1]`; others are left out.
    ///
    /// # Errors
    /// When the list cannot be read, or has no foreground or no background.
    pub fn open(name: &str, root: &str, thresholds: [f32; 2], base: Option<&Path>) -> Result<Self> {
        let path: PathBuf = paths::resolve(name, base);
        if !path.exists() {
            return Err(paths::missing(name));
        }
        let text = std::fs::read_to_string(&path).map_err(|cause| Error::io(&path, cause))?;
        let mut list = WindowList::default();
        let mut words = Words { rest: text.split_ascii_whitespace() };
        while let Some(mark) = words.rest.next() {
            let picture = list.pictures.len();
            list.picture(mark, &mut words, root, thresholds)
                .map_err(|message| Error::data(name, format!("picture {picture}: {message}")))?;
        }
        let windows = list.foreground.iter().chain(&list.background);
        if windows.map(|window| window.picture).any(|picture| picture >= list.pictures.len()) {
            return Err(Error::data(name, "an image index is not the picture's place in the list, counted from 0"));
        }
        for (kind, windows) in [("foreground", &list.foreground), ("background", &list.background)] {
            if windows.is_empty() {
                let message = format!("has no {kind} windows; see window_data_param.fg_threshold and bg_threshold");
                return Err(Error::data(name, message));
            }
        }
        Ok(list)
    }

    fn picture(&mut self, mark: &str, words: &mut Words<'_>, root: &str, thresholds: [f32; 2]) -> Result<(), String> {
        if mark != "#" {
            return Err(format!("must begin with \"#\", not {mark:?}"));
        }
        let picture = words.next("an image index")?;
        let name: String = words.next("a file name")?;
        let [channels, _, _]: [i32; 3] = [words.next("channels")?, words.next("a height")?, words.next("a width")?];
        if channels != 3 {
            return Err(format!("has {channels} channels; pictures are read with 3"));
        }
        let count: usize = words.next("the number of windows")?;
        for _ in 0..count {
            let label = words.next("a class")?;
            let overlap: f32 = words.next("an overlap")?;
            let [x1, y1] = [words.next("x1")?, words.next("y1")?];
            let corners = [x1, y1, words.next("x2")?, words.next("y2")?];
            if overlap >= thresholds[0] {
                if label < 1 {
                    return Err(format!("a foreground window has class {label}; it must be above 0"));
                }
                self.foreground.push(Window { picture, label, corners });
            } else if overlap < thresholds[1] {
                self.background.push(Window { picture, label: 0, corners });
            }
        }
        self.pictures.push(format!("{root}{name}"));
        Ok(())
    }
}

/// The words of the list.
struct Words<'a> {
    rest: SplitAsciiWhitespace<'a>,
}

impl Words<'_> {
    fn next<T: FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.rest.next().ok_or_else(|| format!("the list ends before {what}"))?;
        word.parse().map_err(|_| format!("has {word:?} for {what}"))
    }
}

/// How windows are brought to the size of the crop.
#[derive(Debug, Clone, Copy)]
pub struct Crop {
    /// The side of the square that a window becomes.
    pub side: usize,
    /// How many of its pixels, on each side, show what surrounds the window.
    pub context: usize,
    /// The window is made square first (`crop_mode: "square"`).
    pub square: bool,
}

/// Which pixels of a picture go where in the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The first row and column of the part of the picture.
    pub start: [usize; 2],
    /// The height and width of the part.
    pub from: [usize; 2],
    /// The height and width that it is brought to.
    pub to: [usize; 2],
    /// The empty rows above it and columns left of it; what the crop has beyond is empty too.
    pub padding: [usize; 2],
}

impl Crop {
    /// Where a window's pixels go. With context, the window grows about its middle by `side / (side − 2·context)`; what then
    /// lies outside of the picture stays empty.
    ///
    /// # Errors
    /// When the window does not lie in the picture, of this height and width, or nothing of it is left.
    pub fn place(&self, window: [i32; 4], size: [usize; 2], mirrored: bool) -> Result<Placed, String> {
        let [x1, y1, x2, y2] = window;
        let outside = || format!("the window {x1} {y1} {x2} {y2} does not lie in the picture, {}×{}", size[0], size[1]);
        let whole = [self.side; 2];
        let (corners, to, padding) = if self.context > 0 || self.square {
            self.grow(window, size, mirrored)
        } else {
            (window.map(i64::from), whole, [0, 0])
        };
        let [left, top, right, bottom] = corners;
        let inside = left >= 0 && top >= 0 && right < size[1] as i64 && bottom < size[0] as i64;
        if !inside || right < left || bottom < top || to.contains(&0) {
            return Err(outside());
        }
        let from = [bottom - top + 1, right - left + 1].map(|length| length as usize);
        Ok(Placed { start: [top as usize, left as usize], from, to, padding })
    }

    /// The grown window cut to the picture, the size that the rest is brought to, and the padding.
    fn grow(&self, [x1, y1, x2, y2]: [i32; 4], size: [usize; 2], mirrored: bool) -> ([i64; 4], [usize; 2], [usize; 2]) {
        let side = self.side as f32;
        let scale = side / (side - 2.0 * self.context as f32);
        let half = |first: i32, last: i32| (i64::from(last) - i64::from(first) + 1) as f32 / 2.0;
        let [mut half_height, mut half_width] = [half(y1, y2), half(x1, x2)];
        let [center_x, center_y] = [x1 as f32 + half_width, y1 as f32 + half_height];
        if self.square {
            half_height = half_height.max(half_width);
            half_width = half_height;
        }
        // One rounding for product and sum, as Caffe's build has it.
        let [x1, x2] = [-half_width, half_width].map(|half| half.mul_add(scale, center_x).round() as i64);
        let [y1, y2] = [-half_height, half_height].map(|half| half.mul_add(scale, center_y).round() as i64);
        let vertical = Span::new([y1, y2], size[0], self.side);
        let horizontal = Span::new([x1, x2], size[1], self.side);
        let padding = [vertical.padding[0], horizontal.padding[usize::from(mirrored)]];
        let fit = |span: &Span, padding: usize| span.length.min(self.side.saturating_sub(padding));
        let to = [fit(&vertical, padding[0]), fit(&horizontal, padding[1])];
        ([horizontal.first, vertical.first, horizontal.last, vertical.last], to, padding)
    }
}

/// One axis of a grown window.
struct Span {
    /// The first and last pixel that lie in the picture.
    first: i64,
    last: i64,
    /// How many pixels of the crop they become.
    length: usize,
    /// How many pixels of the crop are empty before and behind them.
    padding: [usize; 2],
}

impl Span {
    fn new([first, last]: [i64; 2], size: usize, side: usize) -> Self {
        let before = (-first).max(0);
        let behind = (last - size as i64 + 1).max(0);
        let scale = side as f32 / (last - first + 1) as f32;
        let scaled = |length: i64| (length as f32 * scale).round() as usize;
        let (first, last) = (first + before, last - behind);
        Span { first, last, length: scaled(last - first + 1), padding: [scaled(before), scaled(behind)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> Result<WindowList> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w"), text).unwrap();
        WindowList::open("w", "at/", [0.5, 0.25], Some(folder.path()))
    }

    #[test]
    fn windows_are_sorted_by_overlap() {
        let list = open("# 0\na 3 9 9\n3\n1 0.5 1 2 3 4\n2 .3 0 0 1 1\n7 .2 5 5 6 6\n").unwrap();
        assert_eq!(list.pictures, ["at/a"]);
        assert_eq!(list.foreground, [Window { picture: 0, label: 1, corners: [1, 2, 3, 4] }]);
        assert_eq!(list.background, [Window { picture: 0, label: 0, corners: [5, 5, 6, 6] }]);
    }

    #[test]
    fn lists_that_cannot_be_right() {
        let error = |text: &str| open(text).unwrap_err().to_string();
        assert_eq!(error("0 a"), "w: picture 0: must begin with \"#\", not \"0\"");
        assert_eq!(error("# 0 a 3 9"), "w: picture 0: the list ends before a width");
        assert_eq!(error("# 0 a 3 9 9 1 x"), "w: picture 0: has \"x\" for a class");
        assert!(error("# 0 a 1 9 9 0").contains("has 1 channels"));
        assert!(error("# 0 a 3 9 9 1 0 1 0 0 1 1").contains("a foreground window has class 0"));
        assert!(error("# 1 a 3 9 9 2 1 1 0 0 1 1 0 0 0 0 1 1").contains("counted from 0"));
        assert!(error("# 0 a 3 9 9 1 1 1 0 0 1 1").contains("has no background windows"));
        assert!(error("").contains("has no foreground windows"));
    }

    #[test]
    fn a_window_is_warped_to_the_crop() {
        let crop = Crop { side: 10, context: 0, square: false };
        let placed = Placed { start: [1, 2], from: [4, 7], to: [10, 10], padding: [0, 0] };
        assert_eq!(crop.place([2, 1, 8, 4], [20, 20], true), Ok(placed));
        assert!(crop.place([2, 1, 20, 4], [20, 20], false).is_err());
        assert!(crop.place([5, 1, 4, 4], [20, 20], false).is_err());
    }

    /// A window of 6×6 with 2 of 10 pixels around it grows to 11×11 (both ends count); of the picture's 9 columns it keeps 8.
    #[test]
    fn context_beyond_the_picture_is_padding() {
        let crop = Crop { side: 10, context: 2, square: false };
        let place = |mirrored| crop.place([0, 4, 5, 9], [30, 9], mirrored).unwrap();
        assert_eq!(place(false), Placed { start: [2, 0], from: [11, 9], to: [10, 8], padding: [0, 2] });
        assert_eq!(place(true).padding, [0, 0]);
        let square = Crop { side: 10, context: 0, square: true };
        let placed = square.place([4, 4, 5, 9], [30, 30], false).unwrap();
        assert_eq!((placed.start, placed.from), ([4, 2], [7, 7]));
    }
}
