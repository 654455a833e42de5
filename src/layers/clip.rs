//! `Clip`: y = x, held between two bounds.
//!
//! | option (`clip_param`) | default |
//! |---|---|
//! | `min` | required |
//! | `max` | required |
//!
//! Bottom: x of any shape. Top: y, shaped as x. The gradient is passed on where `min` ≤ x ≤ `max`.

use crate::{
    error::{Error, Result},
    layers::{Layer, neuron::Neuron},
    ops::activation::Activation,
    proto::LayerParameter,
};

/// Reads and checks the options.
///
/// # Errors
/// When the bounds are missing or no value fits between them.
pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    let options = layer.clip_param.ok_or_else(|| Error::config("clip_param", "is missing: give min and max"))?;
    let (min, max) = (options.min, options.max);
    if min > max {
        return Err(Error::config("clip_param.min", format!("{min} is more than clip_param.max, {max}")));
    }
    Ok(Neuron::boxed(Activation::Clip { min, max }))
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{ClipParameter, LayerParameter},
    };

    fn clip(min: f32, max: f32) -> LayerParameter {
        let clip_param = Some(ClipParameter { min, max });
        LayerParameter { r#type: Some("Clip".into()), clip_param, ..Default::default() }
    }

    #[test]
    fn values_and_gradients() {
        let mut trial = Trial::of(&clip(-1.0, 2.0)).bottom([4], [-3.0, -1.0, 1.5, 2.5]).run().unwrap();
        trial.set_top_diff(0, &[1.0; 4]);
        trial.backward().unwrap();
        assert_eq!((trial.top(0), trial.bottom_diff(0)), (vec![-1.0, -1.0, 1.5, 2.0], vec![0.0, 1.0, 1.0, 0.0]));
        let mut trial = Trial::of(&clip(-0.5, 0.5)).bottom([24], values(24, 1)).run().unwrap();
        GradientCheck::away_from(0.5, 0.01).run_each(&mut trial);
    }

    #[test]
    fn wrong_bounds_are_named() {
        let error = Trial::of(&clip(1.0, 0.0)).bottom([1], [0.0]).build().err().unwrap();
        assert!(error.to_string().contains("clip_param.min: 1 is more than"));
        let message = LayerParameter { clip_param: None, ..clip(0.0, 1.0) };
        assert!(Trial::of(&message).build().err().unwrap().to_string().contains("clip_param: is missing"));
    }
}
