//! What `Concat` and `Slice` share: one whole blob and its pieces along an axis.

use crate::{
    error::{Error, Result},
    ops::movement::{self, Runs, Spacing},
    tensor::{Buffer, Device, Shape},
};

/// How the pieces lie in the whole.
#[derive(Debug, Default)]
pub struct Joints {
    /// The number of runs: the product of the dimensions before the axis.
    runs: usize,
    /// Values of one run of the whole.
    whole: usize,
    /// For each piece, where its runs begin in those of the whole, and their length.
    pieces: Vec<(usize, usize)>,
}

impl Joints {
    /// Pieces of these extents along `axis` of a whole of this shape.
    pub fn set(&mut self, whole: &Shape, axis: usize, extents: impl Iterator<Item = usize>) {
        let inner = whole.count_from(axis + 1);
        self.runs = whole.count_before(axis);
        self.whole = whole.count_from(axis);
        self.pieces.clear();
        let mut start = 0;
        for extent in extents {
            self.pieces.push((start, extent * inner));
            start += extent * inner;
        }
    }

    /// Copies a piece to its place in the whole.
    pub fn put(&self, device: Device, piece: usize, from: &Buffer, whole: &Buffer) {
        let (inside, apart) = self.spacings(piece);
        movement::copy_runs(device, Runs { from: apart, to: inside, ..self.runs(piece) }, from, whole);
    }

    /// Copies a piece out of its place in the whole.
    pub fn take(&self, device: Device, piece: usize, whole: &Buffer, to: &Buffer) {
        let (inside, apart) = self.spacings(piece);
        movement::copy_runs(device, Runs { from: inside, to: apart, ..self.runs(piece) }, whole, to);
    }

    fn spacings(&self, piece: usize) -> (Spacing, Spacing) {
        let (start, length) = self.pieces[piece];
        (Spacing { start, step: self.whole }, Spacing { start: 0, step: length })
    }

    fn runs(&self, piece: usize) -> Runs {
        let (from, to) = self.spacings(piece);
        Runs { count: self.runs, length: self.pieces[piece].1, from, to }
    }
}

/// The axis that `axis` or its old form (`concat_dim`, `slice_dim`) names; the old form cannot count from the end.
///
/// # Errors
/// When both are given or the axis does not exist; `fields` are their names.
pub fn axis(shape: &Shape, axis: Option<i32>, old: Option<u32>, fields: [&str; 2]) -> Result<usize> {
    match (axis, old) {
        (Some(_), Some(_)) => {
            Err(Error::config(fields[1], format!("is the old form of {}; give one of them", fields[0])))
        }
        (None, Some(old)) => shape.axis(i32::try_from(old).unwrap_or(i32::MAX), fields[1]),
        (axis, None) => shape.axis(axis.unwrap_or(1), fields[0]),
    }
}
