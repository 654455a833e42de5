//! `Permute`: axes in another order (SSD's fork of Caffe).
//!
//! | option (`permute_param`) | default | meaning |
//! |---|---|---|
//! | `order`, several times | | the bottom's axes as the top has them, counted from 0; axes left out follow in their order |
//!
//! Bottom: x. Top: y, dimension i being x's dimension `order`\[i\].

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer},
    ops::movement::{self, Permutation},
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Permute {
    order: Vec<u32>,
    there: Permutation,
    back: Permutation,
}

impl Permute {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When an axis is named twice.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let order = layer.permute_param.clone().unwrap_or_default().order;
        if let Some(twice) = order.iter().enumerate().find(|(place, axis)| order[..*place].contains(axis)) {
            return Err(Error::config("permute_param.order", format!("names axis {} twice", twice.1)));
        }
        Ok(Box::new(Permute { order, there: Permutation::default(), back: Permutation::default() }))
    }

    /// The order with the axes that were left out.
    fn order(&self, shape: &Shape) -> Result<Vec<usize>> {
        let mut order: Vec<usize> = self.order.iter().map(|&axis| axis as usize).collect();
        if let Some(axis) = order.iter().find(|axis| **axis >= shape.axes()) {
            let message = format!("axis {axis} does not exist in a blob of shape {shape} ({} axes)", shape.axes());
            return Err(Error::config("permute_param.order", message));
        }
        let rest: Vec<usize> = (0..shape.axes()).filter(|axis| !order.contains(axis)).collect();
        order.extend(rest);
        Ok(order)
    }
}

impl Layer for Permute {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        let order = self.order(shape)?;
        let top: Vec<usize> = order.iter().map(|&axis| shape.dims()[axis]).collect();
        let inverse: Vec<usize> =
            (0..order.len()).filter_map(|axis| order.iter().position(|from| *from == axis)).collect();
        self.there = Permutation::new(shape.dims(), &order);
        self.back = Permutation::new(&top, &inverse);
        io.set_top_shape(0, &Shape::new(top))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        movement::permute(io.device(), &self.there, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            movement::permute(io.device(), &self.back, io.top(0).diff(), io.bottom(0).diff());
        }
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
    }

    fn runs_on_device(&self) -> bool {
        self.there.fits_device()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;

    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{LayerParameter, PermuteParameter},
    };

    fn message(order: &[u32]) -> LayerParameter {
        let permute_param = Some(PermuteParameter { order: order.to_vec() });
        LayerParameter { r#type: Some("Permute".into()), permute_param, ..Default::default() }
    }

    /// ndarray says what the values must be.
    #[test]
    fn values_lie_in_the_new_order() {
        let dims = [2, 3, 4, 5];
        let x = values(120, 1);
        let cases: [(&[u32], [usize; 4]); 6] = [
            (&[0, 2, 3, 1], [0, 2, 3, 1]),
            (&[0, 1, 2, 3], [0, 1, 2, 3]),
            (&[3, 1, 0, 2], [3, 1, 0, 2]),
            (&[1, 0], [1, 0, 2, 3]),
            (&[2], [2, 0, 1, 3]),
            (&[], [0, 1, 2, 3]),
        ];
        for (given, order) in cases {
            let trial = Trial::of(&message(given)).bottom(dims, x.clone()).run().unwrap();
            let array = ArrayD::from_shape_vec(&dims[..], x.clone()).unwrap().permuted_axes(&order[..]);
            assert_eq!(trial.top_shape(0), array.shape(), "{given:?}");
            assert_eq!(trial.top(0), array.iter().copied().collect::<Vec<f32>>(), "{given:?}");
        }
    }

    #[test]
    fn gradients() {
        for order in [&[0, 2, 3, 1][..], &[3, 0, 1, 2], &[0, 1, 2, 3]] {
            let mut trial = Trial::of(&message(order)).bottom([2, 2, 3, 2], values(24, 1)).run().unwrap();
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn wrong_orders_are_named() {
        for order in [&[0, 0][..], &[3], &[u32::MAX]] {
            let error = Trial::of(&message(order)).bottom([2, 2, 3], values(12, 1)).build().err().unwrap().to_string();
            assert!(error.contains("permute_param.order"), "{error}");
        }
    }

    #[test]
    fn blobs_without_values_pass() {
        let trial = Trial::of(&message(&[0, 2, 1])).bottom([0, 2, 3], []).run().unwrap();
        assert_eq!(trial.top_shape(0), [0, 3, 2]);
    }
}
