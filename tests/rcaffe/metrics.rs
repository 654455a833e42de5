//! `rcaffe train --metrics` and `--tensorboard`.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use rcaffe::report::runs::{Record, Run, X};

use crate::{
    program::{command, error, run_in, stderr},
    train::{SOLVER, workspace},
};

fn train(folder: &Path, more: &[&str]) -> String {
    let output = run_in(folder, &[&["train", "--solver", "solver.prototxt"], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

fn read(folder: &Path, file: &str) -> Run {
    Run::read(&folder.join(file)).expect("a run")
}

/// A record without what differs from one run to the next.
fn timeless(records: &[Record]) -> Vec<Record> {
    let timeless = |record: &Record| Record { seconds: None, images_per_second: None, ..record.clone() };
    records.iter().map(timeless).collect()
}

#[test]
fn every_iteration_and_every_test_has_a_row() {
    let folder = workspace(SOLVER);
    train(folder.path(), &["--metrics", "run.csv", "--metrics", "deep/run.jsonl"]);
    let run = read(folder.path(), "run.csv");
    let iterations: Vec<u64> = run.train.iter().map(|record| record.iteration).collect();
    assert_eq!(iterations, (0..8).collect::<Vec<u64>>());
    assert_eq!(run.test.iter().map(|record| record.iteration).collect::<Vec<u64>>(), [0, 4, 8]);
    let last = &run.train[7];
    assert_eq!((last.lr, last.momentum, last.loss == last.output("loss")), (Some(0.01), Some(0.9), true));
    assert_eq!(last.loss, last.smoothed_loss);
    // 10,000 pictures in batches of 8.
    let training_set = 10_000.0;
    assert_eq!(last.epoch, Some(7.0 * 8.0 / training_set));
    assert!(last.images_per_second.expect("a speed") > 0.0 && last.gradient_norm.expect("a norm") > 0.0);
    assert!(run.train.windows(2).all(|pair| pair[0].seconds <= pair[1].seconds));
    assert_eq!(run.test[1].lr, Some(0.01));
    let accuracies = run.series("accuracy", X::Epoch).expect("accuracies");
    assert_eq!((accuracies.len(), accuracies[2].0), (3, 8.0 * 8.0 / training_set));

    let same = read(folder.path(), "deep/run.jsonl");
    assert_eq!((same.train, same.test), (run.train, run.test));
}

/// What log lines show in six digits, the rows hold.
#[test]
fn rows_agree_with_the_log() {
    let folder = workspace(SOLVER);
    train(folder.path(), &["--metrics", "run.csv", "--log", "run.log"]);
    let (rows, log) = (read(folder.path(), "run.csv"), read(folder.path(), "run.log"));
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs();
    for shown in log.train.iter().filter(|record| record.iteration < 8) {
        let row = &rows.train[shown.iteration as usize];
        assert!(
            close(row.loss.expect("a loss"), shown.loss.expect("a loss")) && row.lr == shown.lr,
            "{row:?} {shown:?}"
        );
    }
    for (row, shown) in rows.test.iter().zip(&log.test) {
        let accuracy = |record: &Record| record.output("accuracy").expect("an accuracy");
        assert!(close(accuracy(row), accuracy(shown)), "{row:?} {shown:?}");
    }
}

#[test]
fn a_resumed_run_has_each_row_once() {
    let folder = workspace(SOLVER);
    train(folder.path(), &["--metrics", "run.csv", "--metrics", "run.jsonl"]);
    let whole = read(folder.path(), "run.csv");
    train(folder.path(), &["--metrics", "run.csv", "--metrics", "run.jsonl", "--snapshot", "snap_iter_4.solverstate"]);
    for file in ["run.csv", "run.jsonl"] {
        let resumed = read(folder.path(), file);
        assert_eq!(timeless(&resumed.train), timeless(&whole.train), "{file}");
        assert_eq!(timeless(&resumed.test), timeless(&whole.test), "{file}");
        // The clock goes on too.
        assert!(resumed.train.windows(2).all(|pair| pair[0].seconds <= pair[1].seconds), "{file}");
    }
    // A run from the beginning leaves nothing of the one before.
    train(folder.path(), &["--metrics", "run.csv"]);
    assert_eq!(read(folder.path(), "run.csv").train.len(), 8);
}

/// Solvers that run one after another fill one file.
#[test]
fn several_solvers_write_one_table() {
    let folder = workspace(SOLVER);
    fs::write(folder.path().join("second.prototxt"), SOLVER.replace("max_iter: 8", "max_iter: 12")).expect("a file");
    train(folder.path(), &["--solver", "second.prototxt", "--metrics", "run.csv"]);
    let iterations: Vec<u64> = read(folder.path(), "run.csv").train.iter().map(|record| record.iteration).collect();
    assert_eq!(iterations, (0..12).collect::<Vec<u64>>());
}

/// A program that is killed has written the rows of all that it has shown.
#[test]
fn a_killed_run_keeps_its_rows() {
    let folder = workspace(&SOLVER.replace("max_iter: 8", "max_iter: 1000000").replace("snapshot: 4", "snapshot: 0"));
    let arguments = ["train", "--solver", "solver.prototxt", "--metrics", "run.csv"];
    let mut child =
        command().args(arguments).current_dir(folder.path()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let reached = |line: String| line.contains("] Iteration 40 ");
    assert!(lines.any(|line| reached(line.expect("a line"))), "it does not get to iteration 40");
    child.kill().expect("it ends");
    child.wait().expect("it ended");
    let run = read(folder.path(), "run.csv");
    assert!(run.train.len() >= 40 && run.test.len() >= 9, "{} rows, {} tests", run.train.len(), run.test.len());
}

#[test]
fn metrics_that_cannot_be_written_are_named_before_the_run() {
    let folder = workspace(SOLVER);
    let arguments = |flag: &'static str, value: &'static str| ["train", "--solver", "solver.prototxt", flag, value];
    let line = error(&run_in(folder.path(), &arguments("--metrics", "run.xlsx")));
    assert_eq!(line, "--metrics: run.xlsx must end in .csv or .jsonl, which says what is written");
    for (flag, value) in [("--metrics", "net.prototxt/run.csv"), ("--tensorboard", "net.prototxt/events")] {
        let line = error(&run_in(folder.path(), &arguments(flag, value)));
        assert!(line.starts_with(value), "{line}");
    }
}

/// Its records are checked where they are made; here: one file for each start, in the order of their names.
#[test]
fn tensorboard_gets_a_file_for_each_start() {
    let folder = workspace(SOLVER);
    train(folder.path(), &["--tensorboard", "events"]);
    train(folder.path(), &["--tensorboard", "events", "--snapshot", "snap_iter_4.solverstate"]);
    let entries = fs::read_dir(folder.path().join("events")).expect("a folder");
    let mut sizes: Vec<(String, u64)> = entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata().expect("its size").len()))
        .collect();
    sizes.sort();
    assert!(sizes.len() == 2 && sizes[0].1 > sizes[1].1 && sizes[1].1 > 500, "{sizes:?}");
    assert!(sizes.iter().all(|(name, _)| name.starts_with("events.out.tfevents.")), "{sizes:?}");
}
