//! `Axpy`: y = a·x + b with a value of a for each channel (SENet's fork of Caffe; Hu et al., *Squeeze-and-Excitation Networks*,
//! arXiv 1709.01507).
//!
//! No options. Bottoms: a (N×C or N×C×1×1), x (N×C×...), b (shaped as x). Top: y, shaped as x. a's gradient is Σ dy·x over a
//! channel's positions.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer},
    ops::{
        broadcast::{self, Spans, Sums},
        elementwise,
    },
    proto::LayerParameter,
};

/// The layer; see the module's text.
#[derive(Default)]
pub struct Axpy {
    spans: Spans,
    sums: Sums,
}

impl Axpy {
    /// Makes the layer.
    ///
    /// # Errors
    /// None: there are no options.
    pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Axpy::default()))
    }
}

impl Layer for Axpy {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let (a, x, b) = (io.bottom(0).shape(), io.bottom(1).shape(), io.bottom(2).shape());
        if x != b {
            return Err(Error::shape(format!("bottom 1 has shape {x}, bottom 2 has {b}; they must be the same")));
        }
        let fits = x.axes() >= 2 && a.dims().get(..2) == x.dims().get(..2) && a.count_from(2) == 1;
        if !fits {
            let message = format!("bottom 0 needs one value for each image and channel of bottom 1 ({x}), it is {a}");
            return Err(Error::shape(message));
        }
        self.spans = Spans { outer: 1, dim: a.count(), inner: x.count_from(2) };
        self.sums.resize(a.count());
        io.set_top_shape_like(0, 1)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, y) = (io.device(), io.top(0).data());
        broadcast::affine(device, self.spans, io.bottom(1).data(), Some(io.bottom(0).data()), None, y);
        elementwise::add(device, y, io.bottom(2).data(), y);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, dy) = (io.device(), io.top(0).diff());
        if io.wants_bottom_gradient(0) {
            broadcast::sums(device, self.spans, dy, Some(io.bottom(1).data()), &self.sums);
            elementwise::copy(device, &self.sums.products, io.bottom(0).diff());
        }
        if io.wants_bottom_gradient(1) {
            broadcast::affine(device, self.spans, dy, Some(io.bottom(0).data()), None, io.bottom(1).diff());
        }
        if io.wants_bottom_gradient(2) {
            elementwise::copy(device, dy, io.bottom(2).diff());
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::LayerParameter,
    };

    fn message() -> LayerParameter {
        LayerParameter { r#type: Some("Axpy".into()), ..Default::default() }
    }

    #[test]
    fn each_channel_has_its_factor() {
        let trial = Trial::of(&message()).bottom([1, 2, 1, 1], [2.0, -1.0]);
        let trial = trial.bottom([1, 2, 1, 2], [1.0, 2.0, 3.0, 4.0]).bottom([1, 2, 1, 2], [10.0, 20.0, 30.0, 40.0]);
        assert_eq!(trial.run().unwrap().top(0), [12.0, 24.0, 27.0, 36.0]);
    }

    #[test]
    fn gradients() {
        for a in [&[2, 3][..], &[2, 3, 1, 1]] {
            let trial = Trial::of(&message()).bottom(a, values(6, 1)).bottom([2, 3, 2, 2], values(24, 2));
            let mut trial = trial.bottom([2, 3, 2, 2], values(24, 3)).run().unwrap();
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn only_the_gradients_that_are_asked_for_are_written() {
        let trial = Trial::of(&message()).bottom([1, 1], [2.0]).constant([1, 1, 2], [1.0, 3.0]);
        let mut trial = trial.bottom([1, 1, 2], [0.0; 2]).run().unwrap();
        trial.set_top_diff(0, &[1.0, 10.0]);
        trial.backward().unwrap();
        assert_eq!((trial.bottom_diff(0), trial.bottom_diff(1)), (vec![31.0], vec![0.0; 2]));
    }

    #[test]
    fn wrong_shapes_are_named() {
        let error = |a: &[usize], x: &[usize], b: &[usize]| {
            let count = |dims: &[usize]| dims.iter().product::<usize>();
            let trial = Trial::of(&message()).bottom(a, values(count(a), 1)).bottom(x, values(count(x), 1));
            trial.bottom(b, values(count(b), 1)).build().err().unwrap().to_string()
        };
        assert!(error(&[2, 3], &[2, 3, 4], &[2, 3, 5]).contains("bottom 2 has 2×3×5"));
        assert!(error(&[2, 4], &[2, 3, 4], &[2, 3, 4]).contains("bottom 0 needs one value"));
        assert!(error(&[2, 3, 2], &[2, 3, 4], &[2, 3, 4]).contains("bottom 0 needs one value"));
        assert!(error(&[2], &[2], &[2]).contains("bottom 0 needs one value"));
    }
}
