//! A range of f32 memory that several blobs may hold.

use std::sync::Arc;

use atomic_refcell::{AtomicRef, AtomicRefMut};

use super::{Device, Synced};
use crate::cuda::{Card, Pointer};

/// A borrow of a buffer's values on the host.
pub type HostRef<'a> = AtomicRef<'a, [f32]>;

/// An exclusive borrow of a buffer's values on the host.
pub type HostMut<'a> = AtomicRefMut<'a, [f32]>;

/// A handle to `len` values of a block of memory; cloning the handle shares the memory.
///
/// The block as a whole is borrowed and moved, not the range: two ranges of one block cannot both be borrowed for writing on the host,
/// nor one for reading while another is written. All learnable parameters of a net are ranges of one block, so a layer writes one
/// parameter gradient at a time.
#[derive(Clone, Default)]
pub struct Buffer {
    block: Arc<Synced<f32>>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// A buffer of its own, all zero.
    pub fn zeros(len: usize) -> Self {
        Buffer { block: Arc::new(Synced::zeros(len)), start: 0, len }
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values on the host.
    ///
    /// # Panics
    /// When the block is borrowed for writing at this moment: a layer that reads what it writes must ask
    /// [`Buffer::is_same`] first.
    pub fn host(&self) -> HostRef<'_> {
        AtomicRef::map(self.block.host(), |block| &block[self.start..self.start + self.len])
    }

    /// The values on the host, to be written.
    ///
    /// # Panics
    /// When the block is borrowed at this moment.
    pub fn host_mut(&self) -> HostMut<'_> {
        AtomicRefMut::map(self.block.host_mut(), |block| &mut block[self.start..self.start + self.len])
    }

    /// The values on the host, all of which are to be written: those on a card are not fetched, unless others lie in the same block.
    ///
    /// # Panics
    /// When the block is borrowed at this moment.
    pub fn host_anew(&self) -> HostMut<'_> {
        let is_whole = self.start == 0 && self.len == self.block.len();
        let block = if is_whole { self.block.host_anew() } else { self.block.host_mut() };
        AtomicRefMut::map(block, |block| &mut block[self.start..self.start + self.len])
    }

    /// Where the values lie on a card, to be read there by what is launched next.
    ///
    /// # Panics
    /// When the block is borrowed on the host for writing at this moment.
    pub fn device(&self, card: &'static Card) -> Pointer {
        self.block.device(card).at(self.start)
    }

    /// Where the values lie on a card, to be written there by what is launched next; those that are not written stay.
    ///
    /// # Panics
    /// When the block is borrowed on the host at this moment.
    pub fn device_mut(&self, card: &'static Card) -> Pointer {
        self.block.device_mut(card).at(self.start)
    }

    /// Moves the values there now, so that what runs later need not wait for them.
    pub fn bring_to(&self, device: Device) {
        if let Device::Cuda(card) = device {
            self.device(card);
        }
    }

    /// Says that what runs there next writes the values, from now on the newest; also where a recorded pass does, which asks nobody.
    pub fn will_be_written_on(&self, device: Device) {
        if let Device::Cuda(card) = device {
            self.device_mut(card);
        }
    }

    /// The range `start..start + len` of this buffer, sharing its memory.
    ///
    /// # Panics
    /// When the range does not lie in the buffer.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Self {
        assert!(start + len <= self.len, "range {start}+{len} outside a buffer of {}", self.len);
        Buffer { block: Arc::clone(&self.block), start: self.start + start, len }
    }

    /// Whether both handles begin at the same value of the same block: an in-place layer's bottom and top do.
    pub fn is_same(&self, other: &Buffer) -> bool {
        Arc::ptr_eq(&self.block, &other.block) && self.start == other.start
    }

    /// Changes the number of values; the block grows (with zeros) when it must and never shrinks.
    pub fn resize(&mut self, len: usize) {
        self.block.grow(self.start + len);
        self.len = len;
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        let len = values.len();
        Buffer { block: Arc::new(Synced::from(values)), start: 0, len }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Buffer({}+{})", self.start, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_memory() {
        let all = Buffer::zeros(6);
        let tail = all.slice(4, 2);
        tail.host_mut().copy_from_slice(&[1.0, 2.0]);
        assert_eq!(&*all.host(), &[0.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
        assert!(all.is_same(&all.slice(0, 1)) && !all.is_same(&tail));
    }

    #[test]
    fn resize_keeps_values_and_sharing() {
        let mut one = Buffer::from(vec![1.0, 2.0]);
        let other = one.clone();
        one.resize(3);
        one.host_mut()[0] = 5.0;
        assert_eq!((&*one.host(), &*other.host()), (&[5.0, 2.0, 0.0][..], &[5.0, 2.0][..]));
    }
}
