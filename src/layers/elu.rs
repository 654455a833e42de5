//! `ELU`: y = x where x > 0, `alpha`·(eˣ − 1) elsewhere (Clevert et al., *Fast and Accurate Deep Network Learning by Exponential
//! Linear Units*, ICLR 2016).
//!
//! | option (`elu_param`) | default | meaning |
//! |---|---|---|
//! | `alpha` | 1 | minus the limit for x → −∞ |
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
    Ok(Neuron::boxed(Activation::Elu { alpha: layer.elu_param.unwrap_or_default().alpha() }))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{EluParameter, LayerParameter},
    };

    #[test]
    fn values_and_gradients_apart_and_in_place() {
        let elu_param = Some(EluParameter { alpha: Some(0.5) });
        let message = LayerParameter { r#type: Some("ELU".into()), elu_param, ..Default::default() };
        let x = values(24, 1);
        let expected: Vec<f32> = x.iter().map(|&x| if x > 0.0 { x } else { 0.5 * x.exp_m1() }).collect();
        for trial in [Trial::of(&message), Trial::of(&message).in_place()] {
            let mut trial = trial.bottom([24], x.clone()).run().unwrap();
            assert_close(&trial.top(0), &expected);
            GradientCheck::away_from(0.0, 0.01).run_each(&mut trial);
        }
    }
}
