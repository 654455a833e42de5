//! `SoftmaxWithLoss`: the mean of -ln p(label), p the softmax of the scores; also called cross entropy.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `softmax_param.axis` | 1 | the class axis; negative counts from the end |
//! | `loss_param` | VALID | `ignore_label` and normalization, see the `loss` module |
//!
//! Bottoms: scores (N×C×...), labels (one for each place outside the class axis, from 0 to C−1). Tops: the loss, a scalar;
//! optionally p, shaped as the scores. Gradient of the scores: (p − 1 for the label's class, p for others) · weight /
//! normalizer.

use crate::{
    error::Result,
    layers::{End, Io, Layer, loss},
    ops::{
        loss::Total,
        softmax::{self, Axes},
    },
    proto::{LayerParameter, loss_parameter::NormalizationMode},
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct SoftmaxWithLoss {
    axis: i32,
    axes: Axes,
    ignore: Option<i32>,
    normalization: NormalizationMode,
    /// Of the last forward.
    total: Total,
    /// p, when there is no top for it.
    probabilities: Buffer,
}

impl SoftmaxWithLoss {
    /// Reads the options.
    ///
    /// # Errors
    /// None: the axis is checked against the bottom's shape.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.loss_param.as_ref();
        Ok(Box::new(SoftmaxWithLoss {
            axis: layer.softmax_param.unwrap_or_default().axis(),
            axes: Axes::default(),
            ignore: options.and_then(|options| options.ignore_label),
            normalization: loss::normalization(options, NormalizationMode::Valid),
            total: Total::default(),
            probabilities: Buffer::default(),
        }))
    }

    fn probabilities<'a>(&'a self, io: &'a Io<'_>) -> &'a Buffer {
        if io.tops.len() > 1 { io.top(1).data() } else { &self.probabilities }
    }
}

