//! `Reshape`: the same values in another shape.
//!
//! | option (`reshape_param`) | default | meaning |
//! |---|---|---|
//! | `shape` | | the new dimensions: a number, 0 = that of the bottom's axis, -1 = what is left (once at most) |
//! | `axis` | 0 | the first axis to replace; negative counts from behind the last, so -1 appends |
//! | `num_axes` | -1 | how many axes to replace; -1 all that follow |
//!
//! Bottom: x. Top: y, x's memory.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer},
    proto::{LayerParameter, ReshapeParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Reshape {
    options: ReshapeParameter,
}

const SHAPE: &str = "reshape_param.shape";

impl Reshape {
    /// Reads the options.
    ///
    /// # Errors
    /// When `shape` leaves more than one dimension open or has one below -1.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.reshape_param.clone().unwrap_or_default();
        let dims = options.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
        if let Some(dim) = dims.iter().find(|dim| **dim < -1) {
            return Err(Error::config(SHAPE, format!("dim {dim} is not a dimension; use a number, 0 or -1")));
        }
        if dims.iter().filter(|dim| **dim == -1).count() > 1 {
            return Err(Error::config(SHAPE, "only one dim may be -1 (what is left)"));
        }
        if options.num_axes() < -1 {
            return Err(Error::config("reshape_param.num_axes", "must be at least 0, or -1 for all that follow"));
        }
        Ok(Box::new(Reshape { options }))
    }

    /// The axes to replace.
    fn replaced(&self, shape: &Shape) -> Result<std::ops::Range<usize>> {
        let axes = shape.axes() as i64;
        let given = i64::from(self.options.axis());
        let first = if given < 0 { axes + given + 1 } else { given };
        if !(0..=axes).contains(&first) {
            let message = format!("{given} lies outside the bottom's shape {shape}");
            return Err(Error::config("reshape_param.axis", message));
        }
        let count = i64::from(self.options.num_axes());
        let end = if count == -1 { axes } else { first + count };
        if end > axes {
            let message = format!("axis {first} and {count} axes reach beyond the bottom's shape {shape}");
            return Err(Error::config("reshape_param.num_axes", message));
        }
        Ok(first as usize..end as usize)
    }

    fn shape_for(&self, bottom: &Shape) -> Result<Shape> {
        let replaced = self.replaced(bottom)?;
        let new = self.options.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
        let mut dims = bottom.dims()[..replaced.start].to_vec();
        let mut open = None;
        for (position, &dim) in new.iter().enumerate() {
            let axis = replaced.start + position;
            dims.push(match dim {
                0 => *bottom.dims().get(axis).ok_or_else(|| {
                    Error::config(SHAPE, format!("dim 0 copies axis {axis}, which the bottom's shape {bottom} has not"))
                })?,
                -1 => {
                    open = Some(axis);
                    1
                }
                dim => dim as usize,
            });
        }
        dims.extend(&bottom.dims()[replaced.end..]);
        let given = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim));
        let given = given.filter(|&given| given > 0 || bottom.count() == 0);
        let fits = |given: usize| {
            if open.is_some() { given > 0 && bottom.count().is_multiple_of(given) } else { given == bottom.count() }
        };
        let Some(given) = given.filter(|&given| fits(given)) else {
            let written: Vec<String> = new.iter().map(i64::to_string).collect();
            let message = format!("({}) cannot hold the {} values of {bottom}", written.join(", "), bottom.count());
            return Err(Error::config(SHAPE, message));
        };
        if let Some(open) = open {
            dims[open] = bottom.count() / given;
        }
        Ok(Shape::new(dims))
    }
}

impl Layer for Reshape {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = self.shape_for(io.bottom(0).shape())?;
        io.set_top_shape(0, &shape)?;
        io.share_data(0, 0);
        io.share_diff(0, 0);
        Ok(())
    }

    fn forward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn backward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        error::Result,
        layers::testing::{GradientCheck, Trial, values},
        proto::{BlobShape, LayerParameter, ReshapeParameter},
    };

    fn reshape(dims: &[i64], axis: Option<i32>, num_axes: Option<i32>) -> Result<Trial> {
        let options = ReshapeParameter { shape: Some(BlobShape { dim: dims.to_vec() }), axis, num_axes };
        let message =
            LayerParameter { r#type: Some("Reshape".into()), reshape_param: Some(options), ..Default::default() };
        Trial::of(&message).bottom([2, 3, 4], values(24, 1)).run()
    }

    fn shape(dims: &[i64], axis: Option<i32>, num_axes: Option<i32>) -> Vec<usize> {
        reshape(dims, axis, num_axes).unwrap().top_shape(0)
    }

    #[test]
    fn dimensions_given_copied_and_left_over() {
        assert_eq!(shape(&[4, 6], None, None), [4, 6]);
        assert_eq!(shape(&[0, -1], None, None), [2, 12]);
        assert_eq!(shape(&[0, 0, 2, -1], None, None), [2, 3, 2, 2]);
        assert_eq!(shape(&[-1], Some(1), None), [2, 12]);
        assert_eq!(shape(&[3, 1], Some(1), Some(1)), [2, 3, 1, 4]);
        assert_eq!(shape(&[1], Some(-1), Some(0)), [2, 3, 4, 1]);
        assert_eq!(shape(&[], Some(0), Some(0)), [2, 3, 4]);
    }

    #[test]
    fn wrong_shapes_are_named() {
        let error = |dims, axis, num_axes| reshape(dims, axis, num_axes).err().unwrap().to_string();
        assert!(error(&[-1, -1], None, None).contains("only one dim may be -1"));
        assert!(error(&[-2], None, None).contains("dim -2"));
        assert!(error(&[5, 5], None, None).contains("(5, 5) cannot hold the 24 values of 2×3×4"));
        assert!(error(&[5, -1], None, None).contains("(5, -1) cannot hold"));
        assert!(error(&[i64::MAX, i64::MAX, -1], None, None).contains("cannot hold"));
        assert!(error(&[1, 1, 1, 0], None, None).contains("dim 0 copies axis 3"));
        assert!(error(&[1], Some(4), None).contains("reshape_param.axis"));
        assert!(error(&[1], Some(1), Some(3)).contains("reshape_param.num_axes"));
    }

    #[test]
    fn gradients() {
        GradientCheck::default().run_each(&mut reshape(&[0, -1], None, None).unwrap());
    }
}
