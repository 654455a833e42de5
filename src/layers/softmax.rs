//! `Softmax`: y = eˣ / Σ eˣ, the sum over one axis.
//!
//! | option (`softmax_param`) | default | meaning |
//! |---|---|---|
//! | `axis` | 1 | the axis of the sum; negative counts from the end |
//!
//! Bottom: x. Top: y, shaped as x; may be x in place.

use crate::{
    error::Result,
    layers::{End, Io, Layer},
    ops::softmax::{self, Axes},
    proto::LayerParameter,
};

/// The layer; see the module's text.
pub struct Softmax {
    axis: i32,
    axes: Axes,
}

impl Softmax {
    /// Reads the options.
    ///
    /// # Errors
    /// None: the axis is checked against the bottom's shape.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let axis = layer.softmax_param.unwrap_or_default().axis();
        Ok(Box::new(Softmax { axis, axes: Axes::default() }))
    }
}

impl Layer for Softmax {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        let shape = io.bottom(0).shape();
        self.axes = Axes::new(shape, shape.axis(self.axis, "softmax_param.axis")?);
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        softmax::forward(io.device(), self.axes, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            let y = io.top(0);
            softmax::backward(io.device(), self.axes, y.data(), y.diff(), io.bottom(0).diff());
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Top(_))
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{LayerParameter, SoftmaxParameter},
    };

    fn softmax(axis: i32) -> LayerParameter {
        let softmax_param = Some(SoftmaxParameter { axis: Some(axis), ..Default::default() });
        LayerParameter { r#type: Some("Softmax".into()), softmax_param, ..Default::default() }
    }

    #[test]
    fn large_values_do_not_overflow() {
        let trial = Trial::of(&softmax(1)).bottom([1, 3], [1000.0, 1000.0, -1000.0]).run().unwrap();
        assert_eq!(trial.top(0), [0.5, 0.5, 0.0]);
    }

    #[test]
    fn sums_run_over_the_axis_named() {
        let x: Vec<f32> = values(2 * 5 * 90, 1).iter().map(|x| 3.0 * x).collect();
        for axis in [0, 1, -1] {
            let trial = Trial::of(&softmax(axis)).bottom([2, 5, 90], x.clone()).run().unwrap();
            let (channels, inner) = match axis {
                0 => (2, 450),
                1 => (5, 90),
                _ => (90, 1),
            };
            let mut expected = x.clone();
            for (index, y) in expected.iter_mut().enumerate() {
                let first = index / (channels * inner) * channels * inner + index % inner;
                let sum: f64 = (0..channels).map(|channel| f64::from(x[first + channel * inner]).exp()).sum();
                *y = (f64::from(x[index]).exp() / sum) as f32;
            }
            assert_close(&trial.top(0), &expected);
        }
    }

    #[test]
    fn gradients_apart_and_in_place() {
        for axis in [1, 2] {
            let x = values(24, 2);
            GradientCheck::default()
                .run_each(&mut Trial::of(&softmax(axis)).bottom([2, 3, 4], x.clone()).run().unwrap());
            let mut in_place = Trial::of(&softmax(axis)).bottom([2, 3, 4], x).in_place().run().unwrap();
            GradientCheck::default().run_each(&mut in_place);
        }
    }
}
