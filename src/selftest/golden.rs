//! Golden cases: folders with a net, inputs and what Caffe 1.0 computed from them.
//!
//! A case is a folder: `net.prototxt`, `in.npz`, `out.npz`, `weights.caffemodel` where the net has parameters, and `case.json`
//! (phase, seed, whether backward runs, whether the seed alone gives the weights).

use std::{
    fs,
    path::{Path, PathBuf},
};

use ndarray::ArrayD;
use serde_json::Value;

use super::check::Outcome;
use crate::{
    data::npz::{self, Named},
    error::{Error, Result},
    net::Net,
    proto::Phase,
    prototxt::read_net,
    rng::SharedRandom,
    snapshot::read_weights,
    tensor::{Blob, Device},
};

/// Cases that only move values: equal to the last bit.
const EXACT: &[&str] = &[
    "argmax",
    "argmax_axis",
    "batch_reindex",
    "clip",
    "concat_axis0",
    "concat_axis1",
    "crop",
    "dropout_test",
    "dropout_train",
    "eltwise_max",
    "filter",
    "flatten",
    "im2col",
    "parameter_layer",
    "pool_max_3s2",
    "pool_max_mask",
    "pool_max_pad",
    "pool_max_ties",
    "relu",
    "relu_inplace",
    "reshape",
    "slice_equal",
    "slice_points",
    "threshold",
    "tile",
];

/// Those of them with a product of matrices, whose sums a card adds up in another order.
const WITH_SUMS: &[&str] = &["relu_inplace"];

/// A case and the facts of its `case.json`.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// The phase that the net is built for.
    pub phase: Phase,
    /// The seed of its random engine.
    pub seed: u32,
    /// Whether backward runs.
    pub backward: bool,
    /// Whether it comes with weights.
    pub has_weights: bool,
    /// Whether the seed alone gives these.
    pub weights_are_from_seed: bool,
}

/// All cases of a folder, by name.
///
/// # Errors
/// When it cannot be read.
pub fn cases(folder: &Path) -> Result<Vec<Case>> {
    let entries = fs::read_dir(folder).map_err(|cause| Error::io(folder, cause))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.into_iter().map(Case::read).collect()
}

impl Case {
    /// The case of a folder.
    ///
    /// # Errors
    /// When its `case.json` cannot be used.
    pub fn read(folder: PathBuf) -> Result<Self> {
        let file = folder.join("case.json");
        let text = fs::read_to_string(&file).map_err(|cause| Error::io(&file, cause))?;
        let wrong = |why: String| Error::data(file.display().to_string(), why);
        let facts: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let phase = facts["phase"].as_str().and_then(Phase::from_str_name);
        let (Some(phase), Some(seed)) = (phase, facts["seed"].as_u64()) else {
            return Err(wrong("no phase or seed".into()));
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let flag = |key: &str| facts[key] == true;
        let (backward, has_weights) = (flag("backward"), flag("weights"));
        let weights_are_from_seed = flag("weights_are_from_seed");
        Ok(Case { name, folder, phase, seed: seed as u32, backward, has_weights, weights_are_from_seed })
    }

    /// Whether its values are only moved: equal to the last bit.
    pub fn is_exact(&self, device: Device) -> bool {
        let is_summed = device != Device::Cpu && WITH_SUMS.contains(&self.name.as_str());
        EXACT.contains(&self.name.as_str()) && !is_summed
    }

    /// What Caffe computed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn expected(&self) -> Result<Vec<Named>> {
        npz::read(&self.folder.join("out.npz"))
    }

    /// The values that go in.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn inputs(&self) -> Result<Vec<Named>> {
        npz::read(&self.folder.join("in.npz"))
    }

    /// The case's net on a device, with its weights.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn net(&self, device: Device) -> Result<Net> {
        let mut document = read_net(&self.folder.join("net.prototxt"))?;
        document.message.state.get_or_insert_default().set_phase(self.phase);
        let mut net = Net::new(&document.message, &document.file, SharedRandom::new(self.seed))?;
        if self.has_weights {
            let file = self.folder.join("weights.caffemodel");
            net.copy_weights(&read_weights(&file)?, &file.display().to_string())?;
        }
        net.run_on(device);
        Ok(net)
    }
}

/// Runs a case on a device and compares with Caffe.
pub fn run(case: &Case, device: Device) -> Outcome {
    let mut outcome = Outcome::default();
    match computed(case, device).and_then(|actual| Ok((actual, case.expected()?))) {
        Err(error) => outcome.failures.push(error.to_string()),
        Ok((actual, expected)) => {
            for (name, expected) in &expected {
                outcome.comparisons += 1;
                let actual = actual.iter().find(|(known, _)| known == name).map(|(_, array)| array);
                let difference = difference(case.is_exact(device), actual, expected);
                outcome.failures.extend(difference.map(|difference| format!("{name} {difference}")));
            }
        }
    }
    outcome
}

fn computed(case: &Case, device: Device) -> Result<Vec<Named>> {
    let mut net = case.net(device)?;
    net.every_layer = true;
    let inputs = case.inputs()?;
    net.set_arrays(&inputs, "data:", Blob::data)?;
    net.forward()?;
    if case.backward {
        net.clear_gradients();
        net.set_arrays(&inputs, "diff:", Blob::diff)?;
        net.backward()?;
    }
    Ok(net.arrays())
}

/// What differs between an array and Caffe's, in words.
pub fn difference(exact: bool, actual: Option<&ArrayD<f32>>, expected: &ArrayD<f32>) -> Option<String> {
    let Some(actual) = actual else { return Some("is missing".into()) };
    if actual.shape() != expected.shape() {
        return Some(format!("has shape {:?}, not {:?}", actual.shape(), expected.shape()));
    }
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let tolerance = if exact { 0.0 } else { 1e-5 + 1e-4 * largest };
    let far = |(a, e): (&f32, &f32)| !((a - e).abs() <= tolerance || a == e || (a.is_nan() && e.is_nan()));
    let place = actual.iter().zip(expected).position(far)?;
    let (a, e) = (actual.iter().nth(place)?, expected.iter().nth(place)?);
    Some(format!("value {place} is {a}, not {e} (largest {largest}, tolerance {tolerance:e})"))
}
