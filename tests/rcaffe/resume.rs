//! A run that is stopped and resumed is the run that never stopped: the same weights, the same state, the same log.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use prost::Message;
use rcaffe::{
    data::{lmdb::Writer, record::serialize_bytes},
    proto::BlobProto,
    snapshot::{read_state, read_weights},
};
use tempfile::{TempDir, tempdir};

use crate::program::{command, run_in, stderr};

const SOLVER: &str = r#"net: "net.prototxt"
test_iter: 3 test_iter: 2
test_state { stage: "first" } test_state { stage: "second" }
test_interval: 3
base_lr: 0.002 lr_policy: "triangular" max_lr: 0.02 stepsize: 4
momentum: 0.9 weight_decay: 0.001
display: 1 average_loss: 4
max_iter: 16
snapshot: 7
snapshot_prefix: "snap"
solver_mode: CPU random_seed: 11
"#;

/// Everything behind 3×24×24 images: batch norm, dropout that draws, a loss.
const BODY: &str = r#"
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 5 stride: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "drop" type: "Dropout" bottom: "bn" top: "bn" }
layer { name: "ip" type: "InnerProduct" bottom: "bn" top: "ip" inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"#;

/// A net whose training net and two test nets each read in their own way; `options` are those of the layer that reads.
fn net(kind: &str, train: &str, first: &str, second: &str) -> String {
    let layer = |rule: &str, options: &str| {
        format!(
            "layer {{ name: \"data\" type: \"{kind}\" top: \"data\" top: \"label\" include {{ {rule} }}\n  {options} }}\n"
        )
    };
    let rules = ["phase: TRAIN", "phase: TEST stage: \"first\"", "phase: TEST stage: \"second\""];
    let layers: String = rules.iter().zip([train, first, second]).map(|(rule, options)| layer(rule, options)).collect();
    format!("name: \"net\"\n{layers}{BODY}")
}

fn golden(folder: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder).display().to_string()
}

/// A database of 23 images of 3×28×28: batches of 4 never end where it ends.
fn write_database(folder: &Path) {
    let mut writer = Writer::create(&folder.join("db"), 100_000).expect("a database");
    for record in 0..23_usize {
        let values: Vec<u8> = (0..3 * 28 * 28).map(|at| (at * (record + 3) / 7 % 251) as u8).collect();
        let value = serialize_bytes([3, 28, 28], record as i32 % 10, &values);
        writer.put(format!("{record:05}").as_bytes(), value).expect("a record");
    }
    writer.finish().expect("a database");
}

fn workspace(solver: &str, net: &str) -> TempDir {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
    fs::write(folder.path().join("net.prototxt"), net).expect("a file");
    write_database(folder.path());
    folder
}

/// Runs `train`, which must succeed; returns its log without prefixes and times.
fn train(folder: &Path, more: &[&str]) -> Vec<String> {
    let output = run_in(folder, &[&["train", "--solver", "solver.prototxt"], more].concat());
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("begins anew"), "{text}");
    let line = |line: &str| {
        let message = line.split_once("] ").map_or(line, |(_, message)| message);
        match (message.find(" ("), message.find("iters), ")) {
            (Some(start), Some(end)) => format!("{}, {}", &message[..start], &message[end + 8..]),
            _ => message.to_string(),
        }
    };
    text.lines().map(line).collect()
}

/// The log behind the last line that ends so.
fn behind<'a>(log: &'a [String], end: &str) -> &'a [String] {
    let place = log.iter().rposition(|line| line.ends_with(end)).unwrap_or_else(|| panic!("{end}: {log:#?}"));
    &log[place + 1..]
}

