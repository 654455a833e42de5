//! Pooling over regions on the host: forward parallel over regions and channels, backward over the planes of the source, each of
//! which collects from all regions in order.

use std::ops::Range;

use rayon::prelude::*;

use super::{Geometry, Region};

/// In the winners: the bin holds nothing, or nothing above -f32::MAX.
const NONE: u32 = u32::MAX;

/// The positions of one bin along an axis that lie in the plane: what is between two real places, both rounded outwards.
fn span(first: f32, last: f32, shift: i64, extent: usize) -> Range<usize> {
    let clip = |place: f32| (place as i64).saturating_add(shift).clamp(0, extent as i64) as usize;
    let (first, last) = (clip(first.floor()), clip(last.ceil()));
    first..last.max(first)
}

/// The positions of bin number `bin` of `bins`, MAX: the corners are rounded to positions.
fn max_span(corners: (f32, f32), scale: f32, (bin, bins): (usize, usize), extent: usize) -> Range<usize> {
    let (start, end) = ((corners.0 * scale).round() as i32, (corners.1 * scale).round() as i32);
    let length = (i64::from(end) - i64::from(start) + 1).max(1);
    let size = length as f32 / bins as f32;
    span(bin as f32 * size, (bin + 1) as f32 * size, i64::from(start), extent)
}

/// The positions of bin number `bin` of `bins`, AVE: the corners are rounded before they are scaled.
fn average_span(corners: (f32, f32), scale: f32, (bin, bins): (usize, usize), extent: usize) -> Range<usize> {
    let (start, end) = (corners.0.round() * scale, (corners.1.round() + 1.0) * scale);
    let size = (end - start).max(0.1) / bins as f32;
    span(bin as f32 * size + start, (bin + 1) as f32 * size + start, 0, extent)
}

impl Geometry {
    fn plane(&self) -> usize {
        self.height * self.width
    }

    fn all_bins(&self) -> usize {
        self.bins[0] * self.bins[1]
    }

    /// Rows and columns of a region's bin, by one of the rules above.
    fn bin(
        &self,
        region: &Region,
        bin: usize,
        rule: impl Fn((f32, f32), f32, (usize, usize), usize) -> Range<usize>,
    ) -> (Range<usize>, Range<usize>) {
        let [left, top, right, bottom] = region.corners;
        let rows = rule((top, bottom), self.scale, (bin / self.bins[1], self.bins[0]), self.height);
        let columns = rule((left, right), self.scale, (bin % self.bins[1], self.bins[1]), self.width);
        (rows, columns)
    }
}

pub(super) fn max_forward(geometry: &Geometry, regions: &[Region], x: &[f32], y: &mut [f32], winners: &mut [u32]) {
    let (bins, plane) = (geometry.all_bins(), geometry.plane());
    let outputs = y.par_chunks_mut(bins).zip(winners.par_chunks_mut(bins)).enumerate();
    outputs.for_each(|(output, (y, winners))| {
        let region = &regions[output / geometry.channels];
        let channel = output % geometry.channels;
        let x = &x[(region.image * geometry.channels + channel) * plane..][..plane];
        for (bin, (y, winner)) in y.iter_mut().zip(winners).enumerate() {
            let (rows, columns) = geometry.bin(region, bin, max_span);
            let is_empty = rows.is_empty() || columns.is_empty();
            (*y, *winner) = (if is_empty { 0.0 } else { f32::MIN }, NONE);
            for row in rows {
                let start = row * geometry.width;
                for (column, &value) in columns.clone().zip(&x[start + columns.start..]) {
                    if value > *y {
                        (*y, *winner) = (value, (start + column) as u32);
                    }
                }
            }
        }
    });
}

pub(super) fn max_backward(geometry: &Geometry, regions: &[Region], dy: &[f32], winners: &[u32], dx: &mut [f32]) {
    let (bins, channels) = (geometry.all_bins(), geometry.channels);
    dx.par_chunks_mut(geometry.plane()).enumerate().for_each(|(number, dx)| {
        dx.fill(0.0);
        let (image, channel) = (number / channels, number % channels);
        for (region, _) in regions.iter().enumerate().filter(|(_, region)| region.image == image) {
            let start = (region * channels + channel) * bins;
            for (dy, &winner) in dy[start..start + bins].iter().zip(&winners[start..start + bins]) {
                // `NONE` is outside every plane.
                if let Some(dx) = dx.get_mut(winner as usize) {
                    *dx += dy;
                }
            }
        }
    });
}

pub(super) fn average_forward(geometry: &Geometry, regions: &[Region], x: &[f32], y: &mut [f32]) {
    let (bins, plane) = (geometry.all_bins(), geometry.plane());
    let results = geometry.channels / bins;
    y.par_chunks_mut(bins).enumerate().for_each(|(output, y)| {
        let region = &regions[output / results];
        for (bin, y) in y.iter_mut().enumerate() {
            let channel = output % results * bins + bin;
            let x = &x[(region.image * geometry.channels + channel) * plane..][..plane];
            let (rows, columns) = geometry.bin(region, bin, average_span);
            let area = (rows.len() * columns.len()) as f32;
            let mut sum = 0.0;
            for row in rows {
                sum += x[row * geometry.width..][columns.clone()].iter().sum::<f32>();
            }
            *y = if area == 0.0 { 0.0 } else { sum / area };
        }
    });
}

pub(super) fn average_backward(geometry: &Geometry, regions: &[Region], dy: &[f32], dx: &mut [f32]) {
    let (bins, channels) = (geometry.all_bins(), geometry.channels);
    let results = channels / bins;
    dx.par_chunks_mut(geometry.plane()).enumerate().for_each(|(number, dx)| {
        dx.fill(0.0);
        let (image, channel) = (number / channels, number % channels);
        let (result, bin) = (channel / bins, channel % bins);
        for (index, region) in regions.iter().enumerate().filter(|(_, region)| region.image == image) {
            let (rows, columns) = geometry.bin(region, bin, average_span);
            let share = dy[(index * results + result) * bins + bin] / (rows.len() * columns.len()) as f32;
            for row in rows {
                dx[row * geometry.width..][columns.clone()].iter_mut().for_each(|dx| *dx += share);
            }
        }
    });
}
