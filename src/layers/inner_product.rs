//! `InnerProduct`: y = W·x + b for every x along the leading axes.
//!
//! | option (`inner_product_param`) | default | meaning |
//! |---|---|---|
//! | `num_output` | | N, the values of y |
//! | `bias_term` | true | learn b |
//! | `weight_filler`, `bias_filler` | constant 0 | initial values, drawn in this order |
//! | `axis` | 1 | first axis of x; the axes before it count the products; negative counts from the end |
//! | `transpose` | false | whether W is kept as K×N |
//!
//! Bottom: M×K, K over all axes from `axis` on. Top: the bottom's axes before `axis`, then N. Parameters: W of N×K (or K×N),
//! b of N.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, Setup, Work},
    ops::{
        elementwise,
        gemm::{self, Gemm},
    },
    proto::{InnerProductParameter, LayerParameter},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct InnerProduct {
    options: InnerProductParameter,
    outputs: usize,
    /// K, the values of x.
    depth: usize,
    /// M, the number of products.
    count: usize,
}

impl InnerProduct {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When `num_output` is missing or 0.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.inner_product_param.clone().unwrap_or_default();
        let outputs = options.num_output() as usize;
        if outputs == 0 {
            return Err(Error::config("inner_product_param.num_output", "must be at least 1"));
        }
        Ok(Box::new(InnerProduct { options, outputs, depth: 0, count: 0 }))
    }

    fn axis(&self, bottom: &Shape) -> Result<usize> {
        bottom.axis(self.options.axis(), "inner_product_param.axis")
    }
}

impl Layer for InnerProduct {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let bottom = &setup.bottoms[0];
        self.depth = bottom.count_from(self.axis(bottom)?);
        let weights = if self.options.transpose() { [self.depth, self.outputs] } else { [self.outputs, self.depth] };
        if self.depth == 0 || self.depth.saturating_mul(self.outputs) > i32::MAX as usize {
            let message = format!("weights of {} cannot be made for a bottom of {bottom}", Shape::from(weights));
            return Err(Error::config("inner_product_param.num_output", message));
        }
        let weight_filler = self.options.weight_filler.clone().unwrap_or_default();
        setup.add_parameter(Shape::from(weights), &weight_filler, "inner_product_param.weight_filler")?;
        if self.options.bias_term() {
            let bias_filler = self.options.bias_filler.clone().unwrap_or_default();
            setup.add_parameter(Shape::from([self.outputs]), &bias_filler, "inner_product_param.bias_filler")?;
        }
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let bottom = io.bottom(0).shape();
        let axis = self.axis(bottom)?;
        let depth = bottom.count_from(axis);
        if depth != self.depth {
            let message = format!(
                "the bottom ({bottom}) has {depth} values from axis {axis} on, the weights ({}) are for {}",
                io.parameter(0).shape(),
                self.depth
            );
            return Err(Error::shape(message));
        }
        self.count = bottom.count_before(axis);
        let mut top = bottom.dims()[..axis].to_vec();
        top.push(self.outputs);
        io.set_top_shape(0, &Shape::new(top))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let transpose_b = !self.options.transpose();
        let product = Gemm { transpose_b, ..Gemm::new(self.count, self.outputs, self.depth) };
        let top = io.top(0).data();
        product.run(io.device(), io.bottom(0).data(), io.parameter(0).data(), top);
        if self.options.bias_term() {
            gemm::add_to_rows(io.device(), io.parameter(1).data(), top);
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (device, bottom, top) = (io.device(), io.bottom(0), io.top(0).diff());
        if io.wants_parameter_gradient(0) {
            let weights = io.parameter(0).diff();
            let beta = if io.replaces_gradients { 0.0 } else { 1.0 };
            let add = |m, n| Gemm { transpose_a: true, beta, ..Gemm::new(m, n, self.count) };
            if self.options.transpose() {
                add(self.depth, self.outputs).run(device, bottom.data(), top, weights);
            } else {
                add(self.outputs, self.depth).run(device, top, bottom.data(), weights);
            }
        }
        if self.options.bias_term() && io.wants_parameter_gradient(1) {
            let bias = io.parameter(1).diff();
            if io.replaces_gradients {
                elementwise::fill(device, 0.0, bias);
            }
            gemm::sum_rows(device, top, bias);
        }
        if io.wants_bottom_gradient(0) {
            let transpose_b = self.options.transpose();
            let product = Gemm { transpose_b, ..Gemm::new(self.count, self.depth, self.outputs) };
            product.run(device, top, io.parameter(0).data(), bottom.diff());
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Bottom(_))
    }

