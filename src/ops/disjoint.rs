//! One slice that several tasks write, each in ranges of its own that need not lie side by side.

use std::{marker::PhantomData, ops::Range};

/// A slice whose ranges are handed out to tasks.
pub(crate) struct Disjoint<'a> {
    start: *mut f32,
    len: usize,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: the slice is borrowed exclusively for 'a; who asks for a range answers for no one else having it.
unsafe impl Send for Disjoint<'_> {}
// SAFETY: the same.
unsafe impl Sync for Disjoint<'_> {}

impl<'a> Disjoint<'a> {
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Disjoint { start: values.as_mut_ptr(), len: values.len(), values: PhantomData }
    }

    /// The values of a range.
    ///
    /// # Safety
    /// While the result lives, no other range that is handed out holds one of its values.
    ///
    /// # Panics
    /// When the range does not lie in the slice.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "ranges that do not overlap, as the caller promises")]
    pub(crate) unsafe fn range(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "range outside the slice");
        // SAFETY: the range lies in the slice, which is borrowed for 'a; the caller answers for the rest.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}
