//! `Log`: y = log(`shift` + `scale`·x), the logarithm to the base `base`.
//!
//! | option (`log_param`) | default | meaning |
//! |---|---|---|
//! | `base` | -1 | a positive number but 1, or -1 for e |
//! | `scale` | 1 | |
//! | `shift` | 0 | |
//!
//! Bottom: x of any shape. Top: y, shaped as x.

use crate::{
    error::{Error, Result},
    layers::{Layer, neuron::Neuron},
    ops::activation::Activation,
    proto::LayerParameter,
};

/// Reads and checks the options.
///
/// # Errors
/// When `base` is neither positive nor -1, or is 1.
pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    let options = layer.log_param.unwrap_or_default();
    let logarithm = checked_base(options.base(), "log_param.base")?.map_or(1.0, f32::ln);
    if logarithm == 0.0 {
        return Err(Error::config("log_param.base", "must not be 1: there is no logarithm to the base 1"));
    }
    let (scale, shift) = (options.scale(), options.shift());
    Ok(Neuron::boxed(Activation::Log { scale, shift, outer: 1.0 / logarithm, slope: scale / logarithm }))
}

/// The base as a number; None for e.
///
/// # Errors
/// When it is neither positive and finite nor -1; `field` names the option.
pub fn checked_base(base: f32, field: &str) -> Result<Option<f32>> {
    if base == -1.0 {
        Ok(None)
    } else if base > 0.0 && base.is_finite() {
        Ok(Some(base))
    } else {
        Err(Error::config(field, format!("{base} is not a base: give a positive number, or -1 for e")))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{LayerParameter, LogParameter},
    };

    fn log(base: f32, scale: f32, shift: f32) -> LayerParameter {
        let log_param = Some(LogParameter { base: Some(base), scale: Some(scale), shift: Some(shift) });
        LayerParameter { r#type: Some("Log".into()), log_param, ..Default::default() }
    }

    #[test]
    fn values_and_gradients() {
        let x: Vec<f32> = values(12, 1).iter().map(|x| 2.0 + x).collect();
        for (base, scale, shift) in [(-1.0, 1.0, 0.0), (2.0, 1.0, 0.0), (2.0, 3.0, 1.0), (-1.0, 0.5, 1.0)] {
            let mut trial = Trial::of(&log(base, scale, shift)).bottom([12], x.clone()).run().unwrap();
            let number = if base == -1.0 { std::f32::consts::E } else { base };
            let expected: Vec<f32> = x.iter().map(|x| (shift + scale * x).log(number)).collect();
            assert_close(&trial.top(0), &expected);
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn wrong_bases_are_named() {
        for base in [0.0, -2.0, 1.0] {
            let error = Trial::of(&log(base, 1.0, 0.0)).build().err().unwrap();
            assert!(error.to_string().contains("log_param.base"));
        }
    }
}
