//! `Accuracy`: the part of labels whose score is among the best.
//!
//! | option (`accuracy_param`) | default | meaning |
//! |---|---|---|
//! | `top_k` | 1 | how many scores count as the best |
//! | `axis` | 1 | the class axis; negative counts from the end |
//! | `ignore_label` | none | places with this label do not count |
//!
//! Bottoms: scores (N×C×...), labels (one for each place outside the class axis). Tops: the accuracy, a scalar; optionally that
//! of each class (C). A score that ties with others at the border is not among the best, as in Caffe: even scores for all
//! classes give 0. There is no gradient.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, loss},
    ops::{
        rank::{self, Outcomes},
        softmax::Axes,
    },
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Accuracy {
    top_k: usize,
    axis: i32,
    ignore: Option<i32>,
    axes: Axes,
    outcomes: Outcomes,
}

impl Accuracy {
    /// Reads the options.
    ///
    /// # Errors
    /// When `top_k` is 0.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.accuracy_param.unwrap_or_default();
        if options.top_k() == 0 {
            return Err(Error::config("accuracy_param.top_k", "must be at least 1"));
        }
        Ok(Box::new(Accuracy {
            top_k: options.top_k() as usize,
            axis: options.axis(),
            ignore: options.ignore_label,
            axes: Axes::default(),
            outcomes: Outcomes::default(),
        }))
    }
}

impl Layer for Accuracy {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        self.axes = Axes::new(shape, shape.axis(self.axis, "accuracy_param.axis")?);
        loss::check_labels(io, self.axes)?;
        let classes = self.axes.channels;
        if self.top_k > classes {
            let message = format!("{} is more than there are classes ({classes})", self.top_k);
            return Err(Error::config("accuracy_param.top_k", message));
        }
        self.outcomes.resize(self.axes);
        io.set_top_shape(0, &Shape::scalar())?;
        if io.tops.len() > 1 {
            io.set_top_shape(1, &Shape::from([classes]))?;
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let per_class = (io.tops.len() > 1).then(|| io.top(1).data());
        let (operands, overall) = ([io.bottom(0).data(), io.bottom(1).data()], io.top(0).data());
        let options = (self.top_k, self.ignore);
        rank::accuracy(io.device(), self.axes, operands, options, &self.outcomes, overall, per_class)
            .map_err(|label| loss::bad_label(label, self.axes.channels))
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) || io.wants_bottom_gradient(1) {
            return Err(Error::config(
                "loss_weight",
                "Accuracy has no gradient and cannot be a loss; remove its loss_weight",
            ));
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn verify(&self, io: &Io<'_>) -> Result<()> {
        loss::verify_labels(self.axes, io.bottom(1).data(), self.ignore)
    }

    fn allows_forced_gradient(&self, _bottom: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{Trial, values},
        proto::{AccuracyParameter, LayerParameter},
    };

    const SCORES: [f32; 12] = [0.1, 0.7, 0.2, 0.5, 0.3, 0.2, 0.3, 0.4, 0.3, 0.2, 0.2, 0.6];

    fn accuracy(options: AccuracyParameter) -> LayerParameter {
        LayerParameter { r#type: Some("Accuracy".into()), accuracy_param: Some(options), ..Default::default() }
    }

    fn of_labels(options: AccuracyParameter, labels: [f32; 4]) -> Trial {
        Trial::of(&accuracy(options)).bottom([4, 3], SCORES).bottom([4], labels).tops(2).run().unwrap()
    }

    #[test]
    fn overall_and_per_class() {
        let trial = of_labels(AccuracyParameter::default(), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!((trial.top(0), trial.top(1)), (vec![0.5], vec![0.5, 0.5, 0.0]));
        assert_eq!((trial.top_shape(0), trial.top_shape(1)), (vec![], vec![3]));
    }

    #[test]
    fn a_tie_at_the_border_is_a_miss() {
        let top_2 = AccuracyParameter { top_k: Some(2), ..Default::default() };
        // The third image's classes 0 and 2 share the second place, the fourth's classes 0 and 1.
        let trial = of_labels(top_2, [2.0, 1.0, 2.0, 2.0]);
        assert_eq!(trial.top(0), [0.75]);
        let even = Trial::of(&accuracy(AccuracyParameter::default())).bottom([1, 3], [1.0; 3]).bottom([1], [0.0]);
        assert_eq!(even.run().unwrap().top(0), [0.0]);
    }

    #[test]
    fn nan_is_never_right() {
        let trial = Trial::of(&accuracy(AccuracyParameter::default())).bottom([1, 3], [f32::NAN; 3]).bottom([1], [0.0]);
        assert_eq!(trial.run().unwrap().top(0), [0.0]);
    }

    #[test]
    fn ignored_labels_do_not_count() {
        let options = AccuracyParameter { ignore_label: Some(-1), ..Default::default() };
        assert_eq!(of_labels(options, [1.0, -1.0, -1.0, 1.0]).top(0), [0.5]);
        assert_eq!(of_labels(options, [-1.0; 4]).top(0), [0.0]);
    }

    #[test]
    fn classes_may_lie_along_any_axis() {
        let options = AccuracyParameter { axis: Some(-1), ..Default::default() };
        let trial = Trial::of(&accuracy(options)).bottom([2, 2, 3], SCORES).bottom([2, 2], [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(trial.run().unwrap().top(0), [0.75]);
    }

    #[test]
    fn wrong_input_is_named() {
        let error = |options, labels: &[f32]| {
            let trial = Trial::of(&accuracy(options)).bottom([4, 3], values(12, 1)).bottom([labels.len()], labels);
            trial.run().err().unwrap().to_string()
        };
        let top_k = |top_k| AccuracyParameter { top_k: Some(top_k), ..Default::default() };
        assert!(error(top_k(4), &[0.0; 4]).contains("accuracy_param.top_k: 4 is more than"));
        assert!(error(top_k(0), &[0.0; 4]).contains("accuracy_param.top_k: must be at least 1"));
        assert!(error(top_k(1), &[0.0; 3]).contains("need 4×1 labels"));
        assert!(error(top_k(1), &[3.0; 4]).contains("label: 3 (number 0"));
    }
}
