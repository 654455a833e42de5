//! Losses of classes: scores or probabilities for each class, and labels. On the host; sums run from first to last as in Caffe.

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

/// For N rows of classes (inner 1): margins = max(0, 1 + x), 1 − x for the label's class; returns Σ margins, or Σ margins²
/// when `squared`.
///
/// # Errors
/// When a label is no class.
pub fn hinge(
    device: Device,
    axes: Axes,
    x: &Buffer,
    labels: &Buffer,
    margins: &Buffer,
    squared: bool,
) -> Result<f32, BadLabel> {
    elementwise::copy(device, x, margins);
    match device {
        Device::Cpu | Device::Cuda(_) => {
            flip(axes, &labels.host(), &mut margins.host_mut())?;
            elementwise::cpu::map(margins, margins, |x| if 1.0 + x < 0.0 { 0.0 } else { 1.0 + x });
            let margins = margins.host();
            Ok(if squared { reduce::sum_of_squares(&margins) } else { reduce::absolute_sum(&margins) })
        }
    }
}

/// dx = ±weight where the margin is above 0, or ±weight · 2 · margin when squared; minus for the label's class. The labels must
/// have passed [`hinge`].
pub fn hinge_backward(
    device: Device,
    axes: Axes,
    labels: &Buffer,
    margins: &Buffer,
    (weight, squared): (f32, bool),
    dx: &Buffer,
) {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            if squared {
                elementwise::cpu::map(margins, dx, move |margin| weight * 2.0 * margin);
            } else {
                elementwise::cpu::map(margins, dx, move |margin| if margin > 0.0 { weight } else { 0.0 });
            }
            // The labels were checked when the margins were computed.
            let _checked = flip(axes, &labels.host(), &mut dx.host_mut());
        }
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

/// Σ -ln p(label) over rows of probabilities.
///
/// # Errors
/// When a label is no class.
pub fn multinomial_logistic(device: Device, axes: Axes, x: &Buffer, labels: &Buffer) -> Result<f32, BadLabel> {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            let (x, labels) = (x.host(), labels.host());
            let mut loss = 0.0;
            for (index, &value) in labels.iter().enumerate() {
                let class = class(value, axes.channels).ok_or(BadLabel { index, value })?;
                loss -= bounded(x[index * axes.channels + class]).ln();
            }
            Ok(loss)
        }
    }
}

/// dx = −weight / p for the label's class, 0 for others. The labels must have passed [`multinomial_logistic`].
pub fn multinomial_logistic_backward(
    device: Device,
    axes: Axes,
    x: &Buffer,
    labels: &Buffer,
    weight: f32,
    dx: &Buffer,
) {
    elementwise::fill(device, 0.0, dx);
    match device {
        Device::Cpu | Device::Cuda(_) => {
            let (x, labels, mut dx) = (x.host(), labels.host(), dx.host_mut());
            for (index, &label) in labels.iter().enumerate() {
                if let Some(class) = class(label, axes.channels) {
                    let place = index * axes.channels + class;
                    dx[place] = -weight / bounded(x[place]);
                }
            }
        }
    }
}

/// Σ −H(label, k)·ln p(k) over all classes k and all places whose label is not `ignore`, and the number of these places; `matrix`
/// is H, classes × classes.
///
/// # Errors
/// When a label is no class.
pub fn infogain(
    device: Device,
    axes: Axes,
    [probabilities, labels, matrix]: [&Buffer; 3],
    ignore: Option<i32>,
) -> Result<(f32, usize), BadLabel> {
    match device {
        Device::Cpu | Device::Cuda(_) => {
            let (probabilities, labels, matrix) = (probabilities.host(), labels.host(), matrix.host());
            let (mut loss, mut counted) = (0.0_f32, 0);
            for (index, &value) in labels.iter().enumerate().filter(|(_, label)| !is_ignored(**label, ignore)) {
                let class = class(value, axes.channels).ok_or(BadLabel { index, value })?;
                let row = &matrix[class * axes.channels..][..axes.channels];
                let first = first_of(axes, index);
                for (k, gain) in row.iter().enumerate() {
                    loss -= gain * bounded(probabilities[first + k * axes.inner]).ln();
                }
                counted += 1;
            }
            Ok((loss, counted))
        }
    }
}

/// dx(k) = weight · (p(k) · Σ H(label, ·) − H(label, k)), 0 for ignored places. The labels must have passed [`infogain`].
pub fn infogain_backward(
    device: Device,
    axes: Axes,
    [probabilities, labels, matrix]: [&Buffer; 3],
    ignore: Option<i32>,
    weight: f32,
    dx: &Buffer,
) {
    match device {
        Device::Cpu | Device::Cuda(_) => {
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
