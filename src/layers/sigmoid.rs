//! `Sigmoid`: y = 1 / (1 + e⁻ˣ).
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
    Ok(Neuron::boxed(Activation::Sigmoid))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::LayerParameter,
    };

    #[test]
    fn values_and_gradients_apart_and_in_place() {
        let message = LayerParameter { r#type: Some("Sigmoid".into()), ..Default::default() };
        let x = values(24, 1);
        let expected: Vec<f32> = x.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
        for trial in [Trial::of(&message), Trial::of(&message).in_place()] {
            let mut trial = trial.bottom([2, 3, 4], x.clone()).run().unwrap();
            assert_close(&trial.top(0), &expected);
            GradientCheck::default().run_each(&mut trial);
        }
    }
}
