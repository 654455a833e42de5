//! `rcaffe compare`: logs, metrics, weights, states and dumps.

use std::{env, fs, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;

use crate::{
    program::{error, run_in, stderr, stdout},
    train::{SOLVER, workspace},
};

fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = run_in(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// What it prints about two files that differ, the error line last.
fn differs(folder: &Path, arguments: &[&str]) -> String {
    let output = run_in(folder, &[&["compare"], arguments].concat());
    format!("{}{}", stdout(&output), error(&output))
}

fn golden(name: &str) -> String {
    format!("{}/tests/golden/log/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A finished run of eight iterations with all that it leaves: logs, metrics, snapshots in binary form and in HDF5, dumps.
fn finished() -> TempDir {
    let folder = workspace(SOLVER);
    let hdf5 = SOLVER.replace("\"snap\"", "\"hdf\"") + "snapshot_format: HDF5\n";
    fs::write(folder.path().join("hdf.prototxt"), hdf5).expect("a file");
    for (solver, name) in [("solver.prototxt", "a"), ("solver.prototxt", "b"), ("hdf.prototxt", "hdf")] {
        let files = [format!("{name}.log"), format!("{name}.csv"), format!("{name}.jsonl")];
        let arguments =
            ["train", "--solver", solver, "--log", &files[0], "--metrics", &files[1], "--metrics", &files[2]];
        succeeds(folder.path(), &arguments);
    }
    for (iteration, out) in [("4", "four.npz"), ("8", "eight.npz")] {
        let weights = format!("snap_iter_{iteration}.caffemodel");
        succeeds(folder.path(), &["dump", "--model", "net.prototxt", "--weights", &weights, "--out", out]);
    }
    folder
}

#[test]
fn what_is_equal_passes() {
    let folder = finished();
    let pairs = [
        ("a.log", "b.log", "lines, all equal"),
        ("a.csv", "b.csv", "columns, all equal"),
        // The file of JSON holds the same numbers.
        ("a.csv", "a.jsonl", "columns, all equal"),
        ("snap_iter_8.caffemodel", "hdf_iter_8.caffemodel.h5", "4 blobs, all equal"),
        ("snap_iter_8.solverstate", "hdf_iter_8.solverstate.h5", "5 blobs, all equal"),
        ("four.npz", "four.npz", "arrays, all equal"),
    ];
    for (first, second, end) in pairs {
        let said = succeeds(folder.path(), &["compare", first, second]);
        assert!(said.trim_end().ends_with(end), "{first} {second}: {said}");
    }
}

#[test]
fn what_differs_is_named_with_its_size() {
    let folder = finished();
    let said = differs(folder.path(), &["snap_iter_4.caffemodel", "snap_iter_8.caffemodel"]);
    assert!(said.starts_with("conv1[0] (4×3×5×5): 300 of 300 differ, first at [0,0,0,0]: "), "{said}");
    assert!(said.contains(" ULP\n") && said.contains("\n4 blobs, 4 differ\n"), "{said}");
    assert!(said.ends_with("caffemodel: 4 of 4 blobs differ by more than the tolerance (--tol 0)"), "{said}");
    // Nothing differs by twice the largest value.
    let said = succeeds(folder.path(), &["compare", "snap_iter_4.caffemodel", "snap_iter_8.caffemodel", "--tol", "2"]);
    assert!(said.contains(" ULP (passes)\n") && said.ends_with("4 blobs, 4 differ, none by more than 2\n"), "{said}");

    let said = differs(folder.path(), &["four.npz", "eight.npz", "--show", "1"]);
    assert!(said.starts_with("data:accuracy ") || said.starts_with("data:conv1 (8×4×7×7): "), "{said}");
    let said = differs(folder.path(), &["snap_iter_4.solverstate", "snap_iter_8.solverstate"]);
    assert!(said.starts_with("iter (scalar): 4.0 and 8.0; absolute 4, relative 0.5, "), "{said}");
}

#[test]
fn metrics_differ_by_column_and_iteration() {
    let folder = finished();
    let text = fs::read_to_string(folder.path().join("a.csv")).expect("a table");
    let rows: Vec<&str> = text.lines().collect();
    let changed: Vec<String> = (0..)
        .zip(&rows)
        .map(|(row, text)| if row == 5 { text.replace(",0.01,", ",0.0125,") } else { text.to_string() })
        .collect();
    fs::write(folder.path().join("c.csv"), changed[..8].join("\n") + "\n").expect("a file");
    let said = differs(folder.path(), &["a.csv", "c.csv"]);
    let expected = "train: 1 rows, the first at iteration 7: only in the first file\n\
                    train lr: 1 of 7 differ, first at iteration 4: 0.01 and 0.0125; absolute 0.0025, relative 0.2, ";
    assert!(said.starts_with(expected), "{said}");
    assert!(said.contains("\ntest: 3 rows, the first at iteration 0: only in the first file\n"), "{said}");
}

/// The numbers of lines that differ are those of the script that the reference logs came with.
#[test]
fn logs_differ_line_by_line() {
    let folder = TempDir::new().expect("a folder");
    let caffe = fs::read_to_string(golden("caffe.log")).expect("a log");
    let other = caffe
        .replace("loss = 2.06735", "loss = 2.0674")
        .replace("lr = 0.01375", "lr = 0.0138")
        .replace("2.31161", "nan");
    let other = other
        .replace("12949 ", "    7 ")
        .replace("snap_iter", "elsewhere/net_iter")
        .replace("253.165 iter/s", "9e+03 iter/s");
    fs::write(folder.path().join("other.log"), &other).expect("a file");
    let said = differs(folder.path(), &[&golden("caffe.log"), "other.log", "--tol", "1e-3"]);
    assert!(said.contains("\n45 lines, 4 differ, 3 of them by more than 0.001\n"), "{said}");
    assert!(said.contains("\n  - Iteration 60, lr = 0.01375\n  + Iteration 60, lr = 0.0138\n"), "{said}");
    assert!(said.contains("2.06735 and 2.0674; absolute 5e-05, relative 2.4185e-05, 210 ULP (passes)\n"), "{said}");
    assert!(said.contains(": 2.31161 and NaN; one of them is not finite\n"), "{said}");

    let said = differs(
        folder.path(),
        &[&golden("caffe.log"), &golden("table2_first_cycle.log"), "--tol", "1e-3", "--show", "0"],
    );
    assert!(said.contains("157 lines, 154 differ"), "{said}");
}

/// The run of Caffe's log, from the same seed and on the same pictures: one of the 2,000 tested may fall the other way.
#[test]
fn the_log_of_a_run_is_that_of_caffe() {
    let Some(data) = env::var_os("RCAFFE_TEST_DATA") else {
        eprintln!("skipped: RCAFFE_TEST_DATA names no folder with the data sets");
        return;
    };
    let folder = TempDir::new().expect("a folder");
    symlink(data, folder.path().join("data")).expect("a link");
    for file in ["solver.prototxt", "net.prototxt"] {
        fs::copy(golden(file), folder.path().join(file)).expect("a golden file");
    }
    succeeds(folder.path(), &["train", "--solver", "solver.prototxt", "--log", "rcaffe.log"]);
    let said =
        succeeds(folder.path(), &["compare", &golden("caffe.log"), "rcaffe.log", "--tol", "2e-3", "--show", "0"]);
    assert!(said.contains("\n45 lines, "), "{said}");
}

#[test]
fn files_of_two_kinds_are_not_compared() {
    let folder = finished();
    let line = error(&run_in(folder.path(), &["compare", "a.log", "a.csv"]));
    assert_eq!(line, "a.log: is a log, a.csv is a file of metrics: they cannot be compared");
    let line = error(&run_in(folder.path(), &["compare", "four.npz", "snap_iter_4.caffemodel"]));
    assert_eq!(
        line,
        "four.npz: is a file of arrays, snap_iter_4.caffemodel is a file of weights: they cannot be compared"
    );
    assert!(error(&run_in(folder.path(), &["compare", "a.log", "none"])).starts_with("none: "));
    assert!(error(&run_in(folder.path(), &["compare", "a.log", "b.log", "--tol", "-1"])).starts_with("--tol: "));
}

/// A file of any kind, cut anywhere, ends in one line that says what is wrong, or in a difference.
#[test]
fn files_that_were_cut_end_in_one_line() {
    let folder = finished();
    let names = [
        "a.log",
        "a.csv",
        "a.jsonl",
        "snap_iter_4.caffemodel",
        "snap_iter_4.solverstate",
        "hdf_iter_4.caffemodel.h5",
        "hdf_iter_4.solverstate.h5",
        "four.npz",
    ];
    for name in names {
        let bytes = fs::read(folder.path().join(name)).expect("a file");
        for part in 0..6 {
            let cut = format!("cut_{name}");
            fs::write(folder.path().join(&cut), &bytes[..bytes.len() * part / 6]).expect("a file");
            let line = error(&run_in(folder.path(), &["compare", &cut, name]));
            assert!(line.starts_with(&cut), "{name}, {part}/6: {line}");
        }
    }
}
