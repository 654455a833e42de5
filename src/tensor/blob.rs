//! Data and its gradient under one shape.

use ndarray::ArrayD;

use super::{Buffer, Shape};

/// Values (`data`) and the gradient of the loss with respect to them (`diff`), both of one shape.
#[derive(Debug, Clone)]
pub struct Blob {
    shape: Shape,
    data: Buffer,
    diff: Buffer,
}

impl Default for Blob {
    /// A scalar of its own, zero.
    fn default() -> Self {
        Blob::new(Shape::default())
    }
}

impl Blob {
    /// A blob of this shape, all zero.
    pub fn new(shape: Shape) -> Self {
        let count = shape.count();
        Blob { shape, data: Buffer::zeros(count), diff: Buffer::zeros(count) }
    }

    /// A blob that is a view of these buffers.
    ///
    /// # Panics
    /// When a buffer's length is not the shape's count.
    pub fn from_buffers(shape: Shape, data: Buffer, diff: Buffer) -> Self {
        assert_eq!((data.len(), diff.len()), (shape.count(), shape.count()), "buffers do not fit shape {shape}");
        Blob { shape, data, diff }
    }

    /// The dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The dimension along `axis`.
    pub fn dim(&self, axis: usize) -> usize {
        self.shape.dims()[axis]
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        self.shape.count()
    }

    /// The values.
    pub fn data(&self) -> &Buffer {
        &self.data
    }

    /// The gradient.
    pub fn diff(&self) -> &Buffer {
        &self.diff
    }

    /// Takes a new shape; memory grows when it must and is kept otherwise.
    pub fn reshape(&mut self, shape: &Shape) {
        if self.shape != *shape || self.data.len() != shape.count() {
            self.shape = shape.clone();
            self.data.resize(shape.count());
            self.diff.resize(shape.count());
        }
    }

    /// From now on this blob's data is the other's memory.
    pub fn share_data(&mut self, other: &Blob) {
        self.data = other.data.slice(0, self.shape.count());
    }

    /// From now on this blob's diff is the other's memory.
    pub fn share_diff(&mut self, other: &Blob) {
        self.diff = other.diff.slice(0, self.shape.count());
    }

    /// From now on this blob's data are the beginning of that memory.
    ///
    /// # Panics
    /// When the memory is too small.
    pub fn place_data(&mut self, memory: &Buffer) {
        self.data = memory.slice(0, self.shape.count());
    }

    /// From now on this blob's diff is the beginning of that memory.
    ///
    /// # Panics
    /// When the memory is too small.
    pub fn place_diff(&mut self, memory: &Buffer) {
        self.diff = memory.slice(0, self.shape.count());
    }

    /// A copy of the data as an array of the blob's shape.
    pub fn data_array(&self) -> ArrayD<f32> {
        array(&self.shape, &self.data)
    }

    /// A copy of the gradient as an array of the blob's shape.
    pub fn diff_array(&self) -> ArrayD<f32> {
        array(&self.shape, &self.diff)
    }
}

fn array(shape: &Shape, buffer: &Buffer) -> ArrayD<f32> {
    // The buffer's length is the shape's count: every constructor and `reshape` keep it so.
    ArrayD::from_shape_vec(shape.dims(), buffer.host().to_vec()).expect("a blob's buffers fit its shape")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_changes_shape_and_arrays() {
        let mut blob = Blob::new(Shape::from([2, 2]));
        blob.data().host_mut()[3] = 7.0;
        blob.reshape(&Shape::from([4, 1]));
        assert_eq!(blob.data_array()[[3, 0]], 7.0);
        assert_eq!(blob.diff_array().shape(), &[4, 1]);
    }
}
