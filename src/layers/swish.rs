//! `Swish`: y = x · sigmoid(`beta`·x) (Ramachandran et al., *Searching for Activation Functions*, 2017).
//!
//! | option (`swish_param`) | default |
//! |---|---|
//! | `beta` | 1 |
//!
//! Bottom: x of any shape. Top: y, shaped as x; may be x in place.

use crate::{
    error::Result,
    layers::{End, Io, Layer},
    ops::{
        activation::{self, Activation},
        elementwise,
    },
    proto::LayerParameter,
    tensor::Buffer,
};

/// The layer; see the module's text.
pub struct Swish {
    beta: f32,
    /// sigmoid(beta·x) of the last forward; with it the gradient can be had from y alone.
    sigmoid: Buffer,
}

impl Swish {
    /// Reads the options.
    ///
    /// # Errors
    /// None: every value is allowed.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let beta = layer.swish_param.unwrap_or_default().beta();
        Ok(Box::new(Swish { beta, sigmoid: Buffer::default() }))
    }
}

impl Layer for Swish {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.sigmoid.resize(io.bottom(0).count());
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, x) = (io.device(), io.bottom(0).data());
        elementwise::scale(device, self.beta, x, &self.sigmoid);
        activation::forward(device, Activation::Sigmoid, &self.sigmoid, &self.sigmoid);
        elementwise::multiply(device, x, &self.sigmoid, io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            let y = io.top(0);
            let dx = io.bottom(0).diff();
            activation::swish_backward(io.device(), self.beta, y.data(), &self.sigmoid, y.diff(), dx);
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Top(_))
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{LayerParameter, SwishParameter},
    };

    #[test]
    fn values_and_gradients_apart_and_in_place() {
        let swish_param = Some(SwishParameter { beta: Some(1.5) });
        let message = LayerParameter { r#type: Some("Swish".into()), swish_param, ..Default::default() };
        let x = values(24, 1);
        let expected: Vec<f32> = x.iter().map(|x| x / (1.0 + (-1.5 * x).exp())).collect();
        for trial in [Trial::of(&message), Trial::of(&message).in_place()] {
            let mut trial = trial.bottom([24], x.clone()).run().unwrap();
            assert_close(&trial.top(0), &expected);
            GradientCheck::default().run_each(&mut trial);
        }
    }
}
