//! `BNLL`: y = ln(1 + eˣ), the binomial normal log likelihood; a smooth ReLU.
//!
//! No options. Bottom: x of any shape. Top: y, shaped as x.

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
    Ok(Neuron::boxed(Activation::Bnll))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::LayerParameter,
    };

    #[test]
    fn values_and_gradients() {
        let message = LayerParameter { r#type: Some("BNLL".into()), ..Default::default() };
        let mut trial = Trial::of(&message).bottom([4], [-200.0, 0.0, 1.0, 200.0]).run().unwrap();
        assert_close(&trial.top(0), &[0.0, 2_f32.ln(), 1.313_261_7, 200.0]);
        trial.set_top_diff(0, &[1.0; 4]);
        trial.backward().unwrap();
        assert_close(&trial.bottom_diff(0), &[0.0, 0.5, 0.731_058_6, 1.0]);
        GradientCheck::default().run_each(&mut Trial::of(&message).bottom([12], values(12, 1)).run().unwrap());
    }
}
