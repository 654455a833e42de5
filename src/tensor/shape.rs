//! The extent of a blob along each axis, outermost first: N×C×H×W for images.

use std::fmt;

use crate::error::{Error, Result};

/// Dimensions of a blob, outermost first; no axis at all is a scalar (one value).
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// A shape with these dimensions.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Shape(dims.into())
    }

    /// The shape of a scalar: no axes, one value.
    pub fn scalar() -> Self {
        Shape(Vec::new())
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// The number of axes.
    pub fn axes(&self) -> usize {
        self.0.len()
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        self.0.iter().product()
    }

    /// The number of values of one slice behind `axis`: the product of the dimensions from `axis` on.
    pub fn count_from(&self, axis: usize) -> usize {
        self.0[axis..].iter().product()
    }

    /// The product of the dimensions before `axis`.
    pub fn count_before(&self, axis: usize) -> usize {
        self.0[..axis].iter().product()
    }

    /// An axis as Caffe's options give it: negative counts from the end.
    ///
    /// # Errors
    /// When the axis lies outside the shape; `field` names the option in the message.
    pub fn axis(&self, axis: i32, field: &str) -> Result<usize> {
        let axes = self.axes() as i32;
        if axis < -axes || axis >= axes {
            let message = format!("axis {axis} does not exist in a blob of shape {self} ({axes} axes)");
            return Err(Error::config(field, message));
        }
        Ok(if axis < 0 { (axis + axes) as usize } else { axis as usize })
    }

    /// The dimension along `axis` as Caffe's old `num`, `channels`, `height`, `width` read it: 1 beyond the last axis.
    pub fn legacy(&self, axis: usize) -> usize {
        self.0.get(axis).copied().unwrap_or(1)
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(dims.to_vec())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("scalar");
        }
        for (axis, dim) in self.0.iter().enumerate() {
            if axis > 0 {
                out.write_str("×")?;
            }
            write!(out, "{dim}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_axes() {
        let shape = Shape::from([2, 3, 4, 5]);
        assert_eq!((shape.count(), shape.count_from(2), shape.count_before(2)), (120, 20, 6));
        assert_eq!(shape.axis(-1, "axis").unwrap(), 3);
        assert!(shape.axis(4, "axis").unwrap_err().to_string().contains("2×3×4×5"));
        assert_eq!((Shape::scalar().count(), Shape::scalar().to_string()), (1, "scalar".into()));
    }
}
