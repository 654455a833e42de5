//! `MultinomialLogisticLoss`: the mean of −ln p(label), p given as probabilities. `SoftmaxWithLoss` computes the same from scores,
//! more exactly.
//!
//! No options. Bottoms: probabilities (N×C×..., seen as N rows), labels (N). Top: the loss, a scalar.

use crate::{
    error::Result,
    layers::{Io, Layer, loss},
    ops::{
        loss::{Total, multinomial_logistic, multinomial_logistic_backward},
        softmax::Axes,
    },
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
#[derive(Default)]
pub struct MultinomialLogisticLoss {
    axes: Axes,
    total: Total,
}

impl MultinomialLogisticLoss {
    /// Makes the layer.
    ///
    /// # Errors
    /// None: there are no options.
    pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(MultinomialLogisticLoss::default()))
    }
}

impl Layer for MultinomialLogisticLoss {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        loss::check_batch(io)?;
        self.axes = loss::rows(io)?;
        io.set_top_shape(0, &Shape::scalar())?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (operands, top) = ([io.bottom(0).data(), io.bottom(1).data()], io.top(0).data());
        multinomial_logistic(io.device(), self.axes, operands, &self.total, top)
            .map_err(|label| loss::bad_label(label, self.axes.channels))
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(1) {
            return Err(loss::no_label_gradient());
        }
        if io.wants_bottom_gradient(0) {
            let x = io.bottom(0);
            let operands = [x.data(), io.bottom(1).data(), io.top(0).diff()];
            multinomial_logistic_backward(io.device(), self.axes, operands, &self.total, x.diff());
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn verify(&self, io: &Io<'_>) -> Result<()> {
        loss::verify_labels(self.axes, io.bottom(1).data(), None)
    }

    fn default_loss_weight(&self, _top: usize) -> f32 {
        1.0
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom != 1
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::LayerParameter,
    };

    #[test]
    fn values_and_gradients() {
        let message = LayerParameter { r#type: Some("MultinomialLogisticLoss".into()), ..Default::default() };
        let x: Vec<f32> = values(12, 1).iter().map(|x| 0.6 + 0.4 * x).collect();
        let labels = [1.0, 2.0, 0.0, 1.0];
        let mut trial = Trial::of(&message).bottom([4, 3], x.clone()).constant([4], labels).run().unwrap();
        assert_close(&trial.top(0), &[-(x[1].ln() + x[5].ln() + x[6].ln() + x[10].ln()) / 4.0]);
        GradientCheck { step: 1e-3, ..GradientCheck::default() }.run_each(&mut trial);
    }
}
