//! Traffic between the processor and memory: results that no one reads soon go past the caches, operands are asked for ahead.
//!
//! A plain store reads the line that it writes, and puts it in the place of others in the cache. Where results are larger than
//! caches and come back much later, [`Stream`] saves both.

/// Bytes of a line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// The least values of a result that goes past the caches.
const LARGE: usize = 1 << 17;

/// Writes one task's parts of a result that is read much later.
#[derive(Debug)]
pub(crate) struct Stream {
    is_past_caches: bool,
}

impl Stream {
    /// For a result of so many values, of which each task writes runs of `run` values.
    pub fn new(values: usize, run: usize) -> Self {
        // Lines that are written in parts cost more than they save.
        Stream { is_past_caches: cfg!(target_arch = "x86_64") && values >= LARGE && run.is_multiple_of(16) }
    }

    /// y = x.
    ///
    /// # Panics
    /// When they are not of one length.
    #[inline]
    pub fn copy(&self, x: &[f32], y: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if self.is_past_caches {
            return past_caches(x, y);
        }
        y.copy_from_slice(x);
    }
}

impl Drop for Stream {
    /// Others see what was written once the task is done.
    #[inline]
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.is_past_caches {
            // SAFETY: part of every processor of this architecture.
            unsafe { std::arch::x86_64::_mm_sfence() }
        }
    }
}

/// y = x, whole lines of y past the caches.
#[cfg(target_arch = "x86_64")]
fn past_caches(x: &[f32], y: &mut [f32]) {
    use std::arch::x86_64::{_mm_loadu_ps, _mm_stream_ps, _mm512_loadu_ps, _mm512_stream_ps};

    /// Copies 16 values.
    #[target_feature(enable = "avx512f")]
    fn wide(x: &[[f32; 16]], y: &mut [[f32; 16]]) {
        for (x, y) in x.iter().zip(y) {
            // SAFETY: both are 16 values, and those of y a line: `past_caches` cut them so.
            unsafe { _mm512_stream_ps(y.as_mut_ptr(), _mm512_loadu_ps(x.as_ptr())) }
        }
    }

    assert_eq!(x.len(), y.len(), "a copy of another length");
    let head = y.as_ptr().align_offset(LINE).min(y.len());
    let ((x_head, x), (y_head, y)) = (x.split_at(head), y.split_at_mut(head));
    let ((x, x_tail), (y, y_tail)) = (x.as_chunks::<16>(), y.as_chunks_mut::<16>());
    y_head.copy_from_slice(x_head);
    y_tail.copy_from_slice(x_tail);
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: just asked for.
        return unsafe { wide(x, y) };
    }
    for (x, y) in x.iter().zip(y) {
        for part in (0..16).step_by(4) {
            // SAFETY: four values of each, those of y at a quarter of a line.
            unsafe { _mm_stream_ps(y[part..].as_mut_ptr(), _mm_loadu_ps(x[part..].as_ptr())) }
        }
    }
}

/// Asks for values that are read soon.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LINE / 4) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: the address is one of a value.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_whole_wherever_they_begin() {
        let x: Vec<f32> = (0..200).map(|value| value as f32).collect();
        for stream in [Stream::new(LARGE, 64), Stream::new(LARGE, 7), Stream::new(1, 64)] {
            for (start, len) in [(0, 0), (0, 200), (3, 5), (1, 64), (7, 150), (16, 33)] {
                let mut y = vec![-1.0; 200];
                stream.copy(&x[200 - len..], &mut y[start..start + len]);
                assert_eq!(y[start..start + len], x[200 - len..], "{stream:?}, {len} values at {start}");
                assert!(y[..start].iter().chain(&y[start + len..]).all(|&y| y == -1.0), "{stream:?}: wrote beside");
            }
        }
    }
}
