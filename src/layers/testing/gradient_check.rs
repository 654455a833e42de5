//! The gradients of a layer against finite differences.

use super::Trial;
use crate::{rng::Random, tensor::Blob};

/// Compares the gradients of a layer with finite differences, as Caffe's checker does: each value of each bottom and
/// parameter is moved by ±`step`, and the objective's change divided by `2·step` must agree with the diff within
/// `threshold · max(|a|, |b|, 1)`.
pub(crate) struct GradientCheck {
    /// How far a value is moved each way.
    pub(crate) step: f32,
    /// The largest difference taken for rounding.
    pub(crate) threshold: f32,
    /// Values of bottoms with | |value| - kink | < kink_range are not checked: the function bends there.
    pub(crate) kink: f32,
    /// How near to the kink nothing is checked; -1 checks all.
    pub(crate) kink_range: f32,
    /// The random engine starts from this seed before each forward (dropout).
    pub(crate) seed: u32,
}

impl Default for GradientCheck {
    fn default() -> Self {
        GradientCheck { step: 1e-2, threshold: 1e-3, kink: 0.0, kink_range: -1.0, seed: 1701 }
    }
}

/// What is differentiated: half the sum of squares of all tops, or twice one value of one top.
#[derive(Clone, Copy)]
enum Objective {
    Squares,
    Value { top: usize, index: usize },
}

/// A blob whose gradient is checked.
#[derive(Clone, Copy, Debug)]
enum Place {
    Bottom(usize),
    Parameter(usize),
}

impl GradientCheck {
    /// For layers that bend at ±`kink`: values within `kink_range` of it are left out.
    pub(crate) fn away_from(kink: f32, kink_range: f32) -> Self {
        GradientCheck { kink, kink_range, ..GradientCheck::default() }
    }

    /// Checks with half the sum of squares of all tops as the objective.
    pub(crate) fn run(&self, trial: &mut Trial) {
        self.check(trial, Objective::Squares);
    }

    /// Checks with each value of each top in turn as the objective: the whole Jacobian.
    pub(crate) fn run_each(&self, trial: &mut Trial) {
        for top in 0..trial.tops.len() {
            self.run_top(trial, top);
        }
    }

    /// Checks with each value of this top in turn as the objective.
    pub(crate) fn run_top(&self, trial: &mut Trial, top: usize) {
        for index in 0..trial.top_blob(top).count() {
            self.check(trial, Objective::Value { top, index });
        }
    }

    fn check(&self, trial: &mut Trial, objective: Objective) {
        let inputs: Vec<Vec<f32>> =
            trial.bottoms.iter().map(|&blob| trial.blobs[blob].data().host().to_vec()).collect();
        for parameter in &trial.parameters {
            parameter.diff().host_mut().fill(0.0);
        }
        self.objective(trial, &inputs, objective);
        set_diffs(trial, objective);
        trial.backward().expect("the layer runs backward");
        let bottoms = (0..trial.bottoms.len()).filter(|&i| trial.bottom_gradients[i]).map(Place::Bottom);
        let parameters = (0..trial.parameters.len()).filter(|&i| trial.parameter_gradients[i]).map(Place::Parameter);
        let places: Vec<Place> = bottoms.chain(parameters).collect();
        let computed: Vec<Vec<f32>> =
            places.iter().map(|&place| blob_at(trial, place).diff().host().to_vec()).collect();
        for (&place, computed) in places.iter().zip(&computed) {
            for (index, &gradient) in computed.iter().enumerate() {
                self.check_value(trial, &inputs, objective, (place, index), gradient);
            }
        }
        restore(trial, &inputs);
        trial.forward().expect("the layer runs forward");
    }

    fn check_value(
        &self,
        trial: &mut Trial,
        inputs: &[Vec<f32>],
        objective: Objective,
        (place, index): (Place, usize),
        gradient: f32,
    ) {
        let mut inputs = inputs.to_vec();
        let feature = match place {
            Place::Bottom(position) => inputs[position][index],
            Place::Parameter(position) => trial.parameters[position].data().host()[index],
        };
        if (feature.abs() - self.kink).abs() <= self.kink_range {
            return;
        }
        let mut moved = |value: f32| {
            match place {
                Place::Bottom(position) => inputs[position][index] = value,
                Place::Parameter(position) => trial.parameters[position].data().host_mut()[index] = value,
            }
            self.objective(trial, &inputs, objective)
        };
        let rise = moved(feature + self.step) - moved(feature - self.step);
        moved(feature);
        let estimate = (rise / (2.0 * f64::from(self.step))) as f32;
        let scale = gradient.abs().max(estimate.abs()).max(1.0);
        assert!(
            (gradient - estimate).abs() <= self.threshold * scale,
            "{place:?}[{index}] = {feature}: the layer says {gradient}, differences say {estimate}"
        );
    }

    /// Runs forward from these inputs and returns the objective.
    fn objective(&self, trial: &mut Trial, inputs: &[Vec<f32>], objective: Objective) -> f64 {
        restore(trial, inputs);
        *trial.context.random.lock() = Random::new(self.seed);
        trial.forward().expect("the layer runs forward");
        match objective {
            Objective::Squares => {
                let tops = (0..trial.tops.len()).flat_map(|top| trial.top(top));
                tops.map(|value| f64::from(value) * f64::from(value)).sum::<f64>() / 2.0
            }
            Objective::Value { top, index } => 2.0 * f64::from(trial.top_blob(top).data().host()[index]),
        }
    }
}

/// Gives the bottoms their values again (in-place layers overwrite them).
fn restore(trial: &Trial, inputs: &[Vec<f32>]) {
    for (&blob, values) in trial.bottoms.iter().zip(inputs) {
        trial.blobs[blob].data().host_mut().copy_from_slice(values);
    }
}

/// Sets the tops' diffs to the objective's gradient.
fn set_diffs(trial: &Trial, objective: Objective) {
    for &blob in &trial.tops {
        let blob = &trial.blobs[blob];
        match objective {
            Objective::Squares => blob.diff().host_mut().copy_from_slice(&blob.data().host()),
            Objective::Value { .. } => blob.diff().host_mut().fill(0.0),
        }
    }
    if let Objective::Value { top, index } = objective {
        trial.top_blob(top).diff().host_mut()[index] = 2.0;
    }
}

fn blob_at(trial: &Trial, place: Place) -> &Blob {
    match place {
        Place::Bottom(position) => trial.bottom_blob(position),
        Place::Parameter(position) => trial.parameter(position),
    }
}
