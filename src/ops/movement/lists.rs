//! Lists of what goes where, on the host and on a card.

use crate::tensor::Synced;

/// A run of values: where it begins in the source, and where in the destination.
pub type Move = (usize, usize);

/// Runs that are moved one after another.
#[derive(Debug, Default)]
pub struct Moves {
    list: Vec<Move>,
    /// The same as pairs of numbers.
    pairs: Synced<u32>,
}

impl Moves {
    /// From now on these.
    pub fn set(&mut self, moves: impl IntoIterator<Item = Move>) {
        self.list.clear();
        self.list.extend(moves);
        self.pairs.grow(2 * self.list.len());
        for (pair, &(from, to)) in self.pairs.host_mut().chunks_exact_mut(2).zip(&self.list) {
            (pair[0], pair[1]) = (from as u32, to as u32);
        }
    }

    /// The list.
    pub fn list(&self) -> &[Move] {
        &self.list
    }

    pub(super) fn pairs(&self) -> &Synced<u32> {
        &self.pairs
    }
}

/// In a [`Table`]: no source, the value is 0.
pub const NOWHERE: u32 = u32::MAX;

/// For each value of a plane of the result, its place in a plane of the source.
#[derive(Debug, Default)]
pub struct Table {
    /// Values of a plane of the source.
    length: usize,
    entries: Vec<u32>,
    on_card: Synced<u32>,
    /// The other way round: entry `i` of the table names place `p` where `i` is one of `order[starts[p]..starts[p + 1]]`.
    order: Synced<u32>,
    starts: Synced<u32>,
}

impl Table {
    /// From now on these entries, of planes of `length` values.
    pub fn set(&mut self, length: usize, entries: impl IntoIterator<Item = u32>) {
        self.length = length;
        self.entries.clear();
        self.entries.extend(entries);
        let mut order: Vec<u32> = (0..self.entries.len() as u32).collect();
        order.retain(|&entry| (self.entries[entry as usize] as usize) < length);
        // Stable: each place's entries stay in the table's order, in which the CPU adds them up.
        order.sort_by_key(|&entry| self.entries[entry as usize]);
        let place = |&entry: &u32| self.entries[entry as usize] as usize;
        let starts: Vec<u32> =
            (0..=length).map(|end| order.partition_point(|entry| place(entry) < end) as u32).collect();
        self.starts = Synced::from(starts);
        self.on_card = Synced::from(self.entries.clone());
        self.order = Synced::from(order);
    }

    /// Values of a plane of the source.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The entries.
    pub fn entries(&self) -> &[u32] {
        &self.entries
    }

    /// Entries, their order by place, and where each place's begin.
    pub(super) fn on_card(&self) -> [&Synced<u32>; 3] {
        [&self.on_card, &self.order, &self.starts]
    }
}
