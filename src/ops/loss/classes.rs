//! Losses of classes: scores or probabilities for each class, and labels. On the host sums run from first to last as in Caffe. A label
//! that is no class is an error there; on a card the loss is NaN then, and [`check_labels`](crate::ops::softmax::check_labels) tells why.

use super::{Normalizer, Total, cuda_classes as cuda};
use crate::{
    ops::{
        elementwise, reduce,
        softmax::{Axes, BadLabel, class, is_ignored},
    },
    tensor::{Buffer, Device},
};

/// Probabilities below this count as this, as in Caffe.
const LEAST: f32 = 1e-20;

/// `LEAST` for smaller values; NaN stays.
fn bounded(probability: f32) -> f32 {
    if probability < LEAST { LEAST } else { probability }
}

/// For N rows of classes (inner 1): margins = max(0, 1 + x), 1 − x for the label's class; loss = Σ margins / N, or Σ margins² / N when
/// `squared`.
///
/// # Errors
/// When a label is no class.
pub fn hinge(
    device: Device,
    axes: Axes,
    [x, labels]: [&Buffer; 2],
    margins: &Buffer,
    squared: bool,
    total: &Total,
    loss: &Buffer,
) -> Result<(), BadLabel> {
    match device {
        Device::Cpu => {
            elementwise::copy(device, x, margins);
            flip(axes, &labels.host(), &mut margins.host_mut())?;
            elementwise::cpu::map(margins, margins, |x| if 1.0 + x < 0.0 { 0.0 } else { 1.0 + x });
            let margins = margins.host();
            let sum = if squared { reduce::sum_of_squares(&margins) } else { reduce::absolute_sum(&margins) };
            total.finish(sum, 0, Normalizer::Fixed(axes.outer as f32), 1.0, loss);
        }
        Device::Cuda(card) => cuda::hinge(card, axes, [x, labels], margins, squared, total, loss),
    }
    Ok(())
}

/// dx = ±v where the margin is above 0, or ±v · 2 · margin when squared; minus for the label's class; v is the loss's own gradient / N. The
/// labels must have passed [`hinge`].
pub fn hinge_backward(
    device: Device,
    axes: Axes,
    [labels, margins, loss_diff]: [&Buffer; 3],
    squared: bool,
    total: &Total,
    dx: &Buffer,
) {
    match device {
        Device::Cpu => {
            let weight = total.weight(loss_diff);
            if squared {
                elementwise::cpu::map(margins, dx, move |margin| weight * 2.0 * margin);
            } else {
                elementwise::cpu::map(margins, dx, move |margin| if margin > 0.0 { weight } else { 0.0 });
            }
            // The labels were checked when the margins were computed.
            let _checked = flip(axes, &labels.host(), &mut dx.host_mut());
        }
        Device::Cuda(card) => cuda::hinge_backward(card, axes, [labels, margins, loss_diff], squared, total, dx),
    }
}

/// Changes the sign of each row's value for the label's class.
fn flip(axes: Axes, labels: &[f32], values: &mut [f32]) -> Result<(), BadLabel> {
    for (index, (&value, row)) in labels.iter().zip(values.chunks_exact_mut(axes.channels.max(1))).enumerate() {
        let class = class(value, axes.channels).ok_or(BadLabel { index, value })?;
        row[class] = -row[class];
    }
    Ok(())
}

/// loss = Σ -ln p(label) / N over N rows of probabilities.
///
/// # Errors
/// When a label is no class.
pub fn multinomial_logistic(
    device: Device,
    axes: Axes,
    [x, labels]: [&Buffer; 2],
    total: &Total,
    loss: &Buffer,
) -> Result<(), BadLabel> {
    match device {
        Device::Cpu => {
            let (x, labels) = (x.host(), labels.host());
            let mut sum = 0.0;
            for (index, &value) in labels.iter().enumerate() {
                let class = class(value, axes.channels).ok_or(BadLabel { index, value })?;
                sum -= bounded(x[index * axes.channels + class]).ln();
            }
            total.finish(sum, 0, Normalizer::Fixed(axes.outer as f32), 1.0, loss);
        }
        Device::Cuda(card) => cuda::multinomial(card, axes, [x, labels], total, loss),
    }
    Ok(())
}

