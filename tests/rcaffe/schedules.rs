//! Stages, several solvers in one command, commands that take up each other's snapshots: `rcaffe train` as a user runs it.

use std::{fs, path::Path};

use tempfile::{TempDir, tempdir};

use crate::program::{error, run_in, stderr};

/// What all solvers here share.
const BASE: &str = r#"net: "net.prototxt"
momentum: 0.9
weight_decay: 0.01
display: 1
average_loss: 4
test_iter: 2
test_interval: 4
solver_mode: CPU
random_seed: 7
snapshot_prefix: "snap"
"#;

const NET: &str = r#"name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.01 mirror: true } data_param { source: "synthetic:shapes/train" batch_size: 4 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.01 } data_param { source: "synthetic:shapes/test" batch_size: 4 } }
layer { name: "pool1" type: "Pooling" bottom: "data" top: "pool1" pooling_param { pool: AVE kernel_size: 4 stride: 4 } }
layer { name: "drop1" type: "Dropout" bottom: "pool1" top: "pool1" }
layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip1" bottom: "label" top: "loss" }
"#;

/// A folder with the net and solvers: each a name and what it has beyond [`BASE`].
fn workspace(solvers: &[(&str, &str)]) -> TempDir {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("net.prototxt"), NET).expect("a file");
    for (name, text) in solvers {
        fs::write(folder.path().join(name), format!("{BASE}{text}\n")).expect("a file");
    }
    folder
}

/// Trains with these arguments; returns the log without prefixes.
fn train(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let output = run_in(folder, &[&["train"], arguments].concat());
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    text.lines().map(|line| line.split_once("] ").map_or(line, |(_, message)| message).to_string()).collect()
}

/// What the log says of each iteration and test, without times.
fn iterations(log: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for line in log {
        match (line.split_once(" ("), line.rsplit_once("), loss = ")) {
            (Some((iteration, _)), Some((_, loss))) => found.push(format!("{iteration}: {loss}")),
            _ if line.contains(", lr = ") || line.contains(" net output #") => found.push(line.clone()),
            _ => {}
        }
    }
    found
}

fn rates(log: &[String]) -> Vec<&str> {
    log.iter().filter_map(|line| line.split_once(", lr = ").map(|(_, rate)| rate)).collect()
}

