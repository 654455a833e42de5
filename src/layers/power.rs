//! `Power`: y = (`shift` + `scale`·x)^`power`.
//!
//! | option (`power_param`) | default |
//! |---|---|
//! | `power` | 1 |
//! | `scale` | 1 |
//! | `shift` | 0 |
//!
//! Bottom: x of any shape. Top: y, shaped as x; may be x in place when `power` is 1 or nothing runs backward.
//! Gradient: as in Caffe power·y/x and the like, so NaN where the base is 0 and `power` is neither 1 nor 2.

use crate::{
    error::Result,
    layers::{Layer, neuron::Neuron},
    ops::activation::Activation,
    proto::LayerParameter,
};

/// Reads the options.
///
/// # Errors
/// None: every value is allowed.
pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    let options = layer.power_param.unwrap_or_default();
    let (power, scale, shift) = (options.power(), options.scale(), options.shift());
    Ok(Neuron::boxed(Activation::Power { power, scale, shift }))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{LayerParameter, PowerParameter},
    };

    fn power(power: f32, scale: f32, shift: f32) -> LayerParameter {
        let options = PowerParameter { power: Some(power), scale: Some(scale), shift: Some(shift) };
        LayerParameter { r#type: Some("Power".into()), power_param: Some(options), ..Default::default() }
    }

    #[test]
    fn values_and_gradients() {
        // The base stays away from 0, where the gradient grows without bound.
        let x: Vec<f32> = values(12, 1).iter().map(|x| 1.5 + x).collect();
        let cases = [(0.37, 0.83, 0.4), (0.37, 0.83, 0.0), (2.0, 0.34, -2.4), (3.0, 1.0, 0.0), (1.0, 0.83, -2.4)];
        let constant = [(0.0, 0.83, -2.4), (2.0, 0.0, -2.4)];
        for (exponent, scale, shift) in cases.into_iter().chain(constant) {
            let mut trial = Trial::of(&power(exponent, scale, shift)).bottom([3, 4], x.clone()).run().unwrap();
            let expected: Vec<f32> = x.iter().map(|x| (shift + scale * x).powf(exponent)).collect();
            assert_close(&trial.top(0), &expected);
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn in_place_learns_only_when_it_is_linear() {
        let mut trial = Trial::of(&power(1.0, 0.5, 2.0)).bottom([4], values(4, 1)).in_place().run().unwrap();
        GradientCheck::default().run_each(&mut trial);
        let mut trial = Trial::of(&power(2.0, 0.5, 2.0)).bottom([4], values(4, 1)).in_place().run().unwrap();
        assert!(trial.backward().unwrap_err().to_string().contains("give the top another name"));
    }
}
