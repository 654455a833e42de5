//! `Embed`: looks up a learned vector for each number.
//!
//! | option (`embed_param`) | default | meaning |
//! |---|---|---|
//! | `num_output` | required | M, the length of a vector |
//! | `input_dim` | required | K, how many vectors there are |
//! | `bias_term` | true | add a bias to each |
//! | `weight_filler`, `bias_filler` | constant 0 | initial values, drawn in this order |
//!
//! Bottom: numbers from 0 to K−1, of any shape. Top: the vectors, shaped as the bottom and ×M. Parameters: vectors K×M, bias M.
//! The bottom has no gradient.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, Setup, loss},
    ops::{
        movement::{self, Moves, Runs, Spacing},
        softmax,
    },
    proto::{EmbedParameter, LayerParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Embed {
    options: EmbedParameter,
    length: usize,
    vectors: usize,
    /// From the vectors to the top.
    moves: Moves,
    back: Moves,
}

impl Embed {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `num_output` or `input_dim` is missing.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.embed_param.clone().unwrap_or_default();
        for (value, field) in [(options.num_output(), "num_output"), (options.input_dim(), "input_dim")] {
            if value == 0 {
                return Err(Error::config(format!("embed_param.{field}"), "must be given, and at least 1"));
            }
        }
        let (length, vectors) = (options.num_output() as usize, options.input_dim() as usize);
        Ok(Box::new(Embed { options, length, vectors, moves: Moves::default(), back: Moves::default() }))
    }
}

impl Layer for Embed {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let filler = self.options.weight_filler.clone().unwrap_or_default();
        setup.add_parameter(Shape::from([self.vectors, self.length]), &filler, "embed_param.weight_filler")?;
        if self.options.bias_term() {
            let filler = self.options.bias_filler.clone().unwrap_or_default();
            setup.add_parameter(Shape::from([self.length]), &filler, "embed_param.bias_filler")?;
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let mut dims = io.bottom(0).shape().dims().to_vec();
        dims.push(self.length);
        io.set_top_shape(0, &Shape::new(dims))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let mut moves = Vec::with_capacity(io.bottom(0).count());
        for (place, &number) in io.bottom(0).data().host().iter().enumerate() {
            let vector = softmax::class(number, self.vectors).ok_or_else(|| {
                let message = format!("{number} (value {place}) is not one of the input_dim: {} numbers", self.vectors);
                Error::data("bottom", message)
            })?;
            moves.push((vector * self.length, place * self.length));
        }
        self.moves.set(moves);
        let (device, y) = (io.device(), io.top(0).data());
        movement::copy_listed(device, self.length, &self.moves, io.parameter(0).data(), y);
        if self.options.bias_term() {
            let (from, to) = (Spacing { start: 0, step: 0 }, Spacing { start: 0, step: self.length });
            let runs = Runs { count: self.moves.list().len(), length: self.length, from, to };
            movement::add_runs(device, runs, io.parameter(1).data(), y);
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            return Err(loss::no_label_gradient());
        }
        let (device, dy) = (io.device(), io.top(0).diff());
        if io.wants_parameter_gradient(0) {
            self.back.set(self.moves.list().iter().map(|&(vector, place)| (place, vector)));
            movement::add_listed(device, self.length, &self.back, dy, io.parameter(0).diff());
        }
        if self.options.bias_term() && io.wants_parameter_gradient(1) {
            self.back.set(self.moves.list().iter().map(|&(_, place)| (place, 0)));
            movement::add_listed(device, self.length, &self.back, dy, io.parameter(1).diff());
        }
        Ok(())
    }

    fn allows_forced_gradient(&self, _bottom: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{EmbedParameter, LayerParameter},
    };

    fn embed(bias: bool) -> LayerParameter {
        let options =
            EmbedParameter { num_output: Some(2), input_dim: Some(3), bias_term: Some(bias), ..Default::default() };
        LayerParameter { r#type: Some("Embed".into()), embed_param: Some(options), ..Default::default() }
    }

    #[test]
    fn vectors_are_looked_up() {
        let mut trial = Trial::of(&embed(true)).constant([1, 3], [2.0, 0.0, 2.0]).build().unwrap();
        trial.parameter(0).data().host_mut().copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        trial.parameter(1).data().host_mut().copy_from_slice(&[10.0, 20.0]);
        trial.forward().unwrap();
        assert_eq!((trial.top_shape(0), trial.top(0)), (vec![1, 3, 2], vec![15.0, 26.0, 11.0, 22.0, 15.0, 26.0]));
    }

    #[test]
    fn gradients() {
        for bias in [false, true] {
            let mut trial = Trial::of(&embed(bias)).constant([4], [2.0, 0.0, 2.0, 1.0]).run().unwrap();
            trial.parameter(0).data().host_mut().copy_from_slice(&values(6, 1));
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn wrong_numbers_are_named() {
        let error = Trial::of(&embed(false)).constant([1], [3.0]).run().err().unwrap();
        assert!(error.to_string().contains("3 (value 0) is not one of the input_dim: 3 numbers"));
    }
}
