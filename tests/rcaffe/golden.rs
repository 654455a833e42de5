//! Every case of tests/golden/layers, through `rcaffe dump`: values and gradients that Caffe 1.0 computed.
//!
//! A case is a folder: `net.prototxt`, `in.npz`, `out.npz`, `weights.caffemodel` where the net has parameters, and `case.json`
//! (phase, seed, whether backward runs, whether the seed alone gives the weights).

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use ndarray::ArrayD;
use ndarray_npy::NpzReader;
use serde_json::Value;
use tempfile::TempDir;

use crate::program;

type Arrays = BTreeMap<String, ArrayD<f32>>;

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

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers")
}

fn cases() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("tests/golden/layers is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn read(path: &Path) -> Arrays {
    let mut archive = NpzReader::new(File::open(path).expect("the array file is there")).expect("an .npz file");
    let names = archive.names().expect("names");
    let array = |name: String| {
        let array = archive.by_name(&name).expect("an f32 array");
        (name.trim_end_matches(".npy").to_string(), array)
    };
    names.into_iter().map(array).collect()
}

/// Runs a case; says what the program ended with when it fails.
fn dump(case: &str, with_weights: bool) -> Result<Arrays, String> {
    let folder = folder().join(case);
    let facts: Value = serde_json::from_reader(File::open(folder.join("case.json")).expect("case.json")).expect("JSON");
    let out = TempDir::new().expect("a temporary folder");
    let file = out.path().join("out.npz");
    let mut command = program::command();
    command.current_dir(&folder).args(["dump", "--model", "net.prototxt", "--inputs", "in.npz", "--out"]).arg(&file);
    command.args(["--phase", facts["phase"].as_str().expect("phase"), "--seed", &facts["seed"].to_string()]);
    if facts["backward"] == true {
        command.arg("--backward");
    }
    if with_weights && facts["weights"] == true {
        command.args(["--weights", "weights.caffemodel"]);
    }
    let output = command.output().expect("the program starts");
    if output.status.success() {
        return Ok(read(&file));
    }
    let text = program::stderr(&output);
    let end = text.lines().find(|line| line.starts_with("error: ") || line.contains("panicked"));
    Err(end.unwrap_or(&text).to_string())
}

/// What differs between an array and Caffe's.
fn difference(exact: bool, actual: Option<&ArrayD<f32>>, expected: &ArrayD<f32>) -> Option<String> {
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

#[test]
fn values_and_gradients_are_those_of_caffe() {
    let mut failures = Vec::new();
    for case in cases() {
        let expected = read(&folder().join(&case).join("out.npz"));
        match dump(&case, true) {
            Err(error) => failures.push(format!("{case}: {}", error.trim())),
            Ok(actual) => {
                for (name, expected) in &expected {
                    let exact = EXACT.contains(&case.as_str());
                    let difference = difference(exact, actual.get(name), expected);
                    failures.extend(difference.map(|difference| format!("{case}: {name} {difference}")));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Where nothing moves the parameters in a forward pass, the seed alone gives those that Caffe drew, bit for bit.
#[test]
fn initial_weights_are_those_of_caffe() {
    let mut seen = 0;
    for case in cases() {
        let facts = std::fs::read_to_string(folder().join(&case).join("case.json")).expect("case.json");
        let facts: Value = serde_json::from_str(&facts).expect("JSON");
        if facts["weights_are_from_seed"] != true {
            continue;
        }
        seen += 1;
        let (drawn, loaded) = (dump(&case, false).expect("runs"), dump(&case, true).expect("runs"));
        for (name, loaded) in loaded.iter().filter(|(name, _)| name.starts_with("param:")) {
            assert_eq!(difference(true, drawn.get(name), loaded), None, "{case}: {name}");
        }
    }
    assert!(seen > 0, "no case gives its weights by seed");
}
