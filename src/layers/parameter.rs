//! `Parameter`: a learned blob that depends on nothing.
//!
//! | option (`parameter_param`) | default | meaning |
//! |---|---|---|
//! | `shape` | required | its dimensions |
//!
//! No bottom. Top: the parameter's values; 0 at first. Its gradient is added to the parameter's.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, Setup},
    ops::elementwise,
    proto::{FillerParameter, LayerParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Parameter {
    shape: Shape,
}

impl Parameter {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `shape` is missing or has a dimension that is none.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.parameter_param.clone().unwrap_or_default();
        let field = "parameter_param.shape";
        let shape = options.shape.ok_or_else(|| Error::config(field, "is missing: give the parameter's dimensions"))?;
        let dims: Option<Vec<usize>> = shape.dim.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let count = dims.as_ref().and_then(|dims| dims.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim)));
        match (dims, count) {
            (Some(dims), Some(count)) if count <= i32::MAX as usize => {
                Ok(Box::new(Parameter { shape: Shape::new(dims) }))
            }
            _ => Err(Error::config(field, "dimensions must be 0 or more, and not too large")),
        }
    }
}

impl Layer for Parameter {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        setup.add_parameter(self.shape.clone(), &FillerParameter::default(), "parameter_param")
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.set_top_shape(0, &self.shape)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        elementwise::copy(io.device(), io.parameter(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_parameter_gradient(0) {
            let gradient = io.parameter(0).diff();
            elementwise::add(io.device(), io.top(0).diff(), gradient, gradient);
        }
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial},
        proto::{BlobShape, LayerParameter, ParameterParameter},
    };

    #[test]
    fn the_parameter_is_passed_on_and_learns() {
        let parameter_param = Some(ParameterParameter { shape: Some(BlobShape { dim: vec![2, 2] }) });
        let message = LayerParameter { r#type: Some("Parameter".into()), parameter_param, ..Default::default() };
        let mut trial = Trial::of(&message).run().unwrap();
        assert_eq!((trial.top_shape(0), trial.top(0)), (vec![2, 2], vec![0.0; 4]));
        GradientCheck::default().run_each(&mut trial);
    }

    #[test]
    fn wrong_shapes_are_named() {
        for dim in [vec![-1], vec![i64::MAX, 3]] {
            let parameter_param = Some(ParameterParameter { shape: Some(BlobShape { dim }) });
            let message = LayerParameter { r#type: Some("Parameter".into()), parameter_param, ..Default::default() };
            assert!(Trial::of(&message).build().err().unwrap().to_string().contains("parameter_param.shape"));
        }
    }
}