    fn runs_on_device(&self) -> bool {
        true
    }

    fn work(&self, io: &Io<'_>) -> Work {
        Work::of_product(io, 0, 0, self.count * self.outputs * self.depth)
    }

    fn can_replace_gradients(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{GradientCheck, Trial, assert_close, values};

    fn message(options: InnerProductParameter, blobs: &[Vec<f32>]) -> LayerParameter {
        let blobs = blobs.iter().map(|data| crate::proto::BlobProto { data: data.clone(), ..Default::default() });
        LayerParameter {
            r#type: Some("InnerProduct".into()),
            inner_product_param: Some(options),
            blobs: blobs.collect(),
            ..Default::default()
        }
    }

    #[test]
    fn computes_weights_times_x_plus_bias() {
        let options = InnerProductParameter { num_output: Some(2), ..Default::default() };
        let message = message(options, &[vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0.5, -0.5]]);
        let trial = Trial::of(&message).bottom([1, 3, 1, 1], [1.0, 0.0, -1.0]).run().unwrap();
        assert_eq!((trial.top_shape(0), trial.top(0)), (vec![1, 2], vec![-1.5, -2.5]));
    }

    #[test]
    fn transposed_weights_and_negative_axis_give_the_same() {
        let (x, weights) = (values(2 * 3 * 5, 1), values(4 * 5, 2));
        let turned: Vec<f32> = (0..20).map(|i| weights[i % 4 * 5 + i / 4]).collect();
        let run = |transpose, axis, weights| {
            let options = InnerProductParameter {
                num_output: Some(4),
                bias_term: Some(false),
                axis: Some(axis),
                transpose: Some(transpose),
                ..Default::default()
            };
            Trial::of(&message(options, &[weights])).bottom([2, 3, 5], x.clone()).run().unwrap()
        };
        let (plain, transposed) = (run(false, 2, weights), run(true, -1, turned));
        assert_eq!((plain.top_shape(0), transposed.top_shape(0)), (vec![2, 3, 4], vec![2, 3, 4]));
        assert_close(&transposed.top(0), &plain.top(0));
    }

    #[test]
    fn gradients() {
        for transpose in [false, true] {
            let options =
                InnerProductParameter { num_output: Some(3), transpose: Some(transpose), ..Default::default() };
            let message = message(options, &[values(12, 1), values(3, 2)]);
            let mut trial = Trial::of(&message).bottom([2, 4], values(8, 3)).run().unwrap();
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn impossible_options_are_named() {
        let error = Trial::of(&message(InnerProductParameter::default(), &[])).bottom([1, 3], [0.0; 3]).run();
        let text = error.err().unwrap().to_string();
        assert_eq!(text, "inner_product_param.num_output: must be at least 1");
        let options = InnerProductParameter { num_output: Some(2), axis: Some(3), ..Default::default() };
        let error = Trial::of(&message(options, &[])).bottom([1, 3], [0.0; 3]).run().err().unwrap();
        assert!(error.to_string().starts_with("inner_product_param.axis: axis 3"), "{error}");
        let options = InnerProductParameter { num_output: Some(1), ..Default::default() };
        let mut trial =
            Trial::of(&message(options, &[vec![0.0; 3], vec![0.0]])).bottom([1, 3], [0.0; 3]).run().unwrap();
        let error = trial.set_bottom(0, [1, 4], &[0.0; 4]).unwrap_err();
        assert_eq!(error.to_string(), "the bottom (1×4) has 4 values from axis 1 on, the weights (1×3) are for 3");
    }
}