fn bytes(folder: &TempDir, name: &str) -> Vec<u8> {
    fs::read(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const STAGES: [&str; 3] = [
    "base_lr: 0.1 max_lr: 0.5 stepsize: 2 max_iter: 6",
    "base_lr: 0.01 max_lr: 0.05 stepsize: 1 start_lr_policy: 6 max_iter: 10",
    "base_lr: 0.001 max_lr: 0.005 stepsize: 1 start_lr_policy: 10 max_iter: 13",
];

fn three_solvers() -> TempDir {
    let [a, b, c] = STAGES.map(|stage| format!("lr_policy: \"triangular2\" {stage}"));
    workspace(&[("a.prototxt", &a), ("b.prototxt", &b), ("c.prototxt", &c)])
}

const ALL: [&str; 6] = ["--solver", "a.prototxt", "--solver", "b.prototxt", "--solver", "c.prototxt"];

#[test]
fn stages_solvers_and_snapshots_come_to_the_same_weights_and_lines() {
    let [a, b, c] = STAGES;
    let text = format!("lr_policy: \"triangular2\" stage {{ {a} }} stage {{ {b} }} stage {{ {c} }}");
    let staged = workspace(&[("one.prototxt", &text)]);
    let of_stages = train(staged.path(), &["--solver", "one.prototxt"]);

    let together = three_solvers();
    let of_solvers = train(together.path(), &ALL);

    let apart = three_solvers();
    let mut of_commands = train(apart.path(), &["--solver", "a.prototxt"]);
    for (solver, snapshot) in [("b.prototxt", "snap_iter_6.solverstate"), ("c.prototxt", "snap_iter_10.solverstate")] {
        of_commands.extend(train(apart.path(), &["--solver", solver, "--snapshot", snapshot]));
    }

    // Three lines for each iteration, and one for each test, at 0, 4, 8 and 12.
    assert_eq!(iterations(&of_stages).len(), 3 * 13 + 4, "{of_stages:#?}");
    assert_eq!(iterations(&of_stages), iterations(&of_solvers));
    assert_eq!(iterations(&of_stages), iterations(&of_commands));
    let weights = bytes(&staged, "snap_iter_13.caffemodel");
    assert!(weights == bytes(&together, "snap_iter_13.caffemodel"));
    assert!(weights == bytes(&apart, "snap_iter_13.caffemodel"));
    assert!(bytes(&together, "snap_iter_6.caffemodel") == bytes(&apart, "snap_iter_6.caffemodel"));
}

#[test]
fn solvers_that_a_snapshot_has_gone_beyond_are_left_out() {
    let folder = three_solvers();
    let whole = train(folder.path(), &ALL);
    let weights = bytes(&folder, "snap_iter_13.caffemodel");
    let log = train(folder.path(), &[&ALL[..], &["--snapshot", "snap_iter_10.solverstate"]].concat());
    assert_eq!(rates(&log), rates(&whole)[10..]);
    assert!(weights == bytes(&folder, "snap_iter_13.caffemodel"));
}

#[test]
fn a_changed_solver_takes_effect_on_resume_and_the_log_says_so() {
    let folder = workspace(&[
        ("a.prototxt", "lr_policy: \"fixed\" base_lr: 0.01 max_iter: 2"),
        ("b.prototxt", "lr_policy: \"fixed\" base_lr: 0.002 max_iter: 4"),
    ]);
    let line = "resumed at iteration 2, lr 0.01 → 0.002";
    let log = train(folder.path(), &["--solver", "a.prototxt", "--solver", "b.prototxt"]);
    assert!(log.iter().any(|found| found == line), "{log:#?}");
    assert!(log.iter().any(|found| found == "Solver 2 of 2: b.prototxt"), "{log:#?}");
    let log = train(folder.path(), &["--solver", "b.prototxt", "--snapshot", "snap_iter_2.solverstate"]);
    assert!(log.iter().any(|found| found == line), "{log:#?}");
    assert_eq!(rates(&log), ["0.002", "0.002"]);
}

#[test]
fn a_stage_resets_the_cycle() {
    let text = "lr_policy: \"triangular\" base_lr: 0.1 max_lr: 0.5 stepsize: 4 stage { max_iter: 3 }
        stage { reset: true stepsize: 1 max_lr: 0.2 max_iter: 6 }";
    let folder = workspace(&[("solver.prototxt", text)]);
    let log = train(folder.path(), &["--solver", "solver.prototxt"]);
    assert_eq!(rates(&log), ["0.1", "0.2", "0.3", "0.1", "0.2", "0.1"]);
}

#[test]
fn plateau_drops_where_the_uninterrupted_run_does() {
    let solver = |end: usize| {
        format!("lr_policy: \"plateau\" base_lr: 1 gamma: 0.5 plateau_winsize: [2, 2, 2, 2, 2] max_iter: {end}")
    };
    let folder = workspace(&[("whole.prototxt", &solver(14)), ("part.prototxt", &solver(7))]);
    let whole = train(folder.path(), &["--solver", "whole.prototxt"]);
    let drops = whole.iter().filter(|line| line.starts_with("Plateau Status: Iteration ")).count();
    let rates_of_whole = rates(&whole);
    assert_eq!(rates_of_whole[13], format!("{}", 0.5_f32.powi(drops as i32)));
    assert!(rates_of_whole[6] != "1" && rates_of_whole[6] != rates_of_whole[13], "{rates_of_whole:?}");
    let state = bytes(&folder, "snap_iter_14.solverstate");
    train(folder.path(), &["--solver", "part.prototxt"]);
    let rest = train(folder.path(), &["--solver", "whole.prototxt", "--snapshot", "snap_iter_7.solverstate"]);
    assert_eq!(rates(&rest), rates_of_whole[7..]);
    assert!(state == bytes(&folder, "snap_iter_14.solverstate"));
}

#[test]
fn momentum_that_changes_is_in_the_log() {
    let text = "lr_policy: \"1cycle\" base_lr: 0.1 max_lr: 0.5 stepsize: 2 cyclical_momentum: [0.8, 2] max_iter: 3";
    let folder = workspace(&[("solver.prototxt", text)]);
    let log = train(folder.path(), &["--solver", "solver.prototxt"]);
    assert_eq!(rates(&log)[1], "0.3, momentum = 0.85, weight decay = 0.01");
}

#[test]
fn what_is_wrong_in_a_later_solver_is_said_before_the_first_one_runs() {
    let refusal = |second: &str| {
        let folder = workspace(&[("a.prototxt", "lr_policy: \"fixed\" max_iter: 4"), ("b.prototxt", second)]);
        let output = run_in(folder.path(), &["train", "--solver", "a.prototxt", "--solver", "b.prototxt"]);
        assert!(!folder.path().join("snap_iter_4.caffemodel").exists());
        error(&output)
    };
    let line = refusal("lr_policy: \"fixed\" max_iter: 4");
    assert!(line.starts_with("b.prototxt:11: max_iter: must be above 4, where a.prototxt ends, not 4"), "{line}");
    let line = refusal("lr_policy: \"fixed\"");
    assert!(line.starts_with("b.prototxt: max_iter: is not given"), "{line}");
    let line = refusal("lr_policy: \"step\" max_iter: 8");
    assert!(line.starts_with("b.prototxt: stepsize: must be at least 1"), "{line}");
}
