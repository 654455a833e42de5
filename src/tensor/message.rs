//! Blobs as messages: `BlobProto` with its present and its old shape fields.

use std::borrow::Cow;

use super::{Blob, Shape};
use crate::proto::{BlobProto, BlobShape};

impl BlobProto {
    /// The shape; messages of Caffe's early days give `num`, `channels`, `height`, `width` instead.
    pub fn dims(&self) -> Shape {
        match &self.shape {
            _ if self.has_old_shape() => {
                let dims = [self.num(), self.channels(), self.height(), self.width()];
                Shape::from(dims.map(|dim| dim.max(0) as usize))
            }
            Some(shape) => Shape::new(shape.dim.iter().map(|&dim| dim.max(0) as usize).collect::<Vec<_>>()),
            None => Shape::scalar(),
        }
    }

    /// The values as f32, from whichever field holds them.
    pub fn values(&self) -> Cow<'_, [f32]> {
        if self.double_data.is_empty() {
            Cow::Borrowed(&self.data)
        } else {
            Cow::Owned(self.double_data.iter().map(|&value| value as f32).collect())
        }
    }

    /// Whether the message's shape is this one; an old four-dimensional shape matches one with leading ones left out.
    pub fn fits(&self, shape: &Shape) -> bool {
        let dims = self.dims();
        if !self.has_old_shape() {
            return dims == *shape;
        }
        let missing = 4usize.saturating_sub(shape.axes());
        shape.axes() <= 4
            && dims.dims()[..missing].iter().all(|&dim| dim == 1)
            && dims.dims()[missing..] == *shape.dims()
    }

    fn has_old_shape(&self) -> bool {
        self.num.is_some() || self.channels.is_some() || self.height.is_some() || self.width.is_some()
    }
}

impl Blob {
    /// The blob as a message, with its gradient if asked for.
    pub fn to_message(&self, with_diff: bool) -> BlobProto {
        let shape = BlobShape { dim: self.shape().dims().iter().map(|&dim| dim as i64).collect() };
        let diff = if with_diff { self.diff().host().to_vec() } else { Vec::new() };
        BlobProto { shape: Some(shape), data: self.data().host().to_vec(), diff, ..BlobProto::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_shapes_match_with_leading_ones() {
        let old =
            BlobProto { num: Some(1), channels: Some(1), height: Some(10), width: Some(20), ..BlobProto::default() };
        assert!(old.fits(&Shape::from([10, 20])) && old.fits(&Shape::from([1, 1, 10, 20])));
        assert!(!old.fits(&Shape::from([20, 10])) && !old.fits(&Shape::from([10])));
        let new = Blob::new(Shape::from([10, 20])).to_message(false);
        assert!(new.fits(&Shape::from([10, 20])) && !new.fits(&Shape::from([1, 1, 10, 20])));
    }

    #[test]
    fn doubles_are_read() {
        let message = BlobProto { double_data: vec![1.5, 2.5], ..BlobProto::default() };
        assert_eq!(&*message.values(), &[1.5, 2.5]);
    }
}
