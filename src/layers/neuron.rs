//! What all layers share that compute y = f(x) value by value; each has its own file with formula, options and tests.

use crate::{
    error::{Error, Result},
    layers::{End, Follower, Io, Layer},
    ops::activation::{self, Activation},
    tensor::Device,
};

/// A layer that applies an activation function.
pub struct Neuron {
    function: Activation,
}

impl Neuron {
    /// The layer of this function.
    pub fn boxed(function: Activation) -> Box<dyn Layer> {
        Box::new(Neuron { function })
    }
}

impl Layer for Neuron {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        activation::forward(io.device(), self.function, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if !io.wants_bottom_gradient(0) {
            return Ok(());
        }
        let (x, y) = (io.bottom(0), io.top(0));
        if matches!(self.function, Activation::Threshold { .. }) {
            return Err(Error::config("type", "Threshold has no gradient; nothing behind it can learn"));
        }
        if x.data().is_same(y.data()) && !self.function.works_in_place() {
            let message = "the gradient needs the values that this layer overwrites; give the top another name";
            return Err(Error::config("top", message));
        }
        activation::backward(io.device(), self.function, x.data(), y.data(), y.diff(), x.diff());
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        match data {
            End::Bottom(_) => self.function.gradient_reads_input(),
            End::Top(_) => self.function.gradient_reads_output(),
        }
    }

    fn gradient_in_place(&self, bottom: usize, _device: Device) -> Option<usize> {
        (bottom == 0).then_some(0)
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn as_follower(&self) -> Option<Follower> {
        (self.function == Activation::Relu { negative_slope: 0.0 }).then_some(Follower::Relu)
    }
}
