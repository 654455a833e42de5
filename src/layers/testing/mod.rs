//! A harness for the tests of layers: one layer run by hand, and a gradient check.
//!
//! ```ignore
//! let mut trial = Trial::of(&message).bottom([2, 3], values(6, 1)).run()?;   // setup, reshape, forward
//! trial.set_top_diff(0, &[1.0; 6]);
//! trial.backward()?;
//! assert_eq!(trial.bottom_diff(0), ...);
//! GradientCheck::default().run(&mut trial);
//! ```

mod gradient_check;

use std::path::{Path, PathBuf};

pub(crate) use gradient_check::GradientCheck;

use crate::{
    error::Result,
    layers::{Context, End, Io, Layer, Setup, layer_type},
    proto::{LayerParameter, ParamSpec, Phase},
    rng::SharedRandom,
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
            absorbed: None,
            sum: None,
            replaces_gradients: false,
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

    /// Runs the layer forward. Tops that need not outlast the pass must be written: they hold NaN before.
    pub(crate) fn forward(&mut self) -> Result<()> {
        let is_bottom = |top: &Blob| self.bottoms.iter().any(|&bottom| self.blobs[bottom].data().is_same(top.data()));
        for (position, &top) in self.tops.iter().enumerate() {
            let top = &self.blobs[top];
            if !is_bottom(top) && !self.layer.backward_reads(End::Top(position)) {
                top.data().host_mut().fill(f32::NAN);
            }
        }
        self.with(|layer, io| layer.prepare(io))?;
        self.with(|layer, io| layer.forward(io))
    }

    /// Runs the layer backward, for all gradients asked for. Data that the layer says it does not read are NaN meanwhile; where it says
    /// that a gradient can be written over another or added to one, it must come out the same that way.
    pub(crate) fn backward(&mut self) -> Result<()> {
        let hidden = self.hide_unread_data();
        let before = self.parameter_diffs();
        let result = self.with(|layer, io| layer.backward(io));
        if result.is_ok() {
            self.check_gradients_in_place(&before);
            self.check_added_gradient(&before);
        }
        for (blob, values) in hidden.iter().rev() {
            self.blobs[*blob].data().host_mut().copy_from_slice(values);
        }
        result
    }

    fn parameter_diffs(&self) -> Vec<Vec<f32>> {
        self.parameters.iter().map(|parameter| parameter.diff().host().to_vec()).collect()
    }

    /// All gradients that the layer computes, bit by bit.
    fn gradients(&self) -> Vec<Vec<u32>> {
        let bottoms = self.bottoms.iter().zip(&self.bottom_gradients).filter(|(_, wanted)| **wanted);
        let diffs = bottoms.map(|(&bottom, _)| &self.blobs[bottom]).chain(&self.parameters).map(Blob::diff);
        diffs.map(|diff| diff.host().iter().map(|value| value.to_bits()).collect()).collect()
    }

    /// Runs backward once more for each gradient that can be written over a top's; parameters had the gradients `before`.
    fn check_gradients_in_place(&mut self, before: &[Vec<f32>]) {
        let (expected, after) = (self.gradients(), self.parameter_diffs());
        for position in 0..self.bottoms.len() {
            let top = self.layer.gradient_in_place(position, Device::Cpu);
            let Some(top) = top.filter(|_| self.bottom_gradients[position]) else { continue };
            let (bottom, top) = (self.bottoms[position], self.blobs[self.tops[top]].clone());
            if self.blobs[bottom].diff().is_same(top.diff()) {
                continue;
            }
            set_diffs(&self.parameters, before);
            let (apart, y_diff) = (self.blobs[bottom].clone(), top.diff().host().to_vec());
            self.blobs[bottom].share_diff(&top);
            self.with(|layer, io| layer.backward(io)).expect("it ran before");
            assert_eq!(self.gradients(), expected, "bottom {position}, its gradient over that of a top");
            self.blobs[bottom] = apart;
            top.diff().host_mut().copy_from_slice(&y_diff);
        }
        set_diffs(&self.parameters, &after);
    }

    /// Runs backward once more if the gradient of the only bottom can be added to another; parameters had the gradients `before`.
    fn check_added_gradient(&mut self, before: &[Vec<f32>]) {
        if self.bottom_gradients != [true] || !self.layer.adds_gradient(Device::Cpu) {
            return;
        }
        let (expected, after) = (self.gradients(), self.parameter_diffs());
        set_diffs(&self.parameters, before);
        let gradient = self.bottom_diff(0);
        let there = values(gradient.len(), 77);
        let sum = Blob::new(self.bottom_blob(0).shape().clone());
        sum.diff().host_mut().copy_from_slice(&there);
        self.blobs.push(sum);
        let index = self.blobs.len() - 1;
        self.with(|layer, io| {
            io.sum = Some(index);
            layer.backward(io).expect("it ran before");
        });
        assert_eq!(self.gradients(), expected, "the bottom's own gradient, and the parameters'");
        let largest = gradient.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
        let sum = self.blobs.pop().expect("the blob pushed above");
        for ((sum, value), there) in sum.diff().host().iter().zip(&gradient).zip(&there) {
            assert!((sum - (value + there)).abs() <= 1e-5 * largest, "{sum} is not {value} and {there}");
        }
        set_diffs(&self.parameters, &after);
    }

    /// Makes data NaN that backward does not read, and returns what they were.
    fn hide_unread_data(&self) -> Vec<(usize, Vec<f32>)> {
        let bottoms = self.bottoms.iter().enumerate().map(|(position, &blob)| (blob, End::Bottom(position)));
        let tops = self.tops.iter().enumerate().map(|(position, &blob)| (blob, End::Top(position)));
        let read: Vec<usize> =
            bottoms.chain(tops).filter(|(_, end)| self.layer.backward_reads(*end)).map(|(blob, _)| blob).collect();
        let is_read = |blob: &Blob| read.iter().any(|&other| self.blobs[other].data().is_same(blob.data()));
        let hide = |(index, blob): (usize, &Blob)| {
            let values = blob.data().host().to_vec();
            blob.data().host_mut().fill(f32::NAN);
            (index, values)
        };
        self.blobs.iter().enumerate().filter(|(_, blob)| !is_read(blob)).map(hide).collect()
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

fn set_diffs(blobs: &[Blob], diffs: &[Vec<f32>]) {
    blobs.iter().zip(diffs).for_each(|(blob, diff)| blob.diff().host_mut().copy_from_slice(diff));
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
