//! `Flatten`: several axes become one.
//!
//! | option (`flatten_param`) | default | meaning |
//! |---|---|---|
//! | `axis` | 1 | the first axis to join; negative counts from the end |
//! | `end_axis` | -1 | the last |
//!
//! Bottom: x. Top: y, x's memory in another shape; N×C×H×W becomes N×CHW by default.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer},
    proto::{FlattenParameter, LayerParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Flatten {
    options: FlattenParameter,
}

impl Flatten {
    /// Reads the options.
    ///
    /// # Errors
    /// None: they are checked against the bottom's shape.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Flatten { options: layer.flatten_param.unwrap_or_default() }))
    }
}

impl Layer for Flatten {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        let first = shape.axis(self.options.axis(), "flatten_param.axis")?;
        let last = shape.axis(self.options.end_axis(), "flatten_param.end_axis")?;
        if last < first {
            let message = format!("axis {last} lies before axis {first}, where flattening begins");
            return Err(Error::config("flatten_param.end_axis", message));
        }
        let mut dims = shape.dims()[..first].to_vec();
        dims.push(shape.dims()[first..=last].iter().product());
        dims.extend(&shape.dims()[last + 1..]);
        io.set_top_shape(0, &Shape::new(dims))?;
        io.share_data(0, 0);
        io.share_diff(0, 0);
        Ok(())
    }

    fn forward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn backward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        error::Result,
        layers::testing::{GradientCheck, Trial, values},
        proto::{FlattenParameter, LayerParameter},
    };

    fn flatten(axis: Option<i32>, end_axis: Option<i32>) -> Result<Trial> {
        let flatten_param = Some(FlattenParameter { axis, end_axis });
        let message = LayerParameter { r#type: Some("Flatten".into()), flatten_param, ..Default::default() };
        Trial::of(&message).bottom([2, 3, 2, 2], values(24, 1)).run()
    }

    #[test]
    fn axes_are_joined() {
        assert_eq!(flatten(None, None).unwrap().top_shape(0), [2, 12]);
        assert_eq!(flatten(Some(0), Some(2)).unwrap().top_shape(0), [12, 2]);
        assert_eq!(flatten(Some(-3), Some(-2)).unwrap().top_shape(0), [2, 6, 2]);
        assert!(flatten(Some(2), Some(1)).err().unwrap().to_string().contains("flatten_param.end_axis"));
        assert!(flatten(Some(4), None).err().unwrap().to_string().contains("flatten_param.axis"));
    }

    #[test]
    fn gradients() {
        GradientCheck::default().run_each(&mut flatten(None, None).unwrap());
    }
}
