//! `rcaffe selftest` on the emulated card: every op with code for cards, every golden case.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{LIBRARIES, cache, command, files, folder_of, with_libraries};
use crate::program::{self, error, stderr, stdout};

/// Runs the self-test; returns what went wrong.
fn outcome(environment: &[(&str, &str)]) -> Result<(), String> {
    let mut command = command();
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).args(["selftest", "--quick"]);
    let output = command.envs(environment.iter().copied()).output().expect("the program starts");
    let text = stdout(&output);
    let failures: Vec<&str> = text.lines().filter(|line| line.contains("FAILED")).collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers");
    let cases = fs::read_dir(golden).expect("the golden cases").count();
    let is_whole = text.starts_with("GPU 0: Emulated card, compute capability 9.0")
        && text.contains(&format!("\ngolden cases: {cases}\n"))
        && text.trim_end().ends_with("checks passed");
    match output.status.success() && is_whole {
        true => Ok(()),
        false => Err(format!("{}\n{}", failures.join("\n"), stderr(&output))),
    }
}

/// The folder where the emulated card records all programs and kernels that the self-test uses, and how that test ended.
pub fn recorded() -> (PathBuf, &'static Result<(), String>) {
    static OUTCOME: OnceLock<Result<(), String>> = OnceLock::new();
    let folder = cache().join("selftest");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.display().to_string();
    // Images and records lie in one folder: a program that was compiled before is recorded already.
    (folder, OUTCOME.get_or_init(|| outcome(&[("EMULATED_CARD_RECORD", &path), ("RCAFFE_CACHE", &path)])))
}

#[test]
fn every_op_and_every_golden_case_agrees_with_the_cpu() {
    let (_, outcome) = recorded();
    assert_eq!(outcome, &Ok(()), "{}", outcome.as_ref().err().unwrap_or(&String::new()));
}

#[test]
fn every_kernel_has_a_check_that_runs_it() {
    let (folder, _) = recorded();
    let is_of_kernels = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "cu");
    let read = |file: &PathBuf| fs::read_to_string(file).expect("a file of kernels");
    let programs: Vec<(PathBuf, String)> =
        files(&folder).into_iter().filter(is_of_kernels).map(|file| (file.clone(), read(&file))).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut idle = BTreeSet::new();
    for file in files(&root).into_iter().filter(is_of_kernels) {
        let text = read(&file);
        let lines = text.lines().filter_map(|line| line.strip_prefix("KERNEL "));
        // `__launch_bounds__(...)` may stand in front of a name.
        let behind_bounds = |rest: &'_ str| rest.find(") ").filter(|_| rest.starts_with("__")).map_or(0, |end| end + 2);
        let names = lines.filter_map(|rest| rest[behind_bounds(rest)..].split('(').next());
        for name in names.filter(|name| !name.contains("##")) {
            // A program may be made of several files.
            let mut of_file = programs.iter().filter(|(_, program)| program.contains(&text));
            if !of_file.any(|(program, _)| Path::new(&format!("{}.{name}.kernel", program.display())).exists()) {
                idle.insert(format!("{name} of {}", file.display()));
            }
        }
    }
    assert!(idle.is_empty(), "no check of src/selftest/ops and no golden case runs {idle:#?}");
}

/// What a kernel computes depends neither on the order in which blocks and threads run nor on what lies before its memory.
#[test]
fn every_op_agrees_whatever_the_order_of_threads() {
    let outcome = outcome(&[("EMULATED_CARD_ORDER", "reversed"), ("EMULATED_CARD_GUARD", "front")]);
    assert_eq!(outcome, Ok(()), "{}", outcome.as_ref().err().unwrap_or(&String::new()));
}

/// Convolutions by cuDNN, where it is there and asked for by hand.
#[test]
fn cudnn_agrees_with_the_cpu() {
    let libraries = folder_of(&[&LIBRARIES[..], &["libcudnn.so.9"]].concat());
    let mut command = program::command();
    with_libraries(&mut command, libraries.path()).env("RCAFFE_CUDNN", "always").env("EMULATED_CARD_TRACE", "1");
    let run =
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).args(["selftest", "--quick", "--only", "conv"]);
    let output = run.output().expect("the program starts");
    let text = stdout(&output);
    assert!(output.status.success() && text.trim_end().ends_with("checks passed"), "{text}");
    for direction in ["Forward", "Bottom", "Weights"] {
        let line = format!("convolution ({direction})");
        assert!(stderr(&output).contains(&line), "cuDNN was not asked for {direction}");
    }
}

/// Which of both ways a convolution goes is found out once and kept; a later run reads it.
#[test]
fn the_choice_between_cudnn_and_our_kernels_is_kept() {
    let libraries = folder_of(&[&LIBRARIES[..], &["libcudnn.so.9"]].concat());
    let cache = tempfile::tempdir().expect("a folder");
    let convolutions = || {
        let mut command = program::command();
        with_libraries(&mut command, libraries.path())
            .env("RCAFFE_CACHE", cache.path())
            .env("EMULATED_CARD_TRACE", "1");
        let case = "golden case conv_3x3_pad1";
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).args(["selftest", "--quick", "--only", case]);
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{}", stdout(&output));
        stderr(&output).lines().filter(|line| line.contains("convolution (")).count()
    };
    let choices = || -> Vec<PathBuf> {
        files(cache.path()).into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "choice")).collect()
    };
    // Both ways are tried, in three directions.
    assert!(convolutions() > 3 && choices().len() == 3, "{:?}", choices());
    for (answer, expected) in [("own", 0), ("cudnn", 3)] {
        choices().iter().for_each(|file| fs::write(file, answer).expect("a choice"));
        assert_eq!(convolutions(), expected, "{answer}");
    }
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