/// Trains to 16 with a snapshot at 7, and again from that snapshot; and to 7 and then to 16. All must end alike.
#[track_caller]
fn check(solver: &str, net: &str) {
    let extension = if solver.contains("HDF5") { ".h5" } else { "" };
    let [middle, weights, end] = ["iter_7.solverstate", "iter_16.caffemodel", "iter_16.solverstate"]
        .map(|file| format!("snap_{file}{extension}"));
    let files = |folder: &Path| [&weights, &end].map(|file| fs::read(folder.join(file)).expect("a snapshot"));
    let folder = workspace(solver, net);
    let whole_log = train(folder.path(), &[]);
    let whole = files(folder.path());
    let resumed_log = train(folder.path(), &["--snapshot", &middle]);
    assert_eq!(behind(&resumed_log, "Learning Rate Policy: triangular"), behind(&whole_log, &middle));
    assert!(files(folder.path()) == whole, "resumed from a snapshot on the way");

    let folder = workspace(&solver.replace("max_iter: 16", "max_iter: 7"), net);
    train(folder.path(), &[]);
    fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
    let resumed_log = train(folder.path(), &["--snapshot", &middle]);
    assert_eq!(behind(&resumed_log, "Learning Rate Policy: triangular"), behind(&whole_log, &middle));
    assert!(files(folder.path()) == whole, "resumed from the end of a shorter run");
}

fn synthetic() -> String {
    let data = |source: &str, transform: &str, size: usize| {
        format!(
            "transform_param {{ scale: 0.01 {transform} }} data_param {{ source: \"synthetic:shapes/{source}\" batch_size: {size} }}"
        )
    };
    net(
        "Data",
        &data("train", "crop_size: 24 mirror: true", 8),
        &data("test", "crop_size: 24 mirror: true", 5),
        &data("test", "crop_size: 24", 7),
    )
}

fn database(train: &str) -> String {
    let data = |transform: &str, size: usize| {
        format!(
            "transform_param {{ scale: 0.01 {transform} }} data_param {{ source: \"db\" backend: LMDB batch_size: {size} }}"
        )
    };
    net("Data", &data(train, 4), &data("crop_size: 24 mirror: true", 3), &data("crop_size: 24", 10))
}

#[test]
fn generated_pictures_with_crop_mirror_dropout_and_batch_norm() {
    check(SOLVER, &synthetic());
}

#[test]
fn a_database_that_begins_anew_between() {
    check(SOLVER, &database("crop_size: 24 mirror: true"));
}

#[test]
fn a_snapshot_in_hdf5() {
    check(&format!("{SOLVER}snapshot_format: HDF5 snapshot_diff: true"), &database("crop_size: 24 mirror: true"));
}

#[test]
fn adam_with_several_passes_per_iteration() {
    check(&format!("{SOLVER}type: \"Adam\" iter_size: 2 clip_gradients: 1"), &database("crop_size: 24 mirror: true"));
}

#[test]
fn a_shuffled_list_of_pictures() {
    let root = golden("images");
    let list = |transform: &str, options: &str| {
        format!(
            "transform_param {{ scale: 0.01 crop_size: 24 {transform} }} image_data_param {{ source: \"{root}/list.txt\" \
             root_folder: \"{root}/\" new_height: 28 new_width: 28 {options} }}"
        )
    };
    let net = net(
        "ImageData",
        &list("mirror: true", "shuffle: true rand_skip: 2 batch_size: 3"),
        &list("", "shuffle: true batch_size: 2"),
        &list("mirror: true", "batch_size: 5"),
    );
    check(SOLVER, &net);
}

#[test]
fn windows_of_pictures() {
    let root = golden("images");
    let windows = |size: usize| {
        format!(
            "transform_param {{ crop_size: 24 mirror: true }} window_data_param {{ source: \"{root}/windows.txt\" \
             root_folder: \"{root}/\" batch_size: {size} fg_fraction: 0.5 }}"
        )
    };
    check(&SOLVER.replace("max_lr: 0.02", "max_lr: 0.002"), &net("WindowData", &windows(4), &windows(2), &windows(6)));
}

