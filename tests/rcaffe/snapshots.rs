//! Snapshots of Caffe 1.0, read and continued.
//!
//! `tests/golden/snapshots/KIND` holds a solver, its net, Caffe's snapshot at iteration 50 and the log of Caffe's run from there
//! to 100. The runs need CIFAR-10 as `rcaffe data` makes it, in the folder that `RCAFFE_TEST_DATA` names; without it they are
//! skipped, which is said.

use std::{env, fs, os::unix::fs::symlink, path::Path};

use tempfile::tempdir;

use crate::program::{run_in, stderr};

/// One iteration in a log.
#[derive(Debug, PartialEq)]
struct Row {
    iteration: usize,
    smoothed: f32,
    loss: f32,
    rate: f32,
}

fn rows(log: &str) -> Vec<Row> {
    let number =
        |line: &str, before: &str| -> Option<f32> { line.split_once(before)?.1.split([' ', ',']).next()?.parse().ok() };
    let mut rows: Vec<Row> = Vec::new();
    for line in log.lines() {
        if line.contains("iters), loss = ") {
            let iteration = number(line, "Iteration ").expect("an iteration") as usize;
            let smoothed = number(line, "loss = ").expect("a loss");
            rows.push(Row { iteration, smoothed, loss: f32::NAN, rate: f32::NAN });
        } else if let (Some(row), Some(loss)) = (rows.last_mut(), number(line, "Train net output #0: loss = ")) {
            row.loss = loss;
        } else if let (Some(row), Some(rate)) = (rows.last_mut(), number(line, ", lr = ")) {
            row.rate = rate;
        }
    }
    rows
}

/// Resumes Caffe's run and follows its log: `limits` gives the largest relative difference of the losses up to an iteration.
fn follow(kind: &str, extension: &str, limits: &[(usize, f32)]) {
    let Some(data) = env::var_os("RCAFFE_TEST_DATA") else {
        eprintln!("skipped {kind}: RCAFFE_TEST_DATA names no folder with the data sets");
        return;
    };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/snapshots").join(kind);
    let folder = tempdir().expect("a folder");
    for entry in fs::read_dir(&golden).expect("golden files") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a golden file");
    }
    symlink(data, folder.path().join("data")).expect("a link");
    let snapshot = format!("snap_iter_50.solverstate{extension}");
    let output = run_in(folder.path(), &["train", "--solver", "solver.prototxt", "--snapshot", &snapshot]);
    assert!(output.status.success(), "{kind}: {}", stderr(&output));
    let expected = rows(&fs::read_to_string(golden.join("resume.log")).expect("Caffe's log"));
    let found = rows(&stderr(&output));
    assert_eq!((expected.len(), found.len()), (50, 50), "{kind}");
    let mut worst = 0.0_f32;
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!((expected.iteration, expected.rate), (found.iteration, found.rate), "{kind}");
        let limit = limits.iter().find(|(end, _)| expected.iteration < *end).map_or(f32::NAN, |limit| limit.1);
        for (expected_loss, loss) in [(expected.loss, found.loss), (expected.smoothed, found.smoothed)] {
            let difference = (expected_loss - loss).abs() / expected_loss.abs();
            worst = worst.max(difference);
            assert!(difference <= limit, "{kind}: {found:?} against {expected:?} of Caffe: {difference} > {limit}");
        }
    }
    eprintln!("{kind}: largest relative difference {worst}");
    assert!(folder.path().join(format!("snap_iter_100.solverstate{extension}")).exists());
}

#[test]
fn a_binary_snapshot_of_caffe_goes_on_as_caffes() {
    follow("sgd_binaryproto", "", &[(60, 5e-6), (75, 1e-4), (101, 2e-3)]);
}

#[test]
fn an_hdf5_snapshot_of_caffe_goes_on_as_caffes() {
    follow("sgd_hdf5", ".h5", &[(60, 5e-6), (75, 1e-4), (101, 2e-3)]);
}

#[test]
fn a_snapshot_of_caffes_adam_goes_on_as_caffes() {
    follow("adam_binaryproto", "", &[(60, 2e-5), (75, 1e-4), (101, 1e-2)]);
}

#[test]
fn a_snapshot_of_caffes_adadelta_goes_on_as_caffes() {
    follow("adadelta_binaryproto", "", &[(60, 2e-5), (75, 1e-3), (101, 0.1)]);
}
