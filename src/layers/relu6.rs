//! `ReLU6`: y = min(max(x, 0), 6), with a gradient only where 0 < x < 6 (the layer that MobileNet's ports added to Caffe).
//!
//! No options of its own; `relu_param` may be there as far as it changes nothing.
//!
//! Bottom: x of any shape. Top: y, shaped as x; may be x in place.

use crate::{
    error::{Error, Result},
    layers::{Layer, neuron::Neuron},
    ops::activation::Activation,
    proto::LayerParameter,
};

/// Reads the options.
///
/// # Errors
/// When `relu_param` asks for a slope below 0.
pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    if layer.relu_param.unwrap_or_default().negative_slope() != 0.0 {
        return Err(Error::config("relu_param.negative_slope", "ReLU6 has none; remove it"));
    }
    Ok(Neuron::boxed(Activation::Relu6))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{LayerParameter, ReLuParameter},
    };

    fn message() -> LayerParameter {
        LayerParameter { r#type: Some("ReLU6".into()), ..Default::default() }
    }

    #[test]
    fn values_are_held_and_gradients_stop_at_both_ends() {
        let x = [-1.0, 0.0, 0.5, 5.5, 6.0, 7.0];
        for in_place in [false, true] {
            let trial = Trial::of(&message()).bottom([6], x);
            let mut trial = if in_place { trial.in_place() } else { trial }.run().unwrap();
            assert_eq!(trial.top(0), [0.0, 0.0, 0.5, 5.5, 6.0, 6.0]);
            trial.set_top_diff(0, &[2.0; 6]);
            trial.backward().unwrap();
            assert_eq!(trial.bottom_diff(0), [0.0, 0.0, 2.0, 2.0, 0.0, 0.0]);
        }
        assert!(Trial::of(&message()).bottom([1], [f32::NAN]).run().unwrap().top(0)[0].is_nan());
    }

    #[test]
    fn gradients() {
        let x: Vec<f32> = values(24, 1).iter().map(|value| 3.0 + 4.0 * value).collect();
        assert!(x.iter().all(|x| x.abs() > 0.02 && (x - 6.0).abs() > 0.02));
        let mut trial = Trial::of(&message()).bottom([2, 3, 4], x).run().unwrap();
        GradientCheck::default().run_each(&mut trial);
    }

    #[test]
    fn a_leaky_slope_is_refused() {
        let relu_param = Some(ReLuParameter { negative_slope: Some(0.1), ..Default::default() });
        let leaky = LayerParameter { relu_param, ..message() };
        let error = Trial::of(&leaky).bottom([1], [1.0]).build().err().unwrap().to_string();
        assert!(error.contains("relu_param.negative_slope"), "{error}");
    }
}
