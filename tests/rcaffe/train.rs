//! `rcaffe train`, `test` and `time` as a user runs them, on the built-in data set.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::{TempDir, tempdir};

use crate::program::{command, error, run_in, stderr};

pub const SOLVER: &str = r#"net: "net.prototxt"
test_iter: 2
test_interval: 4
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
weight_decay: 0.001
display: 2
max_iter: 8
snapshot: 4
snapshot_prefix: "snap"
solver_mode: CPU
random_seed: 7
"#;

pub const NET: &str = r#"name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { scale: 0.01 }
  data_param { source: "synthetic:shapes/train" batch_size: 8 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } transform_param { scale: 0.01 }
  data_param { source: "synthetic:shapes/test" batch_size: 8 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 5 stride: 4 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "ip1" type: "InnerProduct" bottom: "conv1" top: "ip1"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip1" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip1" bottom: "label" top: "loss" }
"#;

pub fn workspace(solver: &str) -> TempDir {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
    fs::write(folder.path().join("net.prototxt"), NET).expect("a file");
    folder
}

/// Runs a command that must succeed; returns its log without prefixes.
fn log_of(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let output = run_in(folder, arguments);
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    text.lines().map(|line| line.split_once("] ").map_or(line, |(_, message)| message).to_string()).collect()
}

fn train(folder: &Path, more: &[&str]) -> Vec<String> {
    log_of(folder, &[&["train", "--solver", "solver.prototxt"], more].concat())
}

/// The lines that begin so, without what is timed.
fn lines<'a>(log: &'a [String], beginnings: &[&str]) -> Vec<&'a str> {
    let wanted = |line: &&String| beginnings.iter().any(|beginning| line.trim_start().starts_with(beginning));
    log.iter().filter(wanted).map(|line| line.split(" (").next().unwrap_or_default()).collect()
}

