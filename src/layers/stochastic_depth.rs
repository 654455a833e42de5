//! `StochasticDepth`: a residual branch that is left out by chance while training (Huang et al., *Deep Networks with
//! Stochastic Depth*, arXiv 1603.09382, sections 3 and 4).
//!
//! TRAIN: y = b·x with b = 1 with the probability `survival_prob` and 0 otherwise, one draw for the whole batch. TEST:
//! y = `survival_prob`·x. Put it behind a block's last layer, in front of the Eltwise that adds the shortcut. The paper lets the
//! probability fall from 1 at the input to 0.5 at the last of L blocks: 1 − l/L·0.5.
//!
//! | option (`stochastic_depth_param`) | default | meaning |
//! |---|---|---|
//! | `survival_prob` | 0.5 | how likely the branch is kept; 0 to 1 |
//!
//! Bottom: x of any shape. Top: y, shaped as x; may be x in place. No published fork of Caffe has the method as a layer; the
//! name and the option are rcaffe's. The branch is computed even when it is dropped: statistics of BatchNorm layers in it go on
//! moving, its parameters get no gradient.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer},
    ops::elementwise,
    proto::{LayerParameter, Phase},
    tensor::Buffer,
};

/// The layer; see the module's text.
pub struct StochasticDepth {
    probability: f32,
    /// What the branch is multiplied by: 0, 1, or the probability.
    factor: Buffer,
}

impl StochasticDepth {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When the probability is none.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let probability = layer.stochastic_depth_param.unwrap_or_default().survival_prob();
        if !(0.0..=1.0).contains(&probability) {
            let message = format!("is a probability: 0 to 1, not {probability}");
            return Err(Error::config("stochastic_depth_param.survival_prob", message));
        }
        Ok(Box::new(StochasticDepth { probability, factor: Buffer::from(vec![1.0]) }))
    }
}

impl Layer for StochasticDepth {
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.set_top_shape_like(0, 0)?;
        Ok(())
    }

    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        let mut factor = [self.probability];
        if io.phase() == Phase::Train {
            io.context.random.lock().fill_mask(&mut factor, f64::from(self.probability), 1.0);
        }
        self.factor.host_mut().copy_from_slice(&factor);
        self.factor.bring_to(io.device());
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        // A branch that is left out is 0, not 0·x: it cannot spoil the sum with NaN.
        elementwise::scale_by(io.device(), &self.factor, io.bottom(0).data(), io.top(0).data());
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        if io.wants_bottom_gradient(0) {
            elementwise::scale_by(io.device(), &self.factor, io.top(0).diff(), io.bottom(0).diff());
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
        layers::testing::{GradientCheck, Trial, values},
        proto::{LayerParameter, Phase, StochasticDepthParameter},
    };

    fn message(survival_prob: f32) -> LayerParameter {
        let stochastic_depth_param = Some(StochasticDepthParameter { survival_prob: Some(survival_prob) });
        LayerParameter { r#type: Some("StochasticDepth".into()), stochastic_depth_param, ..Default::default() }
    }

    #[test]
    fn the_whole_batch_is_kept_or_dropped() {
        let x = values(12, 1);
        let mut trial = Trial::of(&message(0.75)).bottom([3, 4], x.clone()).run().unwrap();
        let mut kept = 0;
        for _ in 0..1000 {
            trial.forward().unwrap();
            let y = trial.top(0);
            assert!(y == x || y == [0.0; 12]);
            kept += usize::from(y == x);
        }
        assert!((700..800).contains(&kept), "{kept}");
    }

    #[test]
    fn in_test_the_branch_is_scaled() {
        let trial = Trial::of(&message(0.75)).bottom([2], [4.0, -8.0]).phase(Phase::Test).in_place().run().unwrap();
        assert_eq!(trial.top(0), [3.0, -6.0]);
    }

    #[test]
    fn gradients_kept_dropped_and_in_test() {
        // Seeds with which the first draw keeps the branch, and drops it.
        let mut seen = Vec::new();
        for seed in 0..8 {
            let mut trial = Trial::of(&message(0.5)).bottom([2, 3], values(6, 1)).run().unwrap();
            GradientCheck { seed, ..GradientCheck::default() }.run_each(&mut trial);
            *trial.random().lock() = crate::rng::Random::new(seed);
            trial.forward().unwrap();
            seen.push(trial.top(0)[0] == 0.0);
        }
        assert!(seen.contains(&true) && seen.contains(&false));
        let mut trial = Trial::of(&message(0.5)).bottom([2, 3], values(6, 1)).phase(Phase::Test).run().unwrap();
        GradientCheck::default().run_each(&mut trial);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for probability in [-0.1, 1.5, f32::NAN] {
            let error = Trial::of(&message(probability)).bottom([1], [1.0]).build().err().unwrap().to_string();
            assert!(error.contains("stochastic_depth_param.survival_prob"), "{error}");
        }
    }
}
