//! Every case of tests/golden/layers, through `rcaffe dump`: values and gradients that Caffe 1.0 computed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ndarray::ArrayD;
use rcaffe::{
    data::npz,
    selftest::golden::{Case, cases, difference},
    tensor::Device,
};
use tempfile::TempDir;

use crate::program;

type Arrays = BTreeMap<String, ArrayD<f32>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers")
}

fn all() -> Vec<Case> {
    cases(&folder()).expect("tests/golden/layers is there")
}

fn read(path: &Path) -> Arrays {
    npz::read(path).expect("an .npz file of f32 arrays").into_iter().collect()
}

/// Runs a case; says what the program ended with when it fails.
fn dump(case: &Case, with_weights: bool) -> Result<Arrays, String> {
    let out = TempDir::new().expect("a temporary folder");
    let file = out.path().join("out.npz");
    let mut command = program::command();
    command
        .current_dir(&case.folder)
        .args(["dump", "--model", "net.prototxt", "--inputs", "in.npz", "--out"])
        .arg(&file);
    command.args(["--phase", case.phase.as_str_name(), "--seed", &case.seed.to_string()]);
    if case.backward {
        command.arg("--backward");
    }
    if with_weights && case.has_weights {
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

#[test]
fn values_and_gradients_are_those_of_caffe() {
    let mut failures = Vec::new();
    for case in all() {
        let (name, expected) = (&case.name, read(&case.folder.join("out.npz")));
        match dump(&case, true) {
            Err(error) => failures.push(format!("{name}: {}", error.trim())),
            Ok(actual) => {
                for (array, expected) in &expected {
                    let difference = difference(case.is_exact(Device::Cpu), actual.get(array), expected);
                    failures.extend(difference.map(|difference| format!("{name}: {array} {difference}")));
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
    for case in all().into_iter().filter(|case| case.weights_are_from_seed) {
        seen += 1;
        let (drawn, loaded) = (dump(&case, false).expect("runs"), dump(&case, true).expect("runs"));
        for (name, loaded) in loaded.iter().filter(|(name, _)| name.starts_with("param:")) {
            assert_eq!(difference(true, drawn.get(name), loaded), None, "{}: {name}", case.name);
        }
    }
    assert!(seen > 0, "no case gives its weights by seed");
}
