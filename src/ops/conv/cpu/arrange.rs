//! The copy of a source that makes every tap a constant offset: see the head of `geometry.rs`.

use std::{cell::Cell, ops::Range};

use super::{
    super::geometry::GridAxis,
    plan::{Plan, Task},
};
use crate::ops::gemm::{
    Kernel,
    gather::{Lay, NO_ROW},
    scratch::Scratch,
};

thread_local! {
    static ROWS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// The channels of a task's images as the plan lays them out, and the distance between images: the source itself, or a copy
/// in scratch memory.
#[allow(clippy::too_many_arguments)]
pub(super) fn arranged<'a>(
    kernel: &Kernel,
    plan: &Plan,
    task: &Task,
    source: &'a [f32],
    all_channels: usize,
    channels: Range<usize>,
    scratch: &'a mut Scratch,
) -> (&'a [f32], usize) {
    let source_plane: usize = plan.grid.axes.iter().map(|axis| axis.source).product();
    let source_image = all_channels * source_plane;
    let first = task.images.start * source_image + channels.start * source_plane;
    if plan.layout.in_place {
        return (&source[first..], source_image);
    }
    let image = channels.len() * plan.layout.plane;
    let copy = scratch.take(task.images.len() * image);
    let rows = Rows::new(plan, task);
    for (number, copy) in copy.chunks_exact_mut(image).enumerate() {
        let source = &source[first + number * source_image..][..channels.len() * source_plane];
        let planes = source.chunks_exact(source_plane).zip(copy.chunks_exact_mut(plan.layout.plane));
        planes.for_each(|(source, copy)| rows.copy(kernel, source, copy));
    }
    rows.keep();
    (copy, image)
}

/// What the planes of one task have in common: where each row of the copy lies in the source, and which part of it.
struct Rows<'a> {
    rows: Vec<u32>,
    inner: &'a GridAxis,
    /// Columns of the innermost axis to skip.
    skip: usize,
    /// Length of a part of a row.
    len: usize,
}

impl<'a> Rows<'a> {
    fn new(plan: &'a Plan, task: &Task) -> Self {
        let mut rows = ROWS.take();
        rows.clear();
        let axes = &plan.grid.axes;
        list_rows(axes, &plan.layout.lengths, task.band.start, Some(0), &mut rows);
        let skip = if axes.len() == 1 { task.band.start } else { 0 };
        let inner = axes.len() - 1;
        Rows { rows, inner: &axes[inner], skip, len: plan.layout.lengths[inner] }
    }

    /// Gives the list's memory back for the next task.
    fn keep(self) {
        ROWS.set(self.rows);
    }

    /// Copies one plane.
    fn copy(&self, kernel: &Kernel, source: &[f32], copy: &mut [f32]) {
        let GridAxis { stride, firsts, .. } = self.inner;
        let pitch = firsts.len() * self.len;
        assert!(self.rows.len() * pitch <= copy.len(), "a copy outside its memory");
        let last_row = self.rows.iter().filter(|row| **row != NO_ROW).max().map_or(0, |row| *row as usize);
        for (part, first) in firsts.iter().enumerate() {
            let first = first + (self.skip * stride) as isize;
            let before = ((-first).max(0) as usize).div_ceil(*stride).min(self.len);
            let start = (first + (before * stride) as isize) as usize;
            let count = self.inner.source.saturating_sub(start).div_ceil(*stride).min(self.len - before);
            assert!(count == 0 || last_row + start + (count - 1) * stride < source.len(), "a row outside its plane");
            let lay = Lay {
                source: source.as_ptr().wrapping_add(start),
                rows: &self.rows,
                step: *stride,
                before,
                count,
                len: self.len,
                copy: copy[part * self.len..].as_mut_ptr(),
                pitch,
            };
            // SAFETY: values and room were just checked.
            unsafe { (kernel.lay)(&lay) };
        }
    }
}

/// Lists where the rows of the copy begin in the source plane, for the outer axes.
fn list_rows(axes: &[GridAxis], lengths: &[usize], skip: usize, at: Option<usize>, rows: &mut Vec<u32>) {
    let ([axis, inner @ ..], [length, inner_lengths @ ..]) = (axes, lengths) else { return };
    if inner.is_empty() {
        rows.push(at.map_or(NO_ROW, |at| at as u32));
        return;
    }
    let stride: usize = inner.iter().map(|axis| axis.source).product();
    for first in &axis.firsts {
        for index in skip..skip + length {
            let position = first + (index * axis.stride) as isize;
            let inside = at.filter(|_| (0..axis.source as isize).contains(&position));
            list_rows(inner, inner_lengths, 0, inside.map(|at| at + position as usize * stride), rows);
        }
    }
}
