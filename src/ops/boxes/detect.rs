//! From offsets and scores to a list of boxes: decoding, non-maximum suppression of each class, and the best of each image.

use rayon::prelude::*;

use super::Corners;
use crate::tensor::Buffer;

/// How a box is written relative to its prior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coding {
    /// Offsets of the corners.
    #[default]
    Corner,
    /// Offset of the centre in sizes of the prior, and the logarithm of the size in such.
    CenterSize,
    /// Offsets of the corners in sizes of the prior.
    CornerSize,
}

/// Which boxes of a class are dropped for overlapping better ones.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Suppression {
    /// The overlap above which a box is dropped.
    pub threshold: f32,
    /// What a threshold above 0.5 is multiplied by after each box that is kept.
    pub eta: f32,
    /// How many boxes are looked at, the best.
    pub top: Option<usize>,
}

/// The options of a detector.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Detector {
    /// Classes.
    pub classes: usize,
    /// One box of a prior for all classes, rather than one for each.
    pub is_shared: bool,
    /// The class that means nothing is there.
    pub background: Option<usize>,
    /// How boxes are written.
    pub coding: Coding,
    /// Offsets are already multiplied by the variances.
    pub is_scaled: bool,
    /// The score to exceed.
    pub least: f32,
    /// Of each class.
    pub suppression: Suppression,
    /// How many boxes of an image are kept, the best.
    pub keep: Option<usize>,
}

/// A prior without area, which sizes cannot be relative to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadPrior {
    /// Its index.
    pub index: usize,
    /// Its corners.
    pub corners: Corners,
}

/// What was found, and the memory that finding it takes.
#[derive(Debug, Default)]
pub struct Found {
    images: Vec<Image>,
    /// Seven values for each box: image, class, score and the corners.
    rows: Vec<[f32; 7]>,
}

/// Work on one image.
#[derive(Debug, Default)]
struct Image {
    /// Decoded boxes: class (or all) × prior.
    boxes: Vec<Corners>,
    /// Priors of one class by falling score.
    ranking: Vec<(f32, usize)>,
    /// What is kept: score, class and prior, class by class.
    kept: Vec<(f32, usize, usize)>,
}

impl Found {
    /// The boxes found.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Writes the boxes, seven values for each: image, class, score, corners. When there is none, a row for each image of the
    /// batch: its number, then −1 six times.
    pub fn write(&self, y: &Buffer) {
        let mut y = y.host_mut();
        for (index, row) in y.chunks_exact_mut(7).enumerate() {
            match self.rows.get(index) {
                Some(values) => row.copy_from_slice(values),
                None => {
                    row.fill(-1.0);
                    row[0] = index as f32;
                }
            }
        }
    }
}

impl Detector {
    pub(super) fn detect(
        &self,
        offsets: &[f32],
        scores: &[f32],
        priors: &[f32],
        found: &mut Found,
    ) -> Result<(), BadPrior> {
        let (priors, variances) = priors.split_at(priors.len() / 2);
        let count = priors.len() / 4;
        found.rows.clear();
        if self.coding != Coding::Corner {
            check(priors)?;
        }
        let images = scores.len().checked_div(count * self.classes).unwrap_or(0);
        found.images.resize_with(images, Image::default);
        found.images.par_iter_mut().enumerate().for_each(|(number, image)| {
            let boxes = if self.is_shared { 1 } else { self.classes };
            let offsets = &offsets[number * count * boxes * 4..][..count * boxes * 4];
            self.decode(boxes, offsets, priors, variances, &mut image.boxes);
            self.keep(count, &scores[number * count * self.classes..][..count * self.classes], image);
        });
        for (number, image) in found.images.iter().enumerate() {
            found.rows.extend(image.kept.iter().map(|&(score, class, prior)| {
                let [left, top, right, bottom] = image.boxes[self.place(count, class, prior)];
                [number as f32, class as f32, score, left, top, right, bottom]
            }));
        }
        Ok(())
    }

    /// Where the box of a class and a prior stands.
    fn place(&self, count: usize, class: usize, prior: usize) -> usize {
        if self.is_shared { prior } else { class * count + prior }
    }

    /// Decodes all boxes of an image, but those of the background.
    fn decode(&self, boxes: usize, offsets: &[f32], priors: &[f32], variances: &[f32], decoded: &mut Vec<Corners>) {
        let count = priors.len() / 4;
        decoded.resize(count * boxes, [0.0; 4]);
        for class in (0..boxes).filter(|&class| self.is_shared || Some(class) != self.background) {
            for prior in 0..count {
                let four = |values: &[f32], place: usize| [0, 1, 2, 3].map(|corner| values[4 * place + corner]);
                let mut offset = four(offsets, prior * boxes + class);
                if !self.is_scaled {
                    let variances = four(variances, prior);
                    offset.iter_mut().zip(variances).for_each(|(offset, variance)| *offset *= variance);
                }
                decoded[class * count + prior] = self.coding.decode(four(priors, prior), offset);
            }
        }
    }

