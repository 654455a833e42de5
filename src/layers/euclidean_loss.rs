//! `EuclideanLoss`: Σ (a − b)² / (2N).
//!
//! No options. Bottoms: a and b, of one shape (N×...) but for how the values behind the first axis are laid out. Top: the
//! loss, a scalar. Gradients: ±(a − b) · weight / N, of both bottoms.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, loss},
    ops::loss::{Total, squared_distance, squared_distance_backward},
    proto::LayerParameter,
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
#[derive(Default)]
pub struct EuclideanLoss {
    difference: Buffer,
    total: Total,
}

impl EuclideanLoss {
    /// Makes the layer.
    ///
    /// # Errors
    /// None: there are no options.
    pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(EuclideanLoss::default()))
    }
}

impl Layer for EuclideanLoss {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        loss::check_batch(io)?;
        let (a, b) = (io.bottom(0), io.bottom(1));
        if a.count() != b.count() {
            let message =
                format!("bottom 0 has shape {}, bottom 1 has {}; they must hold as many values", a.shape(), b.shape());
            return Err(Error::shape(message));
        }
        self.difference.resize(a.count());
        io.set_top_shape(0, &Shape::scalar())?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (a, b, loss) = (io.bottom(0), io.bottom(1), io.top(0).data());
        let images = a.dim(0) as f32;
        squared_distance(io.device(), [a.data(), b.data()], images, &self.difference, &self.total, loss);
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, images) = (io.device(), io.bottom(0).dim(0) as f32);
        for (position, sign) in [(0, 1.0), (1, -1.0)] {
            if io.wants_bottom_gradient(position) {
                let (loss_diff, dx) = (io.top(0).diff(), io.bottom(position).diff());
                squared_distance_backward(device, sign, images, &self.difference, loss_diff, dx);
            }
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn default_loss_weight(&self, _top: usize) -> f32 {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::LayerParameter,
    };

    fn message() -> LayerParameter {
        LayerParameter { r#type: Some("EuclideanLoss".into()), ..Default::default() }
    }

    #[test]
    fn half_the_mean_squared_distance() {
        let trial = Trial::of(&message()).bottom([2, 2], [1.0, 2.0, 3.0, 4.0]).bottom([2, 2], [0.0, 2.0, 3.0, 1.0]);
        assert_eq!(trial.run().unwrap().top(0), [2.5]);
    }

    #[test]
    fn gradients_of_both_bottoms() {
        let trial = Trial::of(&message()).bottom([2, 5], values(10, 1)).bottom([2, 5, 1], values(10, 2));
        GradientCheck::default().run_each(&mut trial.run().unwrap());
    }

    #[test]
    fn wrong_shapes_are_named() {
        let trial = Trial::of(&message()).bottom([2, 5], values(10, 1)).bottom([2, 4], values(8, 2));
        assert!(trial.build().err().unwrap().to_string().contains("bottom 0 has shape 2×5, bottom 1 has 2×4"));
    }
}
