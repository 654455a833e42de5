//! `AbsVal`: y = |x|.
//!
//! No options. Bottom: x of any shape. Top: y, shaped as x. The gradient at 0 is 0.

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
    Ok(Neuron::boxed(Activation::AbsVal))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::LayerParameter,
    };

    #[test]
    fn values_and_gradients() {
        let message = LayerParameter { r#type: Some("AbsVal".into()), ..Default::default() };
        let mut trial = Trial::of(&message).bottom([3], [-2.0, 0.0, 3.0]).run().unwrap();
        trial.set_top_diff(0, &[1.0; 3]);
        trial.backward().unwrap();
        assert_eq!((trial.top(0), trial.bottom_diff(0)), (vec![2.0, 0.0, 3.0], vec![-1.0, 0.0, 1.0]));
        let mut trial = Trial::of(&message).bottom([24], values(24, 1)).run().unwrap();
        GradientCheck::away_from(0.0, 0.01).run_each(&mut trial);
    }
}
