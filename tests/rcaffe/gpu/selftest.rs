//! `rcaffe selftest` on the emulated card: every op with code for cards, every golden case.

use std::path::Path;

use super::command;
use crate::program::{error, stderr, stdout};

/// The environment of a run, and what it shows.
fn passes(environment: &[(&str, &str)]) {
    let mut command = command();
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).args(["selftest", "--quick"]);
    let output = command.envs(environment.iter().copied()).output().expect("the program starts");
    let text = stdout(&output);
    let failures: Vec<&str> = text.lines().filter(|line| line.contains("FAILED")).collect();
    assert!(output.status.success(), "{}\n{}", failures.join("\n"), stderr(&output));
    assert!(text.starts_with("GPU 0: Emulated card, compute capability 9.0"), "{text}");
    assert!(text.contains("\ngolden cases: 111\n") && text.trim_end().ends_with("checks passed"), "{text}");
}

#[test]
fn every_op_and_every_golden_case_agrees_with_the_cpu() {
    passes(&[]);
}

/// What a kernel computes depends neither on the order in which blocks and threads run nor on what lies before its memory.
#[test]
fn every_op_agrees_whatever_the_order_of_threads() {
    passes(&[("EMULATED_CARD_ORDER", "reversed"), ("EMULATED_CARD_GUARD", "front")]);
}

#[test]
fn a_folder_without_cases_is_said() {
    let mut command = command();
    let output = command.args(["selftest", "--quick", "--only", "elementwise", "--cases", "no_such_folder"]).output();
    let output = output.expect("the program starts");
    let text = stdout(&output);
    assert!(output.status.success() && text.contains("golden cases: none, no_such_folder"), "{text}");
}

#[test]
fn devices_lists_the_card() {
    let output = command().arg("devices").output().expect("the program starts");
    let text = stdout(&output);
    assert!(text.contains("Emulated card") && text.contains("9.0") && text.contains("132"), "{text}");
    let output = command().args(["selftest", "--gpu", "1"]).output().expect("the program starts");
    assert!(error(&output).contains("there is no GPU 1"), "{}", error(&output));
}
