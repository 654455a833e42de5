//! `Input`: blobs that the caller fills.
//!
//! | option (`input_param`) | default | meaning |
//! |---|---|---|
//! | `shape` | none | once for all tops, or once for each |
//!
//! Bottoms: none. Tops: at least one, of the given shapes; without a shape they wait for
//! [`Net::reshape_input`](crate::net::Net::reshape_input).

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, dims_of},
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Input {
    shapes: Vec<Shape>,
    is_shaped: bool,
}

impl Input {
    /// Reads the options.
    ///
    /// # Errors
    /// When the number of shapes is not 0, 1 or the number of tops.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let given = layer.input_param.as_ref().map_or(&[][..], |options| &options.shape);
        if !(given.len() <= 1 || given.len() == layer.top.len()) {
            let message =
                format!("is given {} times for {} tops; give it once, or once for each", given.len(), layer.top.len());
            return Err(Error::config("input_param.shape", message));
        }
        let shapes = given.iter().map(|shape| dims_of(shape, "input_param.shape.dim")).collect::<Result<_>>()?;
        Ok(Box::new(Input { shapes, is_shaped: false }))
    }
}

impl Layer for Input {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        // Only once: later on the caller may have given the tops other shapes.
        if !self.is_shaped && !self.shapes.is_empty() {
            for top in 0..io.tops.len() {
                let shape = self.shapes.get(top).unwrap_or(&self.shapes[0]).clone();
                io.set_top_shape(top, &shape)?;
            }
        }
        self.is_shaped = true;
        Ok(())
    }

    fn forward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn backward(&mut self, _io: &mut Io<'_>) -> Result<()> {
        Ok(())
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::testing::Trial,
        proto::{BlobShape, InputParameter},
    };

    fn input(shapes: &[&[i64]], tops: usize) -> LayerParameter {
        let shape = shapes.iter().map(|dims| BlobShape { dim: dims.to_vec() }).collect();
        LayerParameter {
            r#type: Some("Input".into()),
            top: (0..tops).map(|top| top.to_string()).collect(),
            input_param: Some(InputParameter { shape }),
            ..Default::default()
        }
    }

    #[test]
    fn tops_take_their_shape_or_the_one_shape() {
        let trial = Trial::of(&input(&[&[2, 3], &[4]], 2)).tops(2).run().unwrap();
        assert_eq!((trial.top_shape(0), trial.top_shape(1)), (vec![2, 3], vec![4]));
        let trial = Trial::of(&input(&[&[2, 3]], 2)).tops(2).run().unwrap();
        assert_eq!(trial.top_shape(1), [2, 3]);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert!(Trial::of(&input(&[&[2], &[3]], 3)).tops(3).run().is_err());
        assert!(Trial::of(&input(&[&[2, -1]], 1)).run().is_err());
    }
}
