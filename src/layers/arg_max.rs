//! `ArgMax`: the largest values of each image, or of each place along an axis, and where they are.
//!
//! | option (`argmax_param`) | default | meaning |
//! |---|---|---|
//! | `top_k` | 1 | how many, largest first |
//! | `out_max_val` | false | without `axis`: give indices and values; with `axis`: values instead of indices |
//! | `axis` | none | look along this axis (negative counts from the end); otherwise over all values of an image |
//!
//! Bottom: x. Top: with `axis`, shaped as x but `top_k` long there; otherwise N×1×k, or N×2×k for indices and values. Of equal
//! values the last comes first, as in Caffe. There is no gradient.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer},
    ops::{
        rank::{self, Best},
        softmax::Axes,
    },
    proto::{ArgMaxParameter, LayerParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct ArgMax {
    options: ArgMaxParameter,
    axes: Axes,
    scratch: Vec<(f32, usize)>,
}

impl ArgMax {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `top_k` is 0.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.argmax_param.unwrap_or_default();
        if options.top_k() == 0 {
            return Err(Error::config("argmax_param.top_k", "must be at least 1"));
        }
        Ok(Box::new(ArgMax { options, axes: Axes::default(), scratch: Vec::new() }))
    }

    fn top_k(&self) -> usize {
        self.options.top_k() as usize
    }
}

impl Layer for ArgMax {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        let mut dims = shape.dims().to_vec();
        if let Some(axis) = self.options.axis {
            let axis = shape.axis(axis, "argmax_param.axis")?;
            self.axes = Axes::new(shape, axis);
            dims[axis] = self.top_k();
        } else {
            let images = shape.dims().first().ok_or_else(|| Error::shape("the bottom is a scalar; it needs images"))?;
            self.axes = Axes { outer: *images, channels: shape.count_from(1), inner: 1 };
            dims = vec![1; shape.axes().max(3)];
            dims[0] = *images;
            dims[1] = 1 + usize::from(self.options.out_max_val());
            dims[2] = self.top_k();
        }
        if self.top_k() > self.axes.channels {
            let message = format!("{} is more than the {} values there are", self.top_k(), self.axes.channels);
            return Err(Error::config("argmax_param.top_k", message));
        }
        self.scratch.reserve(self.axes.channels);
        io.set_top_shape(0, &Shape::new(dims))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let best = match (self.options.axis.is_some(), self.options.out_max_val()) {
            (_, false) => Best::Indices,
            (true, true) => Best::Values,
            (false, true) => Best::Both,
        };
        let (x, y, top_k) = (io.bottom(0).data(), io.top(0).data(), self.top_k());
        rank::largest(io.device(), self.axes, top_k, best, x, y, &mut self.scratch);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            return Err(Error::config("type", "ArgMax has no gradient; nothing behind it can learn"));
        }
        Ok(())
    }

    fn allows_forced_gradient(&self, _bottom: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::Trial,
        proto::{ArgMaxParameter, LayerParameter},
    };

    fn arg_max(top_k: u32, out_max_val: bool, axis: Option<i32>) -> LayerParameter {
        let argmax_param = Some(ArgMaxParameter { top_k: Some(top_k), out_max_val: Some(out_max_val), axis });
        LayerParameter { r#type: Some("ArgMax".into()), argmax_param, ..Default::default() }
    }

    fn run(message: &LayerParameter) -> (Vec<usize>, Vec<f32>) {
        let x = [1.0, 5.0, 3.0, 5.0, 0.0, 2.0, 9.0, 4.0];
        let trial = Trial::of(message).bottom([2, 2, 2], x).run().unwrap();
        (trial.top_shape(0), trial.top(0))
    }

    #[test]
    fn indices_and_values_over_an_image() {
        assert_eq!(run(&arg_max(1, false, None)), (vec![2, 1, 1], vec![3.0, 2.0]));
        let both = vec![3.0, 1.0, 5.0, 5.0, 2.0, 3.0, 9.0, 4.0];
        assert_eq!(run(&arg_max(2, true, None)), (vec![2, 2, 2], both));
    }

    #[test]
    fn indices_or_values_along_an_axis() {
        assert_eq!(run(&arg_max(1, false, Some(1))), (vec![2, 1, 2], vec![1.0, 1.0, 1.0, 1.0]));
        assert_eq!(run(&arg_max(1, true, Some(-1))), (vec![2, 2, 1], vec![5.0, 5.0, 2.0, 9.0]));
        assert_eq!(run(&arg_max(2, true, Some(0))), (vec![2, 2, 2], vec![1.0, 5.0, 9.0, 5.0, 0.0, 2.0, 3.0, 4.0]));
    }

    #[test]
    fn wrong_numbers_are_named() {
        for top_k in [0, 5] {
            let trial = Trial::of(&arg_max(top_k, false, None)).bottom([2, 4], [0.0; 8]);
            assert!(trial.build().err().unwrap().to_string().contains("argmax_param.top_k"));
        }
    }
}
