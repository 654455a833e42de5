//! Memory that each thread keeps for packing, so that no iteration allocates.

use std::cell::Cell;

/// Sixteen values on a cache line's boundary.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "read as part of a slice")] [f32; 16]);

/// f32 memory that begins on a cache line and grows when asked for more.
#[derive(Debug, Default)]
pub(crate) struct Scratch(Vec<Line>);

impl Scratch {
    /// `len` values, whatever they held.
    pub fn take(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(16);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0.0; 16]));
        }
        // SAFETY: a `Line` is sixteen f32 without padding, and there are at least `len` values.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast::<f32>(), len) }
    }
}

thread_local! {
    static SCRATCH: Cell<Vec<Scratch>> = const { Cell::new(Vec::new()) };
}

/// Lends memory of this thread. Calls may nest: each gets memory of its own.
pub(crate) fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.with(|kept| {
        let mut all = kept.take();
        let one = all.pop().unwrap_or_default();
        kept.set(all);
        one
    });
    let result = work(&mut scratch);
    SCRATCH.with(|kept| {
        let mut all = kept.take();
        all.push(scratch);
        kept.set(all);
    });
    result
}
