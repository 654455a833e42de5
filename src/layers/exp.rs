//! `Exp`: y = `base`^(`shift` + `scale`·x).
//!
//! | option (`exp_param`) | default | meaning |
//! |---|---|---|
//! | `base` | -1 | a positive number, or -1 for e |
//! | `scale` | 1 | |
//! | `shift` | 0 | |
//!
//! Bottom: x of any shape. Top: y, shaped as x; may be x in place.

use crate::{
    error::Result,
    layers::{Layer, neuron::Neuron},
    ops::activation::Activation,
    proto::LayerParameter,
};

/// Reads and checks the options.
///
/// # Errors
/// When `base` is neither positive nor -1.
pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    let options = layer.exp_param.unwrap_or_default();
    let base = super::log::checked_base(options.base(), "exp_param.base")?;
    let inner = base.map_or(1.0, f32::ln) * options.scale();
    let outer = if options.shift() == 0.0 {
        1.0
    } else {
        base.map_or(options.shift().exp(), |base| base.powf(options.shift()))
    };
    Ok(Neuron::boxed(Activation::Exp { inner, outer }))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{ExpParameter, LayerParameter},
    };

    fn exp(base: f32, scale: f32, shift: f32) -> LayerParameter {
        let exp_param = Some(ExpParameter { base: Some(base), scale: Some(scale), shift: Some(shift) });
        LayerParameter { r#type: Some("Exp".into()), exp_param, ..Default::default() }
    }

    #[test]
    fn values_and_gradients() {
        let x = values(12, 1);
        for (base, scale, shift) in [(-1.0, 1.0, 0.0), (2.0, 1.0, 0.0), (2.0, 3.0, 1.0), (-1.0, 0.5, -1.0)] {
            let mut trial = Trial::of(&exp(base, scale, shift)).bottom([12], x.clone()).run().unwrap();
            let number = if base == -1.0 { std::f32::consts::E } else { base };
            let expected: Vec<f32> = x.iter().map(|x| number.powf(shift + scale * x)).collect();
            assert_close(&trial.top(0), &expected);
            GradientCheck { step: 1e-3, ..GradientCheck::default() }.run_each(&mut trial);
        }
    }

    #[test]
    fn wrong_bases_are_named() {
        for base in [0.0, -2.0, f32::INFINITY] {
            let error = Trial::of(&exp(base, 1.0, 0.0)).build().err().unwrap();
            assert!(error.to_string().contains("exp_param.base"));
        }
    }
}
