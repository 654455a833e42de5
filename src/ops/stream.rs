//! Traffic between the processor and memory: large results go past the caches, operands are asked for ahead.
//!
//! A plain store reads the line that it writes, and puts it in the place of others in the cache. [`Stream`] saves both, for results
//! that would have left the caches before they are read.

/// Bytes of a line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Writes one task's parts of a result.
#[derive(Debug)]
pub(crate) struct Stream {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "others have no such stores"))]
    is_past_caches: bool,
}

impl Stream {
    /// For a result that is larger than caches, or not.
    pub fn new(is_large: bool) -> Self {
        Stream { is_past_caches: cfg!(target_arch = "x86_64") && is_large }
    }

    /// y = x; past the caches where y is whole lines, as lines that are written in parts cost more than they save.
    ///
    /// # Panics
    /// When they are not of one length.
    #[inline]
    pub fn copy(&self, x: &[f32], y: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if self.is_past_caches && y.as_ptr().addr().is_multiple_of(LINE) && y.len().is_multiple_of(LINE / 4) {
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

/// y = x, which are whole lines, past the caches.
#[cfg(target_arch = "x86_64")]
fn past_caches(x: &[f32], y: &mut [f32]) {
    use std::arch::x86_64::{_mm_loadu_ps, _mm_stream_ps, _mm512_loadu_ps, _mm512_stream_ps};

    /// Copies 16 values.
    #[target_feature(enable = "avx512f")]
    fn wide(x: &[[f32; 16]], y: &mut [[f32; 16]]) {
        for (x, y) in x.iter().zip(y) {
            // SAFETY: both are 16 values, and those of y a line, as `copy` asked.
            unsafe { _mm512_stream_ps(y.as_mut_ptr(), _mm512_loadu_ps(x.as_ptr())) }
        }
    }

    assert_eq!(x.len(), y.len(), "a copy of another length");
    let (x, y) = (x.as_chunks().0, y.as_chunks_mut().0);
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
    use crate::tensor::Buffer;

    #[test]
    fn copies_are_whole_wherever_they_begin() {
        let x: Vec<f32> = (0..200).map(|value| value as f32).collect();
        for stream in [true, false].map(Stream::new) {
            for (start, len) in [(0, 0), (0, 64), (0, 200), (3, 5), (1, 64), (7, 150), (16, 32), (16, 33)] {
                let y = Buffer::zeros(200);
                let mut y = y.host_mut();
                y.fill(-1.0);
                stream.copy(&x[200 - len..], &mut y[start..start + len]);
                assert_eq!(y[start..start + len], x[200 - len..], "{stream:?}, {len} values at {start}");
                assert!(y[..start].iter().chain(&y[start + len..]).all(|&y| y == -1.0), "{stream:?}: wrote beside");
            }
        }
    }
}
