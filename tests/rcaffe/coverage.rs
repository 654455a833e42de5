//! Every layer type has a gradient check and a case that Caffe itself computed, or a reason written here.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rcaffe::layers::TABLE;

/// Types of Caffe 1.0 without a case of Caffe's in tests/golden.
const WITHOUT_CASE: &[(&str, &str)] = &[
    ("HDF5Output", "it has no tops; its own test reads the file that it writes"),
    ("MemoryData", "its values come from the program that runs the net"),
    ("Python", "it ends in an error"),
    ("Silence", "it has no tops, and its gradient is zero"),
    ("Split", "net files do not name it; the case split_implicit has the one that Caffe puts in"),
];

/// Types that pass gradients on, without a check by differences.
const WITHOUT_GRADIENT_CHECK: &[(&str, &str)] = &[];

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn texts(folder: &str, extension: &str) -> Vec<String> {
    let mut paths = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), extension, &mut paths);
    paths.iter().map(|path| fs::read_to_string(path).expect("a text file")).collect()
}

/// What lies between quotes in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// Checks that exactly the types with a reason lack what `has` says the others have.
#[track_caller]
fn assert_all<'a>(types: impl Iterator<Item = &'a str>, has: impl Fn(&str) -> bool, reasons: &[(&str, &str)]) {
    let excused: BTreeSet<&str> = reasons.iter().map(|(name, _)| *name).collect();
    let lacking: BTreeSet<&str> = types.filter(|name| !has(name)).collect();
    assert_eq!(lacking, excused, "left: types that lack it; right: types with a reason why");
}

#[test]
fn every_type_of_caffe_has_a_case_of_caffes() {
    let nets = texts("tests/golden", "prototxt");
    let seen: BTreeSet<&str> = nets.iter().flat_map(|text| quoted(text)).collect();
    let types = TABLE.iter().filter(|row| row.fork.is_none()).map(|row| row.name);
    assert_all(types, |name| seen.contains(name), WITHOUT_CASE);
}

#[test]
fn every_type_with_a_gradient_has_a_check() {
    let sources = texts("src/layers", "rs");
    let checks = sources.iter().filter(|text| text.contains("GradientCheck::"));
    let checked: BTreeSet<&str> = checks.flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).collect();
    let types = TABLE.iter().filter(|row| row.gradient).map(|row| row.name);
    assert_all(types, |name| checked.contains(name), WITHOUT_GRADIENT_CHECK);
}

#[test]
fn all_types_of_caffe_are_there() {
    let types: BTreeSet<&str> = CAFFE.split_whitespace().collect();
    let there: BTreeSet<&str> = TABLE.iter().filter(|row| row.fork.is_none()).map(|row| row.name).collect();
    assert_eq!(there, types);
}

/// The types that Caffe 1.0 registers.
const CAFFE: &str = "
    AbsVal Accuracy ArgMax BNLL BatchNorm BatchReindex Bias Clip Concat ContrastiveLoss Convolution Crop Data Deconvolution
    Dropout DummyData ELU Eltwise Embed EuclideanLoss Exp Filter Flatten HDF5Data HDF5Output HingeLoss Im2col ImageData
    InfogainLoss InnerProduct Input LRN LSTM LSTMUnit Log MVN MemoryData MultinomialLogisticLoss PReLU Parameter Pooling Power
    Python RNN ReLU Reduction Reshape SPP Scale Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss Split Swish
    TanH Threshold Tile WindowData";
