//! `MVN`: mean-variance normalization, y = (x − mean) / (√variance + eps) over each channel or each image.
//!
//! | option (`mvn_param`) | default | meaning |
//! |---|---|---|
//! | `normalize_variance` | true | divide too, not only subtract |
//! | `across_channels` | false | over all channels of an image together, not over each by itself |
//! | `eps` | 1e-9 | keeps the division from 0 |
//!
//! Bottom: x (N×C×H×W, or fewer axes). Top: y, of x's shape with 4 axes.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer},
    ops::mvn,
    proto::{LayerParameter, MvnParameter},
    tensor::{Buffer, Shape},
};

/// The layer; see the module's text.
pub struct Mvn {
    options: MvnParameter,
    /// √variance + eps of each row.
    deviations: Buffer,
}

impl Mvn {
    /// Reads the options.
    ///
    /// # Errors
    /// None: every value is allowed.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Mvn { options: layer.mvn_param.unwrap_or_default(), deviations: Buffer::default() }))
    }

    fn deviations(&self) -> Option<&Buffer> {
        self.options.normalize_variance().then_some(&self.deviations)
    }
}

impl Layer for Mvn {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let shape = io.bottom(0).shape();
        if shape.axes() > 4 {
            return Err(Error::shape(format!("MVN takes up to 4 axes (N×C×H×W), the bottom has shape {shape}")));
        }
        let dims = [0, 1, 2, 3].map(|axis| shape.legacy(axis));
        self.deviations.resize(if self.options.across_channels() { dims[0] } else { dims[0] * dims[1] });
        io.set_top_shape(0, &Shape::from(dims))?;
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (rows, eps) = (self.deviations.len(), self.options.eps());
        mvn::forward(io.device(), (rows, eps), io.bottom(0).data(), io.top(0).data(), self.deviations());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            let (y, dx) = (io.top(0), io.bottom(0).diff());
            mvn::backward(io.device(), self.deviations.len(), y.data(), y.diff(), self.deviations(), dx);
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
        proto::{LayerParameter, MvnParameter},
    };

    fn mvn(across: bool, variance: bool) -> LayerParameter {
        let options = MvnParameter { across_channels: Some(across), normalize_variance: Some(variance), eps: None };
        LayerParameter { r#type: Some("MVN".into()), mvn_param: Some(options), ..Default::default() }
    }

    #[test]
    fn rows_get_mean_0_and_variance_1() {
        let x = [1.0, 3.0, 10.0, 30.0];
        let run = |across, variance| Trial::of(&mvn(across, variance)).bottom([1, 2, 1, 2], x).run().unwrap().top(0);
        assert_close(&run(false, true), &[-1.0, 1.0, -1.0, 1.0]);
        assert_close(&run(false, false), &[-1.0, 1.0, -10.0, 10.0]);
        assert_close(&run(true, false), &[-10.0, -8.0, -1.0, 19.0]);
    }

    #[test]
    fn gradients() {
        for (across, variance) in [(false, true), (false, false), (true, true), (true, false)] {
            let mut trial = Trial::of(&mvn(across, variance)).bottom([2, 2, 3, 2], values(24, 1)).run().unwrap();
            GradientCheck { step: 1e-3, ..GradientCheck::default() }.run_each(&mut trial);
        }
    }
}
