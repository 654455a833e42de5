//! `Dropout`: in TRAIN y = x·m / (1 − ratio), where m is 0 with probability `dropout_ratio` and 1 otherwise, drawn anew for
//! every value; in TEST y = x (Srivastava et al., *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, 2014).
//!
//! | option (`dropout_param`) | default | meaning |
//! |---|---|---|
//! | `dropout_ratio` | 0.5 | the part of values that is dropped; at least 0, below 1 |
//!
//! Bottom: x of any shape. Top: y, shaped as x; may be x in place. One random number per value, in order.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer},
    ops::elementwise,
    proto::{LayerParameter, Phase},
    tensor::{Buffer, Device},
};

/// The layer; see the module's text.
pub struct Dropout {
    ratio: f32,
    /// For each value 0 or 1 / (1 − ratio).
    mask: Buffer,
}

impl Dropout {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When the ratio does not lie in 0..1.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let ratio = layer.dropout_param.unwrap_or_default().dropout_ratio();
        if !(0.0..1.0).contains(&ratio) {
            let message = format!("must be at least 0 and below 1, not {ratio}");
            return Err(Error::config("dropout_param.dropout_ratio", message));
        }
        Ok(Box::new(Dropout { ratio, mask: Buffer::default() }))
    }
}

impl Layer for Dropout {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.set_top_shape_like(0, 0)?;
        if io.phase() == Phase::Train {
            self.mask.resize(io.bottom(0).count());
        }
        Ok(())
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.phase() == Phase::Train {
            let kept = 1.0 - f64::from(self.ratio);
            io.context.random.lock().fill_mask(&mut self.mask.host_mut(), kept, (1.0 / kept) as f32);
            self.mask.bring_to(io.device());
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let (x, y) = (io.bottom(0).data(), io.top(0).data());
        match io.phase() {
            Phase::Test => elementwise::copy(io.device(), x, y),
            Phase::Train => elementwise::multiply(io.device(), x, &self.mask, y),
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if !io.wants_bottom_gradient(0) {
            return Ok(());
        }
        let (dx, dy) = (io.bottom(0).diff(), io.top(0).diff());
        match io.phase() {
            Phase::Test => elementwise::copy(io.device(), dy, dx),
            Phase::Train => elementwise::multiply(io.device(), dy, &self.mask, dx),
        }
        Ok(())
    }

    fn backward_reads(&self, _data: End) -> bool {
        false
    }

    fn gradient_in_place(&self, bottom: usize, _device: Device) -> Option<usize> {
        (bottom == 0).then_some(0)
    }

    fn runs_on_device(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, values},
        proto::{DropoutParameter, LayerParameter, Phase},
    };

    fn dropout(ratio: f32) -> LayerParameter {
        let dropout_param = Some(DropoutParameter { dropout_ratio: Some(ratio) });
        LayerParameter { r#type: Some("Dropout".into()), dropout_param, ..Default::default() }
    }

    #[test]
    fn drops_the_ratio_and_scales_the_rest() {
        let trial = Trial::of(&dropout(0.75)).bottom([100, 100], vec![1.0; 10_000]).run().unwrap();
        let y = trial.top(0);
        assert!(y.iter().all(|&y| y == 0.0 || y == 4.0));
        let kept = y.iter().filter(|&&y| y != 0.0).count();
        assert!((2_300..2_700).contains(&kept), "{kept}");
    }

    #[test]
    fn test_phase_and_ratio_zero_change_nothing() {
        let x = values(12, 1);
        let mut test = Trial::of(&dropout(0.75)).bottom([12], x.clone()).phase(Phase::Test).run().unwrap();
        let mut zero = Trial::of(&dropout(0.0)).bottom([12], x.clone()).run().unwrap();
        for trial in [&mut test, &mut zero] {
            assert_eq!(trial.top(0), x);
            trial.set_top_diff(0, &x);
            trial.backward().unwrap();
            assert_eq!(trial.bottom_diff(0), x);
        }
    }

    #[test]
    fn gradients_apart_and_in_place() {
        let mut trial = Trial::of(&dropout(0.4)).bottom([3, 4], values(12, 1)).run().unwrap();
        GradientCheck::default().run_each(&mut trial);
        let mut trial = Trial::of(&dropout(0.4)).bottom([3, 4], values(12, 1)).in_place().run().unwrap();
        GradientCheck::default().run_each(&mut trial);
    }

    #[test]
    fn a_ratio_outside_zero_to_one_is_refused() {
        for ratio in [-0.1, 1.0, f32::NAN] {
            let error = Trial::of(&dropout(ratio)).bottom([1], [1.0]).build().err().unwrap().to_string();
            assert!(error.contains("dropout_param.dropout_ratio: must be at least 0 and below 1"), "{error}");
        }
    }
}
