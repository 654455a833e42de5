//! A card's memory, and the pool that keeps what is given back.

use std::collections::BTreeMap;

use cudarc::driver::result;

use super::{Card, Pointer};

/// A range of a card's memory; given back when it is dropped.
#[derive(Debug)]
pub struct Memory {
    card: &'static Card,
    address: u64,
    bytes: usize,
}

impl Memory {
    /// Asks a card for so many bytes, whose values are not defined. When it has none, the failure stays with the card.
    pub fn new(card: &'static Card, bytes: usize) -> Self {
        Memory { card, address: card.allocate(bytes), bytes }
    }

    /// The card that has it.
    pub fn card(&self) -> &'static Card {
        self.card
    }

    /// Where it begins.
    pub fn pointer(&self) -> Pointer {
        Pointer(self.address)
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.card.give_back(self.address, self.bytes);
    }
}

/// Memory that was given back, by its size: the card's own allocation waits for all that runs. What uses the same memory next comes behind
/// in the stream, so that nothing has to be waited for.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: BTreeMap<usize, Vec<u64>>,
    /// Bytes that are in use.
    pub used: usize,
    /// How often the card was asked.
    pub allocations: u64,
}

impl Pool {
    /// So many bytes, from the pool or from the card.
    ///
    /// # Errors
    /// When the card has no more, even after it got back what the pool keeps.
    pub fn take(&mut self, bytes: usize) -> Result<u64, result::DriverError> {
        if bytes == 0 {
            return Ok(0);
        }
        if let Some(address) = self.free.get_mut(&bytes).and_then(Vec::pop) {
            self.used += bytes;
            return Ok(address);
        }
        self.allocations += 1;
        // SAFETY: the context is current; memory that is not defined is what the caller asked for.
        let address = unsafe { result::malloc_sync(bytes) }.or_else(|_| {
            self.clear();
            // SAFETY: as above.
            unsafe { result::malloc_sync(bytes) }
        })?;
        self.used += bytes;
        Ok(address)
    }

    /// Takes memory back.
    pub fn put(&mut self, address: u64, bytes: usize) {
        if address != 0 {
            self.used -= bytes;
            self.free.entry(bytes).or_default().push(address);
        }
    }

    /// Gives the card back what is free.
    pub fn clear(&mut self) {
        for address in std::mem::take(&mut self.free).into_values().flatten() {
            // SAFETY: the address came from the card, and nothing holds it any more; the call waits for what still runs. Were it to fail, the
            // memory would be lost until the program ends.
            let _ = unsafe { result::free_sync(address) };
        }
    }
}
