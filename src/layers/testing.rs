//! A harness for the tests of layers: one layer run by hand, and a gradient check.
//!
//! ```ignore
//! let mut trial = Trial::of(&message).bottom([2, 3], values(6, 1)).run()?;   // setup, reshape, forward
//! trial.set_top_diff(0, &[1.0; 6]);
//! trial.backward()?;
//! assert_eq!(trial.bottom_diff(0), ...);
//! GradientCheck::default().run(&mut trial);
//! ```

use std::path::{Path, PathBuf};

use crate::{
    error::Result,
    layers::{Context, Io, Layer, Setup, layer_type},
    proto::{LayerParameter, ParamSpec, Phase},
    rng::{Random, SharedRandom},
    tensor::{Blob, Device, Room, Shape},
};

/// What a trial is made of; [`run`](TrialBuilder::run) makes it.
pub(crate) struct TrialBuilder {
    message: LayerParameter,
    bottoms: Vec<(Shape, Vec<f32>)>,
    constants: Vec<usize>,
    tops: usize,
    in_place: bool,
    phase: Phase,
    seed: u32,
    base: Option<PathBuf>,
}

/// One layer with its bottoms, tops and parameters, outside any net.
pub(crate) struct Trial {
    layer: Box<dyn Layer>,
    context: Context,
    blobs: Vec<Blob>,
    bottoms: Vec<usize>,
    tops: Vec<usize>,
    parameters: Vec<Blob>,
    pub(crate) specs: Vec<ParamSpec>,
    bottom_gradients: Vec<bool>,
    parameter_gradients: Vec<bool>,
}

impl TrialBuilder {
    /// Adds a bottom with these values.
    pub(crate) fn bottom(mut self, shape: impl Into<Shape>, values: impl Into<Vec<f32>>) -> Self {
        self.bottoms.push((shape.into(), values.into()));
        self
    }

    /// Adds a bottom whose gradient is not asked for (labels, indices).
    pub(crate) fn constant(mut self, shape: impl Into<Shape>, values: impl Into<Vec<f32>>) -> Self {
        self.constants.push(self.bottoms.len());
        self.bottom(shape, values)
    }

    /// The number of tops, 1 if not given.
    pub(crate) fn tops(mut self, tops: usize) -> Self {
        self.tops = tops;
        self
    }

    /// The first top is the first bottom.
    pub(crate) fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// TRAIN (if not given) or TEST.
    pub(crate) fn phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// The seed of the random engine before setup, 1 if not given.
    pub(crate) fn seed(mut self, seed: u32) -> Self {
        self.seed = seed;
        self
    }

    /// The folder of the net file, which relative names of files may mean.
    pub(crate) fn base(mut self, folder: &Path) -> Self {
        self.base = Some(folder.to_owned());
        self
    }

    /// Sets the layer up and reshapes it.
    pub(crate) fn build(self) -> Result<Trial> {
        let random = SharedRandom::new(self.seed);
        let room = Room::of_bytes(1 << 30);
        let context = Context { device: Device::Cpu, phase: self.phase, random, room, base: self.base };
        let mut blobs: Vec<Blob> = self.bottoms.iter().map(|(shape, values)| blob(shape, values)).collect();
        let bottoms: Vec<usize> = (0..blobs.len()).collect();
        let fresh = self.tops - usize::from(self.in_place);
        let mut tops = if self.in_place { vec![0] } else { Vec::new() };
        tops.extend(blobs.len()..blobs.len() + fresh);
        blobs.extend((0..fresh).map(|_| Blob::new(Shape::new([0]))));
        let row = layer_type(self.message.r#type())?;
        let mut layer = (row.new)(&self.message)?;
        let shapes = self.bottoms.iter().map(|(shape, _)| shape.clone()).collect();
        let mut setup = Setup::new(&self.message, &context, shapes, self.tops);
        layer.setup(&mut setup)?;
        let (parameters, specs) = setup.finish();
        let mut bottom_gradients = vec![true; bottoms.len()];
        self.constants.iter().for_each(|&position| bottom_gradients[position] = false);
        let is_learned = |position| specs.get(position).is_none_or(|spec: &ParamSpec| spec.lr_mult() != 0.0);
        let parameter_gradients = (0..parameters.len()).map(is_learned).collect();
        let mut trial =
            Trial { layer, context, blobs, bottoms, tops, parameters, specs, bottom_gradients, parameter_gradients };
        trial.reshape()?;
        Ok(trial)
    }

    /// Sets the layer up, reshapes it and runs it forward.
    pub(crate) fn run(self) -> Result<Trial> {
        let mut trial = self.build()?;
        trial.forward()?;
        Ok(trial)
    }
}

fn blob(shape: &Shape, values: &[f32]) -> Blob {
    let blob = Blob::new(shape.clone());
    blob.data().host_mut().copy_from_slice(values);
    blob
}

impl Trial {
    /// Begins the trial of the layer that this message describes.
    pub(crate) fn of(message: &LayerParameter) -> TrialBuilder {
        TrialBuilder {
            message: message.clone(),
            bottoms: Vec::new(),
            constants: Vec::new(),
            tops: 1,
            in_place: false,
            phase: Phase::Train,
            seed: 1,
            base: None,
        }
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut dyn Layer, &mut Io<'_>) -> R) -> R {
        let mut io = Io {
            blobs: &mut self.blobs,
            bottoms: &self.bottoms,
            tops: &self.tops,
            parameters: &self.parameters,
            bottom_gradients: &self.bottom_gradients,
            parameter_gradients: &self.parameter_gradients,
            context: &self.context,
            reshaped: false,
        };
        call(self.layer.as_mut(), &mut io)
    }

