//! `Threshold`: y = 1 where x > `threshold`, 0 elsewhere.
//!
//! | option (`threshold_param`) | default |
//! |---|---|
//! | `threshold` | 0 |
//!
//! Bottom: x of any shape. Top: y, shaped as x; may be x in place. There is no gradient.

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
    Ok(Neuron::boxed(Activation::Threshold { threshold: layer.threshold_param.unwrap_or_default().threshold() }))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::Trial,
        proto::{LayerParameter, ThresholdParameter},
    };

    #[test]
    fn what_exceeds_the_threshold_is_one_and_nothing_behind_it_learns() {
        let threshold_param = Some(ThresholdParameter { threshold: Some(0.5) });
        let message = LayerParameter { r#type: Some("Threshold".into()), threshold_param, ..Default::default() };
        let mut trial = Trial::of(&message).bottom([3], [0.4, 0.5, 0.6]).run().unwrap();
        assert_eq!(trial.top(0), [0.0, 0.0, 1.0]);
        assert!(trial.backward().unwrap_err().to_string().contains("no gradient"));
    }
}
