//! `SigmoidCrossEntropyLoss`: Σ -t·ln σ(x) − (1−t)·ln(1−σ(x)), divided by a normalizer; σ is the sigmoid.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `loss_param` | BATCH_SIZE | `ignore_label` and normalization, see the `loss` module |
//!
//! Bottoms: x and targets t in 0..1, with as many values. Top: the loss, a scalar. Gradient of x: (σ(x) − t) · weight /
//! normalizer.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, loss},
    ops::{
        loss::{Total, sigmoid_cross_entropy, sigmoid_cross_entropy_backward},
        softmax::Axes,
    },
    proto::{LayerParameter, loss_parameter::NormalizationMode},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct SigmoidCrossEntropyLoss {
    ignore: Option<i32>,
    normalization: NormalizationMode,
    /// Of the last forward.
    total: Total,
}

impl SigmoidCrossEntropyLoss {
    /// Reads the options.
    ///
    /// # Errors
    /// None: every value is allowed.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.loss_param.as_ref();
        Ok(Box::new(SigmoidCrossEntropyLoss {
            ignore: options.and_then(|options| options.ignore_label),
            normalization: loss::normalization(options, NormalizationMode::BatchSize),
            total: Total::default(),
        }))
    }
}

impl Layer for SigmoidCrossEntropyLoss {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        loss::check_batch(io)?;
        let (x, targets) = (io.bottom(0), io.bottom(1));
        if x.count() != targets.count() {
            let (x, targets) = (x.shape(), targets.shape());
            return Err(Error::shape(format!("{x} values need as many targets; bottom 1 has shape {targets}")));
        }
        io.set_top_shape(0, &Shape::scalar())?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (x, targets) = (io.bottom(0), io.bottom(1));
        let axes = Axes { outer: x.dim(0), channels: 1, inner: x.shape().count_from(1) };
        let (operands, normalizer) = ([x.data(), targets.data()], loss::normalizer(self.normalization, axes));
        sigmoid_cross_entropy(io.device(), operands, self.ignore, normalizer, &self.total, io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(1) {
            return Err(loss::no_label_gradient());
        }
        if io.wants_bottom_gradient(0) {
            let x = io.bottom(0);
            let operands = [x.data(), io.bottom(1).data(), io.top(0).diff()];
            sigmoid_cross_entropy_backward(io.device(), operands, self.ignore, &self.total, x.diff());
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
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
        proto::{LayerParameter, LossParameter, loss_parameter::NormalizationMode},
    };

    fn run(loss_param: LossParameter) -> Trial {
        let message = LayerParameter {
            r#type: Some("SigmoidCrossEntropyLoss".into()),
            loss_param: Some(loss_param),
            ..Default::default()
        };
        let targets = [0.0, 1.0, 0.25, -1.0, 0.75, 0.5];
        Trial::of(&message).bottom([2, 3], values(6, 1)).constant([2, 3], targets).run().unwrap()
    }

    fn ignoring(mode: NormalizationMode) -> LossParameter {
        LossParameter { ignore_label: Some(-1), normalization: Some(mode as i32), ..Default::default() }
    }

    #[test]
    fn cross_entropy_of_targets_that_count() {
        let sum = run(ignoring(NormalizationMode::None)).top(0)[0];
        let term = |x: f64, t: f64| -t * (1.0 / (1.0 + (-x).exp())).ln() - (1.0 - t) * (1.0 / (1.0 + x.exp())).ln();
        let targets = [0.0, 1.0, 0.25, f64::NAN, 0.75, 0.5];
        let terms = values(6, 1).into_iter().zip(targets).filter(|(_, t)| !t.is_nan());
        assert_close(&[sum], &[terms.map(|(x, t)| term(f64::from(x), t)).sum::<f64>() as f32]);
        let modes =
            [(NormalizationMode::Full, 6.0), (NormalizationMode::Valid, 5.0), (NormalizationMode::BatchSize, 2.0)];
        for (mode, divisor) in modes {
            assert_eq!(run(ignoring(mode)).top(0), [sum / divisor]);
        }
        let default = LossParameter { ignore_label: Some(-1), ..Default::default() };
        assert_eq!(run(default).top(0), [sum / 2.0]);
    }

    #[test]
    fn gradients() {
        GradientCheck::default().run_each(&mut run(LossParameter::default()));
        GradientCheck::default().run_each(&mut run(ignoring(NormalizationMode::Valid)));
    }
}