    /// Lets the layer shape its tops.
    pub(crate) fn reshape(&mut self) -> Result<()> {
        self.with(|layer, io| layer.reshape(io))
    }

    /// The random engine that the layer draws from.
    pub(crate) fn random(&self) -> &SharedRandom {
        &self.context.random
    }

    /// Runs the layer forward.
    pub(crate) fn forward(&mut self) -> Result<()> {
        self.with(|layer, io| layer.forward(io))
    }

    /// Runs the layer backward, for all gradients asked for.
    pub(crate) fn backward(&mut self) -> Result<()> {
        self.with(|layer, io| layer.backward(io))
    }

    /// Gives a bottom new values and, if need be, a new shape, and reshapes the layer.
    pub(crate) fn set_bottom(&mut self, position: usize, shape: impl Into<Shape>, values: &[f32]) -> Result<()> {
        let blob = &mut self.blobs[self.bottoms[position]];
        blob.reshape(&shape.into());
        blob.data().host_mut().copy_from_slice(values);
        self.reshape()
    }

    /// Sets the gradient that comes into a top.
    pub(crate) fn set_top_diff(&mut self, position: usize, values: &[f32]) {
        self.blobs[self.tops[position]].diff().host_mut().copy_from_slice(values);
    }

    /// The dimensions of a top.
    pub(crate) fn top_shape(&self, position: usize) -> Vec<usize> {
        self.top_blob(position).shape().dims().to_vec()
    }

    /// A top.
    pub(crate) fn top_blob(&self, position: usize) -> &Blob {
        &self.blobs[self.tops[position]]
    }

    /// A bottom.
    pub(crate) fn bottom_blob(&self, position: usize) -> &Blob {
        &self.blobs[self.bottoms[position]]
    }

    /// The values of a top.
    pub(crate) fn top(&self, position: usize) -> Vec<f32> {
        self.top_blob(position).data().host().to_vec()
    }

    /// The gradient of a bottom.
    pub(crate) fn bottom_diff(&self, position: usize) -> Vec<f32> {
        self.bottom_blob(position).diff().host().to_vec()
    }

    /// A parameter.
    #[allow(dead_code, reason = "for layers with parameters")]
    pub(crate) fn parameter(&self, position: usize) -> &Blob {
        &self.parameters[position]
    }
}

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

/// Test values between -1 and 1, spread evenly and the same on every run; another `stream` gives others.
pub(crate) fn values(count: usize, stream: u64) -> Vec<f32> {
    let mut state = stream.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        // The mixing steps of splitmix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Asserts that two lists agree within `1e-5 + 1e-4·max|expected|`.
pub(crate) fn assert_close(actual: &[f32], expected: &[f32]) {
    assert_eq!(actual.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
        let near = (a - e).abs() <= 1e-5 + 1e-4 * largest;
        assert!(near, "value {index} is {a}, not {e}\nactual   {actual:?}\nexpected {expected:?}");
    }
}

/// Runs the first layer of `FOLDER/NET.prototxt` forward so many times from this seed and compares its tops with
/// `FOLDER/CASE_N.npz`: equal to the last bit. Files that the net names are taken from the folder.
pub(crate) fn golden_forwards(folder: &str, net: &str, case: &str, seed: u32, forwards: usize) {
    let folder = std::path::Path::new(folder);
    let message = crate::prototxt::read_net(&folder.join(format!("{net}.prototxt"))).unwrap().message.layer[0].clone();
    let mut trial = Trial::of(&message).tops(message.top.len()).seed(seed).base(folder).build().unwrap();
    for forward in 0..forwards {
        let file = std::fs::File::open(folder.join(format!("{case}_{forward}.npz"))).unwrap();
        let mut expected = ndarray_npy::NpzReader::new(file).unwrap();
        trial.forward().unwrap();
        for (top, name) in message.top.iter().enumerate() {
            let expected: ndarray::ArrayD<f32> = expected.by_name(&format!("data:{name}")).unwrap();
            let found = trial.top_blob(top).data_array();
            assert_eq!(found.shape(), expected.shape(), "{case}, forward {forward}, {name}");
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(found == expected, "{case}, forward {forward}, {name}: off by {worst}");
        }
    }
}
