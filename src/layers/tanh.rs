//! `TanH`: y = (e²ˣ − 1) / (e²ˣ + 1).
//!
//! No options. Bottom: x of any shape. Top: y, shaped as x; may be x in place.

use crate::{
    error::Result,
    layers::{Layer, neuron::Neuron},
    ops::activation::Activation,
    proto::LayerParameter,
};

/// Makes the layer.
///
/// # Errors
/// None: there are no options.
pub fn new_layer(_layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    Ok(Neuron::boxed(Activation::TanH))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::LayerParameter,
    };

    #[test]
    fn values_and_gradients_apart_and_in_place() {
        let message = LayerParameter { r#type: Some("TanH".into()), ..Default::default() };
        let x: Vec<f32> = values(24, 1).iter().map(|x| 2.0 * x).collect();
        let expected: Vec<f32> = x.iter().map(|x| x.tanh()).collect();
        for trial in [Trial::of(&message), Trial::of(&message).in_place()] {
            let mut trial = trial.bottom([2, 3, 4], x.clone()).run().unwrap();
            assert_close(&trial.top(0), &expected);
            GradientCheck::default().run_each(&mut trial);
        }
    }
}
