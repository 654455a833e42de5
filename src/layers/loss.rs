//! What the loss layers share: normalization, labels, shapes.
//!
//! | option (`loss_param`) | default | meaning |
//! |---|---|---|
//! | `ignore_label` | none | places with this label count for nothing |
//! | `normalization` | VALID or BATCH_SIZE, see the layer | what the sum is divided by |
//! | `normalize` | | old form: true is VALID, false BATCH_SIZE; `normalization` goes before it |
//!
//! FULL divides by the number of places, VALID by the number of places that are not ignored, BATCH_SIZE by the number of
//! images, NONE by 1; never by less than 1.

use crate::{
    error::{Error, Result},
    layers::Io,
    ops::{
        loss::Normalizer,
        softmax::{self, Axes, BadLabel},
    },
    proto::{LossParameter, loss_parameter::NormalizationMode},
    tensor::Buffer,
};

/// The normalization that the options ask for.
pub fn normalization(options: Option<&LossParameter>, default: NormalizationMode) -> NormalizationMode {
    match options {
        Some(options) if options.normalization.is_some() => options.normalization(),
        Some(LossParameter { normalize: Some(true), .. }) => NormalizationMode::Valid,
        Some(LossParameter { normalize: Some(false), .. }) => NormalizationMode::BatchSize,
        _ => default,
    }
}

/// What the sum is divided by.
pub fn normalizer(mode: NormalizationMode, axes: Axes) -> Normalizer {
    let count = match mode {
        NormalizationMode::Full => axes.places(),
        NormalizationMode::Valid => return Normalizer::Counted,
        NormalizationMode::BatchSize => axes.outer,
        NormalizationMode::None => 1,
    };
    Normalizer::Fixed((count as f32).max(1.0))
}

/// Looks for labels that are no class, where a GPU could not report them.
///
/// # Errors
/// Names the first.
pub fn verify_labels(axes: Axes, labels: &Buffer, ignore: Option<i32>) -> Result<()> {
    softmax::check_labels(axes, labels, ignore).map_err(|label| bad_label(label, axes.channels))
}

/// Checks that the first two bottoms hold as many images.
///
/// # Errors
/// When they do not.
pub fn check_batch(io: &Io<'_>) -> Result<()> {
    let (first, second) = (io.bottom(0).shape(), io.bottom(1).shape());
    if first.dims().first() != second.dims().first() || first.axes() == 0 {
        let message =
            format!("bottom 0 has shape {first}, bottom 1 has {second}; the first dimensions must be the same");
        return Err(Error::shape(message));
    }
    Ok(())
}

/// Checks that there is one label for each place.
///
/// # Errors
/// When there is not.
pub fn check_labels(io: &Io<'_>, axes: Axes) -> Result<()> {
    let (scores, labels) = (io.bottom(0).shape(), io.bottom(1).shape());
    if axes.places() != labels.count() {
        let message = format!(
            "predictions {scores} need {}×{} labels, one for each place outside the class axis; bottom 1 has shape {labels}",
            axes.outer, axes.inner
        );
        return Err(Error::shape(message));
    }
    Ok(())
}

/// The error of a label that is no class.
pub fn bad_label(label: BadLabel, classes: usize) -> Error {
    let BadLabel { index, value } = label;
    let message = format!(
        "{value} (number {index} of the batch) is not one of the {classes} classes, 0 to {}",
        classes.saturating_sub(1)
    );
    Error::data("label", message)
}

/// The error of a gradient that is asked for with respect to labels.
pub fn no_label_gradient() -> Error {
    Error::config("propagate_down", "there is no gradient with respect to labels; set it to false for that bottom")
}

/// The first bottom as rows of classes, one for each label.
///
/// # Errors
/// When the labels are not one for each row, or rows have no values.
pub fn rows(io: &Io<'_>) -> Result<Axes> {
    let (scores, labels) = (io.bottom(0).shape(), io.bottom(1).shape());
    let axes = Axes { outer: scores.dims()[0], channels: scores.count_from(1), inner: 1 };
    if labels.count() != axes.outer || axes.channels == 0 {
        let message = format!("predictions {scores} need {} labels; bottom 1 has shape {labels}", axes.outer);
        return Err(Error::shape(message));
    }
    Ok(axes)
}
