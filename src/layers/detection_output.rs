//! `DetectionOutput`: a detector's scores and box offsets become the list of boxes it has found (SSD's fork of Caffe; Liu et al.,
//! *SSD: Single Shot MultiBox Detector*, arXiv 1512.02325, section 2.2).
//!
//! Each prior gets its box, or one for each class; each class keeps, best first, the boxes that overlap no better one too much;
//! each image keeps the best of those.
//!
//! | option (`detection_output_param`) | default | meaning |
//! |---|---|---|
//! | `num_classes` | required | classes, with the background |
//! | `share_location` | true | a prior has one box for all classes |
//! | `background_label_id` | 0 | the class that means nothing is there; −1 for none |
//! | `code_type` | CORNER | how a box is written: CORNER, CENTER_SIZE, CORNER_SIZE |
//! | `variance_encoded_in_target` | false | offsets are not to be multiplied by the variances |
//! | `confidence_threshold` | all | the score that must be exceeded |
//! | `nms_param.nms_threshold` | 0.3 | the overlap (intersection over union) above which the worse box is dropped |
//! | `nms_param.top_k` | −1 | boxes of a class that are looked at, the best; −1 for all |
//! | `nms_param.eta` | 1 | what a threshold above 0.5 is multiplied by after each box that is kept |
//! | `keep_top_k` | −1 | boxes of an image that are kept, the best; −1 for all |
//! | `save_output_param`, `visualize`, `visualize_threshold`, `save_file` | | what SSD writes or shows; no effect here, with a warning |
//!
//! Offsets o, multiplied by the prior's variances, mean for a prior of width w and height h: CORNER, its corners plus o;
//! CORNER_SIZE, plus o·w and o·h; CENTER_SIZE, its centre plus o₁·w and o₂·h, its size times exp(o₃) and exp(o₄).
//!
//! Bottoms: offsets (N×(P·4), or N×(P·classes·4)), scores (N×(P·classes)), priors (1×2×(P·4), from PriorBox); optionally the
//! images, not used. Top: 1×1×K×7, a row for each box: image, class, score, x₁, y₁, x₂, y₂, ordered by image and class. When nothing
//! is found, K is N and each row holds the image's number and −1 six times. It has no gradient.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, Setup, shape_within},
    ops::boxes::{self, BadPrior, Coding, Detector, Found, Suppression},
    proto::{DetectionOutputParameter, LayerParameter, prior_box_parameter::CodeType},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct DetectionOutput {
    detector: Detector,
    found: Found,
    /// The option that has no effect here, if one is given.
    ignored: Option<&'static str>,
}

impl DetectionOutput {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When there are no classes, or a threshold cannot be right.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.detection_output_param.clone().unwrap_or_default();
        if options.num_classes() == 0 {
            return Err(field("num_classes", "must be given, and at least 1"));
        }
        let detector = Detector {
            classes: options.num_classes() as usize,
            is_shared: options.share_location(),
            background: usize::try_from(options.background_label_id()).ok(),
            coding: match options.code_type() {
                CodeType::Corner => Coding::Corner,
                CodeType::CenterSize => Coding::CenterSize,
                CodeType::CornerSize => Coding::CornerSize,
            },
            is_scaled: options.variance_encoded_in_target(),
            least: options.confidence_threshold.unwrap_or(f32::MIN),
            suppression: suppression(&options)?,
            keep: usize::try_from(options.keep_top_k()).ok(),
        };
        let ignored = [
            (options.save_output_param.is_some(), "save_output_param"),
            (options.visualize(), "visualize"),
            (options.save_file.is_some(), "save_file"),
        ];
        let ignored = ignored.iter().find(|(is_given, _)| *is_given).map(|(_, name)| *name);
        Ok(Box::new(DetectionOutput { detector, found: Found::default(), ignored }))
    }
}

fn field(name: &str, message: impl Into<String>) -> Error {
    Error::config(format!("detection_output_param.{name}"), message)
}

fn suppression(options: &DetectionOutputParameter) -> Result<Suppression> {
    let given = options.nms_param.unwrap_or_default();
    let (threshold, eta) = (given.nms_threshold(), given.eta());
    if threshold.is_nan() || threshold < 0.0 {
        return Err(field("nms_param.nms_threshold", format!("must not be negative, is {threshold}")));
    }
    if !(eta > 0.0 && eta <= 1.0) {
        return Err(field("nms_param.eta", format!("must be above 0 and at most 1, is {eta}")));
    }
    Ok(Suppression { threshold, eta, top: given.top_k.and_then(|top| usize::try_from(top).ok()) })
}

impl Layer for DetectionOutput {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        if let Some(name) = self.ignored {
            log::warn!(
                "layer {:?}: detection_output_param.{name} has no effect: boxes go to the top only",
                setup.layer.name()
            );
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let [offsets, scores, priors] = [0, 1, 2].map(|position| io.bottom(position).shape());
        let &[1, 2, values] = priors.dims() else {
            return Err(Error::shape(format!(
                "bottom 2 needs shape 1×2×(priors·4), as PriorBox makes it; it is {priors}"
            )));
        };
        let (count, classes) = (values / 4, self.detector.classes);
        let boxes = if self.detector.is_shared { 1 } else { classes };
        for (position, shape, each, what) in [(0, offsets, boxes * 4, "offsets"), (1, scores, classes, "scores")] {
            let fits = shape.axes() >= 2 && shape.dims()[0] == offsets.legacy(0);
            if !fits || Some(shape.count_from(1)) != count.checked_mul(each) || values % 4 != 0 {
                let message = format!(
                    "bottom {position} needs {each} {what} for each of {count} priors of each of {} images; it is {shape}",
                    offsets.legacy(0)
                );
                return Err(Error::shape(message));
            }
        }
        // How many boxes there are is known when they are found.
        io.set_top_shape(0, &Shape::from([1, 1, 1, 7]))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let bottoms = [0, 1, 2].map(|position| io.bottom(position).data());
        boxes::detect(&self.detector, bottoms, &mut self.found).map_err(|BadPrior { index, corners }| {
            let message = format!("number {index} has no area (corners {corners:?}); boxes are relative to its size");
            Error::data("prior", message)
        })?;
        let images = io.bottom(0).dim(0);
        let rows = if self.found.count() == 0 { images } else { self.found.count() };
        io.set_top_shape(0, &shape_within(vec![1, 1, rows, 7], "detection_output_param")?)?;
        self.found.write(io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.bottom_gradients.contains(&true) {
            let message = "DetectionOutput has no gradient; it belongs in a TEST net";
            return Err(Error::config("propagate_down", message));
        }
        Ok(())
    }

    fn allows_forced_gradient(&self, _bottom: usize) -> bool {
        false
    }
}

#[cfg(test)]
#[path = "detection_output_tests.rs"]
mod tests;
