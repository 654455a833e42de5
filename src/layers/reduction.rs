//! `Reduction`: each row of values into one.
//!
//! | option (`reduction_param`) | default | meaning |
//! |---|---|---|
//! | `operation` | SUM | SUM: Σ x, ASUM: Σ \|x\|, SUMSQ: Σ x², MEAN |
//! | `axis` | 0 | this axis and all behind it become one value; negative counts from the end |
//! | `coeff` | 1 | factor of the result |
//!
//! Bottom: x. Top: y, shaped as x's axes before `axis`; a scalar for axis 0.

use crate::{
    error::Result,
    layers::{End, Io, Layer},
    ops::reduction::{self, Reduction as Operation},
    proto::{LayerParameter, ReductionParameter, reduction_parameter::ReductionOp},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Reduction {
    options: ReductionParameter,
    operation: Operation,
    factor: f32,
}

impl Reduction {
    /// Reads the options.
    ///
    /// # Errors
    /// None: the axis is checked against the bottom's shape.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = layer.reduction_param.unwrap_or_default();
        let operation = match options.operation() {
            ReductionOp::Sum | ReductionOp::Mean => Operation::Sum,
            ReductionOp::Asum => Operation::AbsoluteSum,
            ReductionOp::Sumsq => Operation::SumOfSquares,
        };
        Ok(Box::new(Reduction { options, operation, factor: 1.0 }))
    }
}

impl Layer for Reduction {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        let axis = shape.axis(self.options.axis(), "reduction_param.axis")?;
        let mean = self.options.operation() == ReductionOp::Mean;
        self.factor = self.options.coeff() / if mean { shape.count_from(axis) as f32 } else { 1.0 };
        let top = Shape::from(&shape.dims()[..axis]);
        io.set_top_shape(0, &top)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        reduction::forward(io.device(), self.operation, self.factor, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            let x = io.bottom(0);
            reduction::backward(io.device(), self.operation, self.factor, x.data(), io.top(0).diff(), x.diff());
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Bottom(_))
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{LayerParameter, ReductionParameter, reduction_parameter::ReductionOp},
    };

    fn reduction(operation: ReductionOp, axis: i32, coeff: f32) -> LayerParameter {
        let options = ReductionParameter { operation: Some(operation as i32), axis: Some(axis), coeff: Some(coeff) };
        LayerParameter { r#type: Some("Reduction".into()), reduction_param: Some(options), ..Default::default() }
    }

    #[test]
    fn each_operation_over_the_axes_named() {
        let x = [1.0, -2.0, 3.0, 4.0];
        let run = |operation, axis| Trial::of(&reduction(operation, axis, 2.0)).bottom([2, 2], x).run().unwrap();
        assert_eq!(run(ReductionOp::Sum, 0).top(0), [12.0]);
        assert_eq!(run(ReductionOp::Sum, 1).top(0), [-2.0, 14.0]);
        assert_eq!(run(ReductionOp::Asum, -1).top(0), [6.0, 14.0]);
        assert_eq!(run(ReductionOp::Sumsq, 1).top(0), [10.0, 50.0]);
        assert_close(&run(ReductionOp::Mean, 1).top(0), &[-1.0, 7.0]);
        assert_eq!((run(ReductionOp::Sum, 0).top_shape(0), run(ReductionOp::Sum, 1).top_shape(0)), (vec![], vec![2]));
    }

    #[test]
    fn gradients() {
        for operation in [ReductionOp::Sum, ReductionOp::Asum, ReductionOp::Sumsq, ReductionOp::Mean] {
            let mut trial = Trial::of(&reduction(operation, 1, 0.5)).bottom([2, 3, 4], values(24, 1)).run().unwrap();
            GradientCheck::away_from(0.0, 0.01).run_each(&mut trial);
        }
    }
}