/// Sequences of noise, which the shared random engine draws, in the training net and in the test nets.
fn sequences(kind: &str) -> String {
    format!(
        r#"name: "net"
layer {{ name: "noise" type: "DummyData" top: "x" top: "continues" top: "wanted"
  dummy_data_param {{ shape {{ dim: 3 dim: 2 dim: 4 }} shape {{ dim: 3 dim: 2 }} shape {{ dim: 3 dim: 2 dim: 5 }}
    data_filler {{ type: "gaussian" }} data_filler {{ value: 1 }} data_filler {{ type: "uniform" }} }} }}
layer {{ name: "memory" type: "{kind}" bottom: "x" bottom: "continues" top: "y"
  recurrent_param {{ num_output: 5 weight_filler {{ type: "uniform" min: -0.5 max: 0.5 }} }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "wanted" top: "loss" }}
"#
    )
}

#[test]
fn sequences_go_on_in_recurrent_layers() {
    check(SOLVER, &sequences("LSTM"));
    check(SOLVER, &sequences("RNN"));
}

#[test]
fn rows_of_shuffled_hdf5_files() {
    let folder = golden("hdf5");
    let beside = tempdir().expect("a folder");
    let list = beside.path().join("list.txt");
    fs::write(&list, format!("{folder}/part0.h5\n{folder}/part1.h5\n")).expect("a list");
    let net = format!(
        r#"name: "net"
layer {{ name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param {{ source: "{}" batch_size: 3 shuffle: true }} }}
layer {{ name: "drop" type: "Dropout" bottom: "data" top: "drop" }}
layer {{ name: "ip" type: "InnerProduct" bottom: "drop" top: "ip" inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"#,
        list.display()
    );
    check(SOLVER, &net);
}

#[test]
fn the_best_test_so_far_is_kept_and_remembered() {
    let solver = format!("{SOLVER}snapshot_best {{ output: \"loss\" test_net: 1 }}");
    let net = database("crop_size: 24 mirror: true");
    check(&solver, &net);
    let folder = workspace(&solver, &net);
    let log = train(folder.path(), &[]);
    let best: Vec<&str> = log.iter().filter_map(|line| line.strip_prefix("Best loss so far: ")).collect();
    let values: Vec<f32> = best.iter().map(|value| value.parse().expect("a number")).collect();
    assert!(!values.is_empty() && values.is_sorted_by(|one, next| one > next), "{best:?}");
    let state = read_state(&folder.path().join("snap_best.solverstate")).expect("a state");
    let kept = state.run.expect("the run").best.expect("a best value");
    assert!((kept - values[values.len() - 1]).abs() <= 1e-5 * kept, "{kept} {values:?}");
    // The weights of that moment score what the log says.
    let scores = ["test", "--model", "net.prototxt", "--weights", "snap_best.caffemodel", "--stage", "second"];
    assert!(run_in(folder.path(), &scores).status.success());
}

/// Ctrl-C in the middle of a test pass: the run that goes on begins the pass anew, with the same pictures.
#[test]
fn a_run_stopped_in_a_test_pass_goes_on_as_if_it_had_not_been() {
    let solver = SOLVER.replace("test_iter: 3", "test_iter: 400").replace("snapshot: 7", "snapshot: 0");
    let solver = solver.replace("max_iter: 16", "max_iter: 5");
    let net = synthetic();
    let whole = workspace(&solver, &net);
    let whole_log = train(whole.path(), &[]);
    let stopped = workspace(&solver, &net);
    let run = command()
        .args(["train", "--solver", "solver.prototxt"])
        .current_dir(stopped.path())
        .stderr(Stdio::piped())
        .spawn();
    let mut run = run.expect("the program starts");
    let mut log = BufReader::new(run.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.ends_with("Iteration 3, Testing net (#0)\n") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "the run ended early");
    }
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill");
    let rest: Vec<String> = log.lines().map_while(Result::ok).collect();
    assert!(sent.success() && run.wait().expect("an end").success(), "{rest:#?}");
    assert!(rest.iter().any(|line| line.ends_with("Test interrupted.")), "{rest:#?}");
    let resumed_log = train(stopped.path(), &["--snapshot", "snap_iter_3.solverstate"]);
    let resumed = behind(&resumed_log, "Learning Rate Policy: triangular");
    let begin = whole_log.iter().position(|line| line == "Iteration 3, Testing net (#0)").expect("the pass");
    assert_eq!(resumed, &whole_log[begin..]);
    let state = |folder: &TempDir| fs::read(folder.path().join("snap_iter_5.solverstate")).expect("a state");
    assert!(state(&whole) == state(&stopped));
}

#[test]
fn an_output_that_is_none_is_refused() {
    let error = |best: &str| {
        let folder = workspace(&format!("{SOLVER}snapshot_best {{ {best} }}"), &synthetic());
        crate::program::error(&run_in(folder.path(), &["train", "--solver", "solver.prototxt"]))
    };
    let message = error("output: \"acuracy\"");
    assert!(message.contains("snapshot_best.output") && message.contains("it has \"accuracy\", \"loss\""), "{message}");
    assert!(error("output: \"loss\" test_net: 2").contains("there is no test net 2; the solver has 2"));
}

/// A blob as Caffe's early versions wrote it: four dimensions, leading ones where it has fewer.
fn age(blob: &mut BlobProto) {
    let dims = blob.shape.take().expect("a shape").dim;
    let mut four = [1; 4];
    four[4 - dims.len()..].copy_from_slice(&dims);
    let [num, channels, height, width] = four.map(|dim| Some(dim as i32));
    (blob.num, blob.channels, blob.height, blob.width) = (num, channels, height, width);
}

#[test]
fn blobs_of_four_dimensions_are_read_as_those_of_any() {
    let folder = workspace(SOLVER, &synthetic());
    train(folder.path(), &[]);
    let path = |file: &str| -> PathBuf { folder.path().join(file) };
    let expected = fs::read(path("snap_iter_16.caffemodel")).expect("weights");
    let mut weights = read_weights(&path("snap_iter_7.caffemodel")).expect("weights");
    let mut state = read_state(&path("snap_iter_7.solverstate")).expect("a state");
    weights.layer.iter_mut().flat_map(|layer| &mut layer.blobs).for_each(age);
    state.history.iter_mut().for_each(age);
    state.run.as_mut().expect("the run").weights_checksum = None;
    fs::write(path("snap_iter_7.caffemodel"), weights.encode_to_vec()).expect("a file");
    fs::write(path("old.solverstate"), state.encode_to_vec()).expect("a file");
    train(folder.path(), &["--snapshot", "old.solverstate"]);
    assert!(fs::read(path("snap_iter_16.caffemodel")).expect("weights") == expected);
}

#[test]
fn other_weights_than_those_of_the_state_are_refused() {
    let folder = workspace(SOLVER, &synthetic());
    train(folder.path(), &[]);
    fs::copy(folder.path().join("snap_iter_16.caffemodel"), folder.path().join("snap_iter_7.caffemodel"))
        .expect("a copy");
    let arguments = ["train", "--solver", "solver.prototxt", "--snapshot", "snap_iter_7.solverstate"];
    let message = crate::program::error(&run_in(folder.path(), &arguments));
    let expected = "snap_iter_7.caffemodel: is not the weight file that was written with snap_iter_7.solverstate";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn data_of_another_name_begin_anew_with_a_warning() {
    let folder = workspace(SOLVER, &synthetic());
    train(folder.path(), &[]);
    let other = synthetic().replace("shapes/train", "shapes/test");
    fs::write(folder.path().join("net.prototxt"), other).expect("a file");
    let arguments = ["train", "--solver", "solver.prototxt", "--snapshot", "snap_iter_7.solverstate"];
    let output = run_in(folder.path(), &arguments);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("layer \"data\" does not go on where the snapshot was made"),
        "{}",
        stderr(&output)
    );
}