impl Layer for SoftmaxWithLoss {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape().clone();
        self.axes = Axes::new(&shape, shape.axis(self.axis, "softmax_param.axis")?);
        loss::check_batch(io)?;
        loss::check_labels(io, self.axes)?;
        io.set_top_shape(0, &Shape::scalar())?;
        if io.tops.len() > 1 {
            io.set_top_shape(1, &shape)?;
        } else {
            self.probabilities.resize(shape.count());
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, labels) = (io.device(), io.bottom(1).data());
        let probabilities = self.probabilities(io);
        softmax::forward(device, self.axes, io.bottom(0).data(), probabilities);
        let (operands, normalizer) = ([probabilities, labels], loss::normalizer(self.normalization, self.axes));
        let loss = io.top(0).data();
        softmax::loss_forward(device, self.axes, operands, self.ignore, normalizer, &self.total, loss)
            .map_err(|label| loss::bad_label(label, self.axes.channels))
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(1) {
            return Err(loss::no_label_gradient());
        }
        if io.wants_bottom_gradient(0) {
            let operands = [self.probabilities(io), io.bottom(1).data(), io.top(0).diff()];
            softmax::loss_backward(io.device(), self.axes, operands, self.ignore, &self.total, io.bottom(0).diff());
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        data != End::Bottom(0)
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn verify(&self, io: &Io<'_>) -> Result<()> {
        loss::verify_labels(self.axes, io.bottom(1).data(), self.ignore)
    }

    fn default_loss_weight(&self, top: usize) -> f32 {
        if top == 0 { 1.0 } else { 0.0 }
    }

    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        bottom != 1
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, TrialBuilder, assert_close, values},
        proto::{LayerParameter, LossParameter, SoftmaxParameter, loss_parameter::NormalizationMode},
    };

    fn message(loss_param: LossParameter) -> LayerParameter {
        LayerParameter { r#type: Some("SoftmaxWithLoss".into()), loss_param: Some(loss_param), ..Default::default() }
    }

    /// 2 images of 3 classes and 2 places each; one label of four is 255.
    fn spatial(loss_param: LossParameter) -> TrialBuilder {
        let labels = [0.0, 2.0, 255.0, 1.0];
        Trial::of(&message(loss_param)).bottom([2, 3, 2], values(12, 1)).constant([2, 2], labels)
    }

    fn ignoring(normalization: Option<NormalizationMode>, normalize: Option<bool>) -> LossParameter {
        LossParameter { ignore_label: Some(255), normalization: normalization.map(|mode| mode as i32), normalize }
    }

    #[test]
    fn even_scores_give_the_logarithm_of_the_number_of_classes() {
        let trial = Trial::of(&message(LossParameter::default())).bottom([2, 10], [0.3; 20]).constant([2], [0.0, 9.0]);
        let trial = trial.tops(2).run().unwrap();
        assert_close(&trial.top(0), &[10_f32.ln()]);
        assert_close(&trial.top(1), &[0.1; 20]);
        assert_eq!(trial.top_shape(0), [0_usize; 0]);
    }

    #[test]
    fn normalizations_divide_by_what_they_name() {
        let loss = |normalization, normalize| spatial(ignoring(normalization, normalize)).run().unwrap().top(0)[0];
        let sum = loss(Some(NormalizationMode::None), None);
        let expected =
            [(NormalizationMode::Full, 4.0), (NormalizationMode::Valid, 3.0), (NormalizationMode::BatchSize, 2.0)];
        for (mode, divisor) in expected {
            assert_eq!(loss(Some(mode), None), sum / divisor);
        }
        assert_eq!(loss(None, None), sum / 3.0);
        assert_eq!((loss(None, Some(true)), loss(None, Some(false))), (sum / 3.0, sum / 2.0));
        assert_eq!(loss(Some(NormalizationMode::None), Some(true)), sum, "normalization goes before normalize");
    }

    #[test]
    fn nothing_to_count_is_no_loss() {
        let options = LossParameter { ignore_label: Some(0), ..Default::default() };
        let mut trial = Trial::of(&message(options)).bottom([1, 2], [1.0, 2.0]).constant([1], [0.0]).run().unwrap();
        trial.set_top_diff(0, &[1.0]);
        trial.backward().unwrap();
        assert_eq!((trial.top(0), trial.bottom_diff(0)), (vec![0.0], vec![0.0, 0.0]));
    }

    #[test]
    fn gradients() {
        for mode in
            [NormalizationMode::Full, NormalizationMode::Valid, NormalizationMode::BatchSize, NormalizationMode::None]
        {
            GradientCheck::default().run_top(&mut spatial(ignoring(Some(mode), None)).run().unwrap(), 0);
        }
        let softmax_param = Some(SoftmaxParameter { axis: Some(-1), ..Default::default() });
        let last = LayerParameter { softmax_param, ..message(LossParameter::default()) };
        let trial = Trial::of(&last).bottom([2, 2, 3], values(12, 1)).constant([2, 2], [0.0, 2.0, 1.0, 1.0]);
        GradientCheck::default().run_top(&mut trial.tops(2).run().unwrap(), 0);
    }

    #[test]
    fn labels_that_are_no_class_are_named() {
        for (label, text) in [(3.0, "label: 3 (number 1"), (-1.0, "label: -1 "), (f32::NAN, "label: NaN ")] {
            let trial = Trial::of(&message(LossParameter::default())).bottom([2, 3], values(6, 1));
            let error = trial.constant([2], [0.0, label]).run().err().unwrap().to_string();
            assert!(error.contains(text) && error.contains("3 classes, 0 to 2"), "{error}");
        }
    }

    #[test]
    fn wrong_shapes_and_label_gradients_are_refused() {
        let build = |labels: &[usize]| {
            let count: usize = labels.iter().product();
            Trial::of(&message(LossParameter::default())).bottom([2, 3], values(6, 1)).bottom(labels, vec![0.0; count])
        };
        assert!(build(&[3]).build().err().unwrap().to_string().contains("the first dimensions must be the same"));
        assert!(build(&[2, 2]).build().err().unwrap().to_string().contains("need 2×1 labels"));
        assert!(build(&[2]).run().unwrap().backward().err().unwrap().to_string().contains("propagate_down"));
    }
}