#[test]
fn a_run_tests_displays_and_snapshots_when_the_solver_says() {
    let folder = workspace(SOLVER);
    let log = train(folder.path(), &[]);
    let expected = [
        "Solving small",
        "Learning Rate Policy: fixed",
        "Iteration 0, Testing net",
        "Iteration 0",
        "Iteration 0, lr = 0.01",
        "Iteration 2",
        "Iteration 2, lr = 0.01",
        "Snapshotting to binary proto file snap_iter_4.caffemodel",
        "Snapshotting solver state to binary proto file snap_iter_4.solverstate",
        "Iteration 4, Testing net",
        "Iteration 4",
        "Iteration 4, lr = 0.01",
        "Iteration 6",
        "Iteration 6, lr = 0.01",
        "Snapshotting to binary proto file snap_iter_8.caffemodel",
        "Snapshotting solver state to binary proto file snap_iter_8.solverstate",
        "Iteration 8, loss = ",
        "Iteration 8, Testing net",
        "Optimization Done.",
        "Optimization Done.",
    ];
    let found = lines(&log, &["Iteration", "Solving", "Learning", "Snapshotting", "Optimization"]);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
    assert_eq!(lines(&log, &["Test net output #0: accuracy"]).len(), 3);
    for file in ["snap_iter_4.caffemodel", "snap_iter_8.solverstate", "snap.log"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_for_any_number_of_threads() {
    let weights = |threads: &str| {
        let folder = workspace(SOLVER);
        train(folder.path(), &["--threads", threads]);
        fs::read(folder.path().join("snap_iter_8.caffemodel")).expect("weights")
    };
    assert!(weights("1") == weights("2"));
    let folder = workspace(SOLVER);
    train(folder.path(), &["--seed", "8"]);
    assert!(fs::read(folder.path().join("snap_iter_8.caffemodel")).expect("weights") != weights("2"));
}

#[test]
fn a_snapshot_goes_on_where_it_was_written() {
    let folder = workspace(SOLVER);
    train(folder.path(), &[]);
    let log = train(folder.path(), &["--snapshot", "snap_iter_4.solverstate"]);
    assert!(log.iter().any(|line| line == "Resuming from snap_iter_4.solverstate"));
    let iterations = lines(&log, &["Iteration"]);
    assert!(iterations[0].starts_with("Iteration 4, Testing net"), "{iterations:?}");
    assert!(iterations.last().is_some_and(|line| line.starts_with("Iteration 8")));
}

#[test]
fn finetuning_begins_with_the_score_that_test_gives() {
    let folder = workspace(SOLVER);
    train(folder.path(), &[]);
    let weights = "snap_iter_8.caffemodel";
    // First, since finetuning writes a snapshot of the same name.
    let scores =
        log_of(folder.path(), &["test", "-model=net.prototxt", &format!("-weights={weights}"), "-iterations=2"]);
    let log = train(folder.path(), &["--weights", weights]);
    assert!(log.iter().any(|line| line == "Finetuning from snap_iter_8.caffemodel"));
    assert_eq!(lines(&scores, &["Batch"]).len(), 4);
    let first = lines(&log, &["Test net output #0: "])[0].trim_start().trim_start_matches("Test net output #0: ");
    assert!(scores.iter().any(|line| line == first), "{first}: {scores:?}");
}

#[test]
fn stages_run_one_after_another_in_one_command() {
    let stages = "stage { base_lr: 0.01 max_iter: 3 }\nstage { base_lr: 0.002 max_iter: 6 }\n";
    let solver =
        SOLVER.replace("base_lr: 0.01\n", stages).replace("max_iter: 8\n", "").replace("display: 2", "display: 1");
    let folder = workspace(&solver);
    let log = train(folder.path(), &[]);
    let rates: Vec<_> = log.iter().filter(|line| line.contains(", lr = ")).map(|line| line.as_str()).collect();
    let expected: Vec<String> = (0..6)
        .map(|iteration| format!("Iteration {iteration}, lr = {}", if iteration < 3 { "0.01" } else { "0.002" }))
        .collect();
    assert_eq!(rates, expected);
    assert!(folder.path().join("snap_iter_6.caffemodel").exists());
}

#[test]
fn time_prints_every_layer() {
    let folder = workspace(SOLVER);
    let log = log_of(folder.path(), &["time", "--model", "net.prototxt", "--iterations", "2"]);
    for layer in ["data", "conv1", "relu1", "ip1", "loss"] {
        let found = log.iter().filter(|line| line.trim_start().starts_with(&format!("{layer}\t")));
        let timed = found.filter(|line| line.ends_with(" ms."));
        assert_eq!(timed.count(), 2, "{layer}: {log:#?}");
    }
    assert!(log.iter().any(|line| line.starts_with("Average Forward-Backward: ")), "{log:#?}");
    let memory = "conv1\tdata: 6.1 KiB, diff: 6.1 KiB (8×4×7×7)";
    assert!(log.iter().any(|line| line.trim_start() == memory), "{log:#?}");
}

/// The numbers behind a layer's name in the table of `rcaffe time`; `-` is none.
fn row(log: &[String], layer: &str) -> Vec<Option<f64>> {
    let table = log.iter().skip_while(|line| !line.starts_with("Median time")).skip(2);
    let found = table.map(|line| line.strip_prefix(layer)).find_map(|rest| rest.filter(|rest| rest.starts_with(' ')));
    let columns = found.unwrap_or_else(|| panic!("no row {layer}: {log:#?}")).split_whitespace();
    columns.map(|text| (text != "-").then(|| text.parse().expect("a number"))).collect()
}

/// The numbers in the line that begins so.
fn numbers(log: &[String], beginning: &str) -> Vec<f64> {
    let line = log.iter().find(|line| line.starts_with(beginning)).unwrap_or_else(|| panic!("{beginning}: {log:#?}"));
    line.split(|letter: char| !letter.is_ascii_digit() && letter != '.').filter_map(|text| text.parse().ok()).collect()
}

/// conv1: 4 filters of 3×5×5 over 8 images of 32×32, 7×7 outputs each; ip1: 8 products of 10×196.
#[test]
fn time_sets_each_layer_beside_the_machine() {
    let folder = workspace(SOLVER);
    let log = log_of(folder.path(), &["time", "--model", "net.prototxt", "--iterations", "3"]);
    let peak = numbers(&log, "Peak: ")[0];
    assert!(peak > 0.0);
    for (layer, kiloflop, gradients) in [("conv1", 2 * 75 * 4 * 49 * 8, 1.0), ("ip1", 2 * 10 * 196 * 8, 2.0)] {
        let row = row(&log, layer);
        assert_eq!(row.len(), 8, "{row:?}");
        for (direction, factor) in [(&row[..4], 1.0), (&row[4..], gradients)] {
            let [Some(time), Some(speed), Some(share), Some(_)] = *direction else { panic!("{layer}: {row:?}") };
            // The table shows microseconds and tenths.
            let (least, most) = (f64::from(kiloflop) * factor / 1e6 / (time + 0.0006), (speed + 0.06).max(0.1));
            assert!(least <= most, "{layer}: {row:?}");
            assert!((share - 100.0 * speed / peak).abs() < 0.2 + 10.0 / peak, "{layer}: {row:?}, {peak}");
        }
    }
    assert_eq!(row(&log, "data")[5..], [None; 3]);
    assert_eq!(row(&log, "relu1")[1..3], [None; 2]);
    let [median, minimum, ..] = numbers(&log, "Iteration: median ")[..] else { panic!("{log:#?}") };
    assert!(minimum > 0.0 && minimum <= median);
    assert!(!log.iter().any(|line| line.starts_with("Average Update")));
}

#[test]
fn time_of_a_solver_takes_in_the_update() {
    let folder = workspace(SOLVER);
    let log = log_of(folder.path(), &["time", "--solver", "solver.prototxt", "--iterations", "2"]);
    assert!(numbers(&log, "Average Update: ")[0] > 0.0);
    assert_eq!(log.iter().filter(|line| line.contains(" update time: ")).count(), 2);
    assert_eq!(row(&log, "all layers").len(), 8);
    assert!(fs::read_dir(folder.path()).expect("the folder").count() == 2, "a measurement writes nothing");
    let both = ["time", "--solver", "solver.prototxt", "--model", "net.prototxt"];
    assert!(error(&run_in(folder.path(), &both)).contains("cannot be used with"));
    assert!(error(&run_in(folder.path(), &["time"])).contains("--model"));
}

#[test]
fn files_are_looked_for_beside_the_file_that_names_them_too() {
    let folder = workspace(SOLVER);
    let runs = folder.path().join("runs");
    fs::create_dir(&runs).expect("a folder");
    let log = log_of(&runs, &["train", "--solver", "../solver.prototxt"]);
    assert!(log.iter().any(|line| line == "Optimization Done."));
    assert!(runs.join("snap_iter_8.caffemodel").exists(), "snapshots go where the run is");
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_keeps_the_snapshot() {
    let folder = workspace(&SOLVER.replace("base_lr: 0.01", "base_lr: 1e30").replace("snapshot: 4", "snapshot: 1"));
    let output = run_in(folder.path(), &["train", "--solver", "solver.prototxt"]);
    let message = error(&output);
    assert!(message.starts_with("training stopped at iteration "), "{message}");
    assert!(message.contains("first in blob") && message.contains("last good snapshot: snap_iter_"), "{message}");
}

#[test]
fn a_gradient_that_is_no_number_ends_the_run_and_names_the_parameter() {
    // The slope of √x at 0 is infinite, the value is not.
    let root = r#"layer { name: "root" type: "Power" bottom: "ip1" top: "root" power_param { power: 0.5 } }
layer { name: "sum" type: "Reduction" bottom: "root" top: "sum" loss_weight: 1 }"#;
    let net = format!("{}{root}", NET.split("layer { name: \"accuracy\"").next().unwrap_or_default());
    let folder = workspace(&SOLVER.replace("test_iter: 2\ntest_interval: 4\n", ""));
    fs::write(folder.path().join("net.prototxt"), net.replace("type: \"xavier\"", "type: \"constant\""))
        .expect("a file");
    let message = error(&run_in(folder.path(), &["train", "--solver", "solver.prototxt"]));
    let expected =
        "training stopped at iteration 0: the gradient of parameter \"1\" of layer \"ip1\" is not finite (lr 0.01)";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn keep_going_trains_on_through_what_is_no_number() {
    let folder = workspace(&SOLVER.replace("base_lr: 0.01", "base_lr: 1e30"));
    let log = train(folder.path(), &["--keep-going"]);
    assert!(log.iter().any(|line| line.starts_with("Iteration 6") && line.contains("nan")), "{log:?}");
    assert_eq!(log.last().map(String::as_str), Some("Log: snap.log"));
}

#[test]
fn a_run_without_snapshots_needs_no_folder_for_them() {
    let solver = SOLVER.replace("snapshot: 4", "snapshot_after_train: false").replace("\"snap\"", "\"missing/snap\"");
    let folder = workspace(&solver);
    let log = train(folder.path(), &[]);
    assert!(log.iter().any(|line| line.starts_with("no copy of this log is kept: missing/snap.log")), "{log:?}");
    assert!(!folder.path().join("missing").exists());
}

/// Starts a long run and waits until it has begun to train.
fn start_long_run(folder: &Path) -> (std::process::Child, BufReader<std::process::ChildStderr>) {
    let mut child = command()
        .args(["train", "--solver", "solver.prototxt"])
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("Iteration 2 ") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "the run ended early");
    }
    (child, log)
}

fn send(signal: &str, child: &std::process::Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

#[test]
fn an_interrupt_snapshots_and_stops() {
    let folder = workspace(&SOLVER.replace("max_iter: 8", "max_iter: 100000000").replace("snapshot: 4", "snapshot: 0"));
    let (mut child, log) = start_long_run(folder.path());
    send("-INT", &child);
    let rest: Vec<String> = log.lines().map_while(Result::ok).collect();
    assert!(child.wait().expect("an end").success(), "{rest:#?}");
    assert!(rest.iter().any(|line| line.ends_with("Optimization stopped early.")), "{rest:#?}");
    let states = fs::read_dir(folder.path()).expect("the folder");
    let states = states
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|e| e == "solverstate")));
    assert_eq!(states.count(), 1);
}

#[test]
fn a_hang_up_snapshots_and_goes_on() {
    let folder = workspace(&SOLVER.replace("max_iter: 8", "max_iter: 100000000").replace("snapshot: 4", "snapshot: 0"));
    let (mut child, mut log) = start_long_run(folder.path());
    send("-HUP", &child);
    let mut line = String::new();
    while !line.contains("Snapshotting solver state") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "the run ended");
    }
    line.clear();
    while !line.contains(", lr = ") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "the run ended");
    }
    child.kill().expect("a running child");
    child.wait().expect("an end");
}
