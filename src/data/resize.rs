//! Bilinear resizing of 8-bit planes, with the geometry and the rounding of OpenCV's `INTER_LINEAR`.
//!
//! Pixel centres lie at half steps: `x = (X + ½)·w/W − ½`. Between the two nearest source pixels (edges are repeated) weights
//! are fixed-point numbers of 11 bits; nothing is smoothed when a picture shrinks. When both sides shrink to exactly half, each
//! pixel is the rounded mean of four.

/// Bits of a weight.
const ONE: f32 = 2048.0;

/// Resizes pictures; it keeps its tables and rows for the next one.
#[derive(Debug, Default)]
pub struct Resize {
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    above: Vec<i32>,
    below: Vec<i32>,
}

/// Two neighbours in the source and their weights, in 2048ths.
#[derive(Debug, Clone, Copy)]
struct Tap {
    places: [usize; 2],
    weights: [i32; 2],
}

/// A part of a picture: all channels of the pixels in a rectangle.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The whole picture, channel by channel.
    pub planes: &'a [u8],
    /// C, H and W of the whole picture.
    pub shape: [usize; 3],
    /// The first row and column of the part.
    pub start: [usize; 2],
    /// The part's height and width.
    pub size: [usize; 2],
}

impl<'a> View<'a> {
    /// The whole picture.
    pub fn whole(planes: &'a [u8], shape: [usize; 3]) -> Self {
        View { planes, shape, start: [0, 0], size: [shape[1], shape[2]] }
    }

    fn row(&self, channel: usize, row: usize) -> &'a [u8] {
        let [_, height, width] = self.shape;
        let start = (channel * height + self.start[0] + row) * width + self.start[1];
        &self.planes[start..start + self.size[1]]
    }
}

impl Resize {
    /// Writes `view`, brought to `[height, width]`, to `out`, channel by channel.
    pub fn run(&mut self, view: View<'_>, [height, width]: [usize; 2], out: &mut Vec<u8>) {
        let [from_height, from_width] = view.size;
        out.clear();
        out.reserve(view.shape[0] * height * width);
        for channel in 0..view.shape[0] {
            if [from_height, from_width] == [2 * height, 2 * width] {
                halve(view, channel, out);
            } else if [from_height, from_width] == [height, width] {
                (0..height).for_each(|row| out.extend_from_slice(view.row(channel, row)));
            } else {
                taps(from_width, width, true, &mut self.columns);
                taps(from_height, height, false, &mut self.rows);
                self.channel(view, channel, out);
            }
        }
    }

    fn channel(&mut self, view: View<'_>, channel: usize, out: &mut Vec<u8>) {
        let Resize { columns, rows, above, below } = self;
        for row in rows.iter() {
            for (place, line) in row.places.iter().zip([&mut *above, &mut *below]) {
                let source = view.row(channel, *place);
                line.clear();
                line.extend(columns.iter().map(|Tap { places, weights }| {
                    i32::from(source[places[0]]) * weights[0] + i32::from(source[places[1]]) * weights[1]
                }));
            }
            let [upper, lower] = row.weights;
            let blend = |(&above, &below): (&i32, &i32)| {
                ((((upper * (above >> 4)) >> 16) + ((lower * (below >> 4)) >> 16) + 2) >> 2) as u8
            };
            out.extend(above.iter().zip(below.iter()).map(blend));
        }
    }
}

fn halve(view: View<'_>, channel: usize, out: &mut Vec<u8>) {
    for row in 0..view.size[0] / 2 {
        let [above, below] = [2 * row, 2 * row + 1].map(|row| view.row(channel, row).chunks_exact(2));
        let sum = |pair: &[u8]| u16::from(pair[0]) + u16::from(pair[1]);
        out.extend(above.zip(below).map(|(above, below)| ((sum(above) + sum(below) + 2) >> 2) as u8));
    }
}

/// The neighbours and weights of each pixel along one axis. Beyond an edge both neighbours are the edge; along rows OpenCV
/// then also gives the edge the whole weight, which is the same but for rounding.
fn taps(from: usize, to: usize, whole_at_edges: bool, out: &mut Vec<Tap>) {
    // 1 / (to/from), in this order: OpenCV's scale.
    let scale = 1.0 / (to as f64 / from as f64);
    let last = from as i64 - 1;
    out.clear();
    out.extend((0..to).map(|index| {
        let place = ((index as f64 + 0.5) * scale - 0.5) as f32;
        let mut first = place.floor() as i64;
        let mut part = place - first as f32;
        if whole_at_edges && (first < 0 || first >= last) {
            (first, part) = (first.clamp(0, last), 0.0);
        }
        let weight = |part: f32| (part * ONE).round_ties_even() as i32;
        let places = [first, first + 1].map(|place| place.clamp(0, last) as usize);
        Tap { places, weights: [weight(1.0 - part), weight(part)] }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resize(planes: &[u8], shape: [usize; 3], size: [usize; 2]) -> Vec<u8> {
        let mut out = Vec::new();
        Resize::default().run(View::whole(planes, shape), size, &mut out);
        out
    }

    /// What OpenCV 4.6 gives.
    #[test]
    fn numbers_of_opencv() {
        assert_eq!(resize(&[10, 200, 30, 40], [1, 2, 2], [3, 3]), [10, 105, 200, 20, 70, 120, 30, 35, 40]);
        let picture: Vec<u8> = (0..35).map(|value| (value * value * 7 % 256) as u8).collect();
        assert_eq!(resize(&picture, [1, 5, 7], [3, 4]), [44, 45, 101, 212, 72, 29, 221, 234, 121, 139, 20, 180]);
        assert_eq!(resize(&picture[..8], [1, 2, 4], [1, 2]), [74, 108]);
    }

    #[test]
    fn a_part_knows_nothing_of_its_surroundings() {
        let planes: Vec<u8> = (0..60).map(|value| (value * 37 % 256) as u8).collect();
        let view = View { planes: &planes, shape: [2, 5, 6], start: [1, 2], size: [3, 3] };
        let cut: Vec<u8> = (0..2)
            .flat_map(|c| (1..4).flat_map(move |r| (2..5).map(move |x| c * 30 + r * 6 + x)))
            .map(|at: usize| planes[at])
            .collect();
        let mut out = Vec::new();
        Resize::default().run(view, [4, 7], &mut out);
        assert_eq!(out, resize(&cut, [2, 3, 3], [4, 7]));
    }
}
