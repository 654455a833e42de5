//! Memory that lies on the host, on a card, or on both, and moves when someone asks for it elsewhere.

use atomic_refcell::{AtomicRef, AtomicRefCell, AtomicRefMut};

use crate::cuda::{Card, Memory, Pointer};

/// A number as it lies in memory, on the host as on a card.
pub trait Plain: Copy + Default + Send + Sync + std::fmt::Debug + 'static {}

impl Plain for f32 {}
impl Plain for u32 {}
impl Plain for u8 {}

/// Values on the host, on a card or on both (Caffe's `SyncedMemory`). Who asks for them there gets them there: [`host`](Synced::host) and
/// [`device`](Synced::device) copy what is old, `host_mut` and `device_mut` make the other side old.
#[derive(Debug, Default)]
pub struct Synced<T> {
    block: AtomicRefCell<Block<T>>,
}

#[derive(Debug, Default)]
struct Block<T> {
    host: Aligned<T>,
    device: Option<Memory>,
    newest: Newest,
}

/// Where the values are as they were written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Newest {
    /// Nobody has written yet: zero everywhere, on a card as soon as there is memory for it.
    #[default]
    Nowhere,
    Host,
    Device,
    Both,
}

impl<T: Plain> Synced<T> {
    /// So many values, all zero.
    pub fn zeros(len: usize) -> Self {
        let block = Block { host: Aligned::zeros(len), device: None, newest: Newest::Nowhere };
        Synced { block: AtomicRefCell::new(block) }
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.block.borrow().host.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values on the host.
    ///
    /// # Panics
    /// When they are borrowed for writing at this moment.
    pub fn host(&self) -> AtomicRef<'_, [T]> {
        self.bring_to_host();
        AtomicRef::map(self.block.borrow(), |block| block.host.values())
    }

    /// The values on the host, to be written.
    ///
    /// # Panics
    /// When they are borrowed at this moment.
    pub fn host_mut(&self) -> AtomicRefMut<'_, [T]> {
        let mut block = self.block.borrow_mut();
        block.bring_to_host();
        block.newest = Newest::Host;
        AtomicRefMut::map(block, |block| block.host.values_mut())
    }

    /// The values on the host, all of which are to be written: those on a card are not fetched.
    ///
    /// # Panics
    /// When they are borrowed at this moment.
    pub fn host_anew(&self) -> AtomicRefMut<'_, [T]> {
        let mut block = self.block.borrow_mut();
        block.newest = Newest::Host;
        AtomicRefMut::map(block, |block| block.host.values_mut())
    }

    /// Where the values lie on a card, to be read there by what is launched next.
    ///
    /// # Panics
    /// When they are borrowed for writing at this moment.
    pub fn device(&self, card: &'static Card) -> Pointer {
        self.with_device(card, |_| ())
    }

    /// Where the values lie on a card, to be written there by what is launched next; those that are not written stay.
    ///
    /// # Panics
    /// When they are borrowed at this moment.
    pub fn device_mut(&self, card: &'static Card) -> Pointer {
        self.with_device(card, |block| block.newest = Newest::Device)
    }

    /// Changes the number of values; memory grows (with zeros) when it must and never shrinks.
    pub fn grow(&self, len: usize) {
        let mut block = self.block.borrow_mut();
        if len <= block.host.len {
            return;
        }
        // Memory that is all zero still is not copied: the system gives its pages out when they are first written.
        let is_written = block.newest != Newest::Nowhere;
        block.bring_to_host();
        let old = std::mem::replace(&mut block.host, Aligned::zeros(len));
        if is_written {
            block.host.values_mut()[..old.len].copy_from_slice(old.values());
        }
        block.device = None;
        if is_written {
            block.newest = Newest::Host;
        }
    }

    fn bring_to_host(&self) {
        let is_old = self.block.borrow().newest == Newest::Device;
        if is_old {
            self.block.borrow_mut().bring_to_host();
        }
    }

    fn with_device(&self, card: &'static Card, then: impl FnOnce(&mut Block<T>)) -> Pointer {
        let mut block = self.block.borrow_mut();
        block.bring_to_device(card);
        then(&mut block);
        block.device.as_ref().map_or(Pointer::NULL, Memory::pointer)
    }
}

impl<T: Plain> Block<T> {
    fn bring_to_host(&mut self) {
        if let (Newest::Device, Some(device)) = (self.newest, &self.device) {
            device.card().receive(device.pointer(), self.host.values_mut());
            self.newest = Newest::Both;
        }
    }

    fn bring_to_device(&mut self, card: &'static Card) {
        if self.device.as_ref().is_some_and(|device| *device.card() != *card) {
            self.bring_to_host();
            (self.device, self.newest) = (None, Newest::Host);
        }
        let bytes = size_of_val(self.host.values());
        let device = self.device.get_or_insert_with(|| Memory::new(card, bytes));
        match self.newest {
            Newest::Nowhere => card.clear(device.pointer(), bytes),
            Newest::Host => card.send(self.host.values(), device.pointer()),
            Newest::Device | Newest::Both => return,
        }
        self.newest = Newest::Both;
    }
}

impl<T: Plain> From<Vec<T>> for Synced<T> {
    fn from(values: Vec<T>) -> Self {
        let host = Aligned { start: 0, len: values.len(), memory: values };
        Synced { block: AtomicRefCell::new(Block { host, device: None, newest: Newest::Host }) }
    }
}

/// Values that begin on a cache line, when they were made as zeros: so do the runs that tasks write, where these are whole lines.
#[derive(Debug, Default)]
struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Plain> Aligned<T> {
    /// Bytes of a cache line.
    const LINE: usize = 64;

    fn zeros(len: usize) -> Self {
        if len == 0 {
            return Aligned::default();
        }
        let spare = Self::LINE / size_of::<T>() - 1;
        let memory = vec![T::default(); len + spare];
        // Where there is no telling, the first will do.
        let start = Some(memory.as_ptr().align_offset(Self::LINE)).filter(|start| *start <= spare).unwrap_or(0);
        Aligned { memory, start, len }
    }

    fn values(&self) -> &[T] {
        &self.memory[self.start..self.start + self.len]
    }

    fn values_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_and_keeps_its_values() {
        let values = Synced::from(vec![1_u32, 2]);
        values.grow(4);
        values.grow(3);
        values.host_mut()[3] = 7;
        assert_eq!(&*values.host(), &[1, 2, 0, 7]);
    }

    #[test]
    fn zeros_begin_on_a_line() {
        for len in [1, 5, 1000, 300_000] {
            let values = Synced::<f32>::zeros(len);
            assert!(values.host().as_ptr().addr().is_multiple_of(64), "{len} values");
            values.grow(2 * len);
            assert!(values.host().as_ptr().addr().is_multiple_of(64), "{len} values, grown");
        }
    }
}
