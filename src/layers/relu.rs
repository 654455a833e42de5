//! `ReLU`: y = x where x > 0, `negative_slope`·x elsewhere (Nair and Hinton, *Rectified Linear Units Improve Restricted
//! Boltzmann Machines*, ICML 2010).
//!
//! | option (`relu_param`) | default | meaning |
//! |---|---|---|
//! | `negative_slope` | 0 | slope below 0 ("leaky" when not 0) |
//!
//! Bottom: x of any shape. Top: y, shaped as x; may be x in place.

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
    let options = layer.relu_param.unwrap_or_default();
    Ok(Neuron::boxed(Activation::Relu { negative_slope: options.negative_slope() }))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{LayerParameter, ReLuParameter},
    };

    fn relu(negative_slope: f32) -> LayerParameter {
        let relu_param = Some(ReLuParameter { negative_slope: Some(negative_slope), ..Default::default() });
        LayerParameter { r#type: Some("ReLU".into()), relu_param, ..Default::default() }
    }

    #[test]
    fn negative_values_become_zero_and_nan_stays() {
        let trial = Trial::of(&relu(0.0)).bottom([4], [-2.0, 0.0, 3.0, f32::NAN]).run().unwrap();
        assert_eq!(trial.top(0)[..3], [0.0, 0.0, 3.0]);
        assert!(trial.top(0)[3].is_nan());
    }

    #[test]
    fn in_place_gives_the_same_as_apart() {
        let x = values(40_000, 1);
        let mut apart = Trial::of(&relu(0.1)).bottom([40_000], x.clone()).run().unwrap();
        let mut in_place = Trial::of(&relu(0.1)).bottom([40_000], x).in_place().run().unwrap();
        for trial in [&mut apart, &mut in_place] {
            trial.set_top_diff(0, &values(40_000, 2));
            trial.backward().unwrap();
        }
        assert_eq!(apart.top(0), in_place.top(0));
        assert_eq!(apart.bottom_diff(0), in_place.bottom_diff(0));
    }

    #[test]
    fn gradients() {
        for slope in [0.0, 0.2] {
            let mut trial = Trial::of(&relu(slope)).bottom([2, 3, 4], values(24, 3)).run().unwrap();
            GradientCheck::away_from(0.0, 0.01).run_each(&mut trial);
        }
    }
}
