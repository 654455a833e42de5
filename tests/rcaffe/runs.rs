//! What runs leave behind, read by the program: logs and their tables.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcaffe::report::runs::{Run, X};
use tempfile::tempdir;

use crate::program::{error, run, run_in, stdout};

/// Logs that Caffe 1.0 wrote, and the tables that its `tools/extra/parse_log.py` made of them. (The script fails at the year in the
/// prefix, which newer glogs write; for it the year was cut out.)
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/log").join(name)
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_tables_of_a_log_are_those_of_caffes_script_byte_for_byte() {
    let folder = tempdir().expect("a folder");
    let logs = ["caffe.log", "table2_first_cycle.log"];
    let paths = logs.map(|log| golden(log).display().to_string());
    let output = run_in(folder.path(), &["parse-log", &paths[0], &paths[1], "-o", "tables"]);
    assert!(output.status.success());
    for log in logs {
        for table in [format!("{log}.train"), format!("{log}.test")] {
            assert_eq!(read(folder.path().join("tables").join(&table)), read(golden(&table)), "{table}");
        }
    }
    let output = run(&["parse-log", &paths[0], "--csv", "test"]);
    assert_eq!(stdout(&output), read(golden("caffe.log.test")));
}

#[test]
fn tables_are_printed_to_be_read() {
    let output = stdout(&run(&["parse-log", &golden("caffe.log").display().to_string()]));
    assert!(output.contains("NumIters   Seconds  LearningRate     loss\n"), "{output}");
    assert!(output.contains("\n        25  0.333049         0.025    0.2525  2.06735\n"), "{output}");
}

/// Unlike the tables, a run has each iteration with its own learning rate.
#[test]
fn a_log_of_caffe_is_a_run() {
    let run = Run::read(&golden("caffe.log")).expect("a run");
    let rates = [(0.0, 0.01), (20.0, 0.025), (40.0, 0.0175), (60.0, 0.01375), (80.0, 0.011875)];
    assert_eq!(run.series("lr", X::Iteration).expect("rates"), rates);
    let accuracies = [(0.0, 0.098), (25.0, 0.2525), (50.0, 0.312), (75.0, 0.352), (100.0, 0.378)];
    assert_eq!(run.series("accuracy", X::Iteration).expect("accuracies"), accuracies);
    assert_eq!(run.series("loss", X::Iteration).expect("losses").last(), Some(&(100.0, 1.80525)));
    assert!(run.solver_text.expect("the solver").contains("lr_policy: \"triangular2\"\n"));
}

/// The tables that `parse-log` writes are runs too.
#[test]
fn tables_of_the_script_are_runs() {
    let run = Run::read(&golden("caffe.log.train")).expect("a run");
    assert_eq!((run.train.len(), run.test.len(), run.name.as_str()), (5, 5, "caffe.log"));
    assert_eq!(run.series("accuracy", X::Iteration).expect("accuracies")[1], (25.0, 0.2525));
}

#[test]
fn files_that_hold_no_run_are_named() {
    let folder = tempdir().expect("a folder");
    for (name, content) in [("empty.log", ""), ("poem.txt", "I was a log\nonce\n"), ("zeros", "\0\0\0\n")] {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        let line = error(&run_in(folder.path(), &["parse-log", name]));
        assert!(line.starts_with(&format!("{name}: holds no lines of ")), "{line}");
        let line = Run::read(&path).expect_err("no run").to_string();
        assert!(line.starts_with(&path.display().to_string()) && !line.contains('\n'), "{line}");
    }
    assert!(error(&run(&["parse-log", "nowhere.log"])).starts_with("nowhere.log: "));
    let line = error(&run(&["parse-log", "a.log", "b.log", "--csv", "test"]));
    assert_eq!(line, "--csv: prints one table, b.log would be a second one; -o DIR writes files");
}