    /// Lists what is kept of an image.
    fn keep(&self, count: usize, scores: &[f32], image: &mut Image) {
        image.kept.clear();
        for class in (0..self.classes).filter(|&class| Some(class) != self.background) {
            let of_class = (0..count).map(|prior| (scores[prior * self.classes + class], prior));
            image.ranking.clear();
            image.ranking.extend(of_class.filter(|(score, _)| *score > self.least));
            image.ranking.sort_by(|a, b| b.0.total_cmp(&a.0));
            image.ranking.truncate(self.suppression.top.unwrap_or(usize::MAX));
            let first = image.kept.len();
            let mut threshold = self.suppression.threshold;
            for &(score, prior) in &image.ranking {
                let candidate = &image.boxes[self.place(count, class, prior)];
                let overlaps = image.kept[first..]
                    .iter()
                    .map(|&(_, _, better)| overlap(candidate, &image.boxes[self.place(count, class, better)]));
                // NaN counts as too much.
                if overlaps.into_iter().all(|overlap| overlap <= threshold) {
                    image.kept.push((score, class, prior));
                    if self.suppression.eta < 1.0 && threshold > 0.5 {
                        threshold *= self.suppression.eta;
                    }
                }
            }
        }
        if let Some(keep) = self.keep.filter(|keep| *keep < image.kept.len()) {
            image.kept.sort_by(|a, b| b.0.total_cmp(&a.0));
            image.kept.truncate(keep);
            image.kept.sort_by_key(|&(_, class, _)| class);
        }
    }
}

/// Checks that all priors have an area.
fn check(priors: &[f32]) -> Result<(), BadPrior> {
    let corners = priors.chunks_exact(4).map(|prior| [prior[0], prior[1], prior[2], prior[3]]);
    let bad = corners.enumerate().find(|(_, corners)| !(corners[2] > corners[0] && corners[3] > corners[1]));
    bad.map_or(Ok(()), |(index, corners)| Err(BadPrior { index, corners }))
}

impl Coding {
    /// A box from its prior and its offsets, these already multiplied by the variances.
    fn decode(self, prior: Corners, offset: [f32; 4]) -> Corners {
        let [left, top, right, bottom] = prior;
        let (width, height) = (right - left, bottom - top);
        match self {
            Coding::Corner => [0, 1, 2, 3].map(|corner| prior[corner] + offset[corner]),
            Coding::CornerSize => {
                let sizes = [width, height, width, height];
                [0, 1, 2, 3].map(|corner| prior[corner] + offset[corner] * sizes[corner])
            }
            Coding::CenterSize => {
                let x = offset[0] * width + (left + right) / 2.0;
                let y = offset[1] * height + (top + bottom) / 2.0;
                let stretch = |logarithm: f32, size: f32| (f64::from(logarithm).exp() * f64::from(size)) as f32 / 2.0;
                let (across, down) = (stretch(offset[2], width), stretch(offset[3], height));
                [x - across, y - down, x + across, y + down]
            }
        }
    }
}

/// The area of a box; 0 when its corners are the wrong way round.
fn area([left, top, right, bottom]: &Corners) -> f32 {
    if right < left || bottom < top { 0.0 } else { (right - left) * (bottom - top) }
}

/// Intersection over union.
fn overlap(a: &Corners, b: &Corners) -> f32 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    if width > 0.0 && height > 0.0 {
        let both = width * height;
        both / (area(a) + area(b) - both)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_intersection_over_union() {
        let unit = [0.0, 0.0, 1.0, 1.0];
        assert_eq!(overlap(&unit, &unit), 1.0);
        assert_eq!(overlap(&unit, &[0.5, 0.0, 1.5, 1.0]), 0.5 / 1.5);
        assert_eq!(overlap(&unit, &[1.0, 0.0, 2.0, 1.0]), 0.0);
        assert_eq!(overlap(&unit, &[2.0, 2.0, 3.0, 3.0]), 0.0);
    }

    #[test]
    fn boxes_are_decoded_as_their_coding_says() {
        let prior = [0.25, 0.0, 0.75, 1.0];
        assert_eq!(Coding::Corner.decode(prior, [0.5, 0.25, -0.25, 0.0]), [0.75, 0.25, 0.5, 1.0]);
        assert_eq!(Coding::CornerSize.decode(prior, [0.5, 0.25, -0.5, 0.0]), [0.5, 0.25, 0.5, 1.0]);
        let grown = Coding::CenterSize.decode(prior, [1.0, 0.0, 2.0_f32.ln(), 0.0]);
        assert!(grown.iter().zip([0.5, 0.0, 1.5, 1.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{grown:?}");
    }
}