/// dx = −v / p for the label's class, 0 for others; v is the loss's own gradient / N. The labels must have passed
/// [`multinomial_logistic`].
pub fn multinomial_logistic_backward(
    device: Device,
    axes: Axes,
    [x, labels, loss_diff]: [&Buffer; 3],
    total: &Total,
    dx: &Buffer,
) {
    match device {
        Device::Cpu => {
            elementwise::fill(device, 0.0, dx);
            let weight = total.weight(loss_diff);
            let (x, labels, mut dx) = (x.host(), labels.host(), dx.host_mut());
            for (index, &label) in labels.iter().enumerate() {
                if let Some(class) = class(label, axes.channels) {
                    let place = index * axes.channels + class;
                    dx[place] = -weight / bounded(x[place]);
                }
            }
        }
        Device::Cuda(card) => cuda::multinomial_backward(card, axes, [x, labels, loss_diff], total, dx),
    }
}

/// loss = Σ −H(label, k)·ln p(k) over all classes k and all places whose label is not `ignore`, divided by the normalizer; `matrix` is H,
/// classes × classes.
///
/// # Errors
/// When a label is no class.
pub fn infogain(
    device: Device,
    axes: Axes,
    [probabilities, labels, matrix]: [&Buffer; 3],
    ignore: Option<i32>,
    normalizer: Normalizer,
    total: &Total,
    loss: &Buffer,
) -> Result<(), BadLabel> {
    match device {
        Device::Cpu => {
            let (probabilities, labels, matrix) = (probabilities.host(), labels.host(), matrix.host());
            let (mut sum, mut counted) = (0.0_f32, 0);
            for (index, &value) in labels.iter().enumerate().filter(|(_, label)| !is_ignored(**label, ignore)) {
                let class = class(value, axes.channels).ok_or(BadLabel { index, value })?;
                let row = &matrix[class * axes.channels..][..axes.channels];
                let first = first_of(axes, index);
                for (k, gain) in row.iter().enumerate() {
                    sum -= gain * bounded(probabilities[first + k * axes.inner]).ln();
                }
                counted += 1;
            }
            total.finish(sum, counted, normalizer, 1.0, loss);
        }
        Device::Cuda(card) => {
            cuda::infogain(card, axes, [probabilities, labels, matrix], ignore, normalizer, total, loss);
        }
    }
    Ok(())
}

/// dx(k) = v · (p(k) · Σ H(label, ·) − H(label, k)), 0 for ignored places; v is the loss's own gradient / normalizer. The labels must have
/// passed [`infogain`].
pub fn infogain_backward(
    device: Device,
    axes: Axes,
    [probabilities, labels, matrix, loss_diff]: [&Buffer; 4],
    ignore: Option<i32>,
    total: &Total,
    dx: &Buffer,
) {
    match device {
        Device::Cuda(card) => {
            cuda::infogain_backward(card, axes, [probabilities, labels, matrix, loss_diff], ignore, total, dx);
        }
        Device::Cpu => {
            let weight = total.weight(loss_diff);
            let (probabilities, labels, matrix) = (probabilities.host(), labels.host(), matrix.host());
            let mut dx = dx.host_mut();
            for (index, &label) in labels.iter().enumerate() {
                let first = first_of(axes, index);
                let class = class(label, axes.channels).filter(|_| !is_ignored(label, ignore));
                let row = class.map(|class| &matrix[class * axes.channels..][..axes.channels]);
                let sum: f32 = row.map_or(0.0, |row| row.iter().sum());
                for k in 0..axes.channels {
                    let place = first + k * axes.inner;
                    dx[place] = row.map_or(0.0, |row| weight * (probabilities[place] * sum - row[k]));
                }
            }
        }
    }
}

/// The index of class 0 at a label's place.
fn first_of(axes: Axes, label: usize) -> usize {
    label / axes.inner * axes.channels * axes.inner + label % axes.inner
}
