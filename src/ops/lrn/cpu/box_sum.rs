//! Sums over the square around every value of a plane.

use super::LANES;

/// Above this radius, running sums take less time than sums by shifts.
const WIDE: usize = 16;

/// The scratch memory that [`box_sum`] takes for a plane of `area` values.
pub(super) fn scratch_of(area: usize, width: usize, radius: usize) -> usize {
    if radius > WIDE {
        return area;
    }
    let (pitch, height) = (width + radius, area / width);
    2 * ((height + 2 * radius) * pitch + radius).next_multiple_of(LANES) + 2 * radius
}

/// `sums[i]` = sum of `of(value)` over the square of `2·radius + 1` rows and columns around i, zero beyond the edges. First along
/// the rows, then down the columns; every row is `width` values.
#[inline(always)]
pub(super) fn box_sum(
    values: &[f32],
    of: impl Fn(f32) -> f32,
    scratch: &mut [f32],
    sums: &mut [f32],
    width: usize,
    radius: usize,
) {
    if radius > WIDE {
        return wide_box_sum(values, of, scratch, sums, width, radius);
    }
    // Rows with zeros behind them, which are in front of the next row too, and rows of zeros above and below: so all rows
    // together are one long row.
    let (pitch, height) = (width + radius, values.len() / width);
    let (padded, along) = scratch.split_at_mut(scratch.len() / 2 + radius);
    padded.fill(0.0);
    for (row, values) in padded[radius * (pitch + 1)..].chunks_mut(pitch).zip(values.chunks_exact(width)) {
        row.iter_mut().zip(values).for_each(|(padded, &value)| *padded = of(value));
    }
    for (block, along) in along.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        *along = add_up(padded, block * LANES, 1, radius);
    }
    for (row, sums) in sums.chunks_exact_mut(width).take(height).enumerate() {
        let (blocks, rest) = sums.as_chunks_mut::<LANES>();
        let start = row * pitch;
        for (block, sums) in blocks.iter_mut().enumerate() {
            *sums = add_up(along, start + block * LANES, pitch, radius);
        }
        let start = start + blocks.len() * LANES;
        for (place, sum) in rest.iter_mut().enumerate() {
            *sum = along[start + place..].iter().step_by(pitch).take(2 * radius + 1).sum();
        }
    }
}

/// Adds up `2·radius + 1` vectors, from `start` on, `step` values apart.
#[inline(always)]
fn add_up(values: &[f32], start: usize, step: usize, radius: usize) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for shift in 0..2 * radius + 1 {
        let values = &values[start + shift * step..][..LANES];
        for lane in 0..LANES {
            sums[lane] += values[lane];
        }
    }
    sums
}

/// The same as [`box_sum`] in a time that does not depend on the radius: running sums, in f64 to stay exact.
fn wide_box_sum(
    values: &[f32],
    of: impl Fn(f32) -> f32,
    rows: &mut [f32],
    sums: &mut [f32],
    width: usize,
    radius: usize,
) {
    for (row, values) in rows.chunks_exact_mut(width).zip(values.chunks_exact(width)) {
        run_sum(|at| of(values[at]), width, radius, |at, sum| row[at] = sum);
    }
    let height = values.len() / width;
    for column in 0..width {
        run_sum(|at| rows[at * width + column], height, radius, |at, sum| sums[at * width + column] = sum);
    }
}

/// Writes for each of `count` places the sum of the values at most `radius` away.
fn run_sum(value: impl Fn(usize) -> f32, count: usize, radius: usize, mut write: impl FnMut(usize, f32)) {
    let mut sum: f64 = (0..count.min(radius)).map(|at| f64::from(value(at))).sum();
    for at in 0..count {
        if at + radius < count {
            sum += f64::from(value(at + radius));
        }
        write(at, sum as f32);
        if at >= radius {
            sum -= f64::from(value(at - radius));
        }
    }
}
