//! `HingeLoss`: Σ max(0, 1 − s·x) / N over all classes, s = 1 for the label's class and −1 for the others; one against all.
//!
//! | option (`hinge_loss_param`) | default | meaning |
//! |---|---|---|
//! | `norm` | L1 | L1: the sum of the margins, L2: of their squares |
//!
//! Bottoms: scores (N×C×..., seen as N rows), labels (N). Top: the loss, a scalar.

use crate::{
    error::Result,
    layers::{Io, Layer, loss},
    ops::{
        loss::{Total, hinge, hinge_backward},
        softmax::Axes,
    },
    proto::{LayerParameter, hinge_loss_parameter::Norm},
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct HingeLoss {
    squared: bool,
    axes: Axes,
    margins: Buffer,
    total: Total,
}

impl HingeLoss {
    /// Reads the options.
    ///
    /// # Errors
    /// None: every value is allowed.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let squared = layer.hinge_loss_param.unwrap_or_default().norm() == Norm::L2;
        Ok(Box::new(HingeLoss { squared, axes: Axes::default(), margins: Buffer::default(), total: Total::default() }))
    }
}

impl Layer for HingeLoss {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        loss::check_batch(io)?;
        self.axes = loss::rows(io)?;
        self.margins.resize(io.bottom(0).count());
        io.set_top_shape(0, &Shape::scalar())?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (operands, top) = ([io.bottom(0).data(), io.bottom(1).data()], io.top(0).data());
        hinge(io.device(), self.axes, operands, &self.margins, self.squared, &self.total, top)
            .map_err(|label| loss::bad_label(label, self.axes.channels))
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(1) {
            return Err(loss::no_label_gradient());
        }
        if io.wants_bottom_gradient(0) {
            let (operands, dx) = ([io.bottom(1).data(), &self.margins, io.top(0).diff()], io.bottom(0).diff());
            hinge_backward(io.device(), self.axes, operands, self.squared, &self.total, dx);
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
        layers::testing::{GradientCheck, Trial, values},
        proto::{HingeLossParameter, LayerParameter, hinge_loss_parameter::Norm},
    };

    fn hinge(norm: Norm) -> LayerParameter {
        let hinge_loss_param = Some(HingeLossParameter { norm: Some(norm as i32) });
        LayerParameter { r#type: Some("HingeLoss".into()), hinge_loss_param, ..Default::default() }
    }

    #[test]
    fn margins_add_up() {
        let run = |norm| {
            let trial = Trial::of(&hinge(norm)).bottom([2, 2], [0.5, -2.0, 0.0, 3.0]).constant([2], [0.0, 1.0]);
            trial.run().unwrap().top(0)
        };
        assert_eq!((run(Norm::L1), run(Norm::L2)), (vec![0.75], vec![0.625]));
    }

    #[test]
    fn gradients() {
        for norm in [Norm::L1, Norm::L2] {
            let trial =
                Trial::of(&hinge(norm)).bottom([4, 5], values(20, 1).iter().map(|x| 3.0 * x).collect::<Vec<_>>());
            let mut trial = trial.constant([4], [0.0, 4.0, 2.0, 2.0]).run().unwrap();
            GradientCheck::away_from(1.0, 0.01).run_each(&mut trial);
        }
    }

    #[test]
    fn labels_that_are_no_class_are_named() {
        let trial = Trial::of(&hinge(Norm::L1)).bottom([1, 3], values(3, 1)).constant([1], [3.0]);
        assert!(trial.run().err().unwrap().to_string().contains("label: 3 (number 0"));
    }
}
