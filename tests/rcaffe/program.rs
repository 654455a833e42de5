//! Runs the real program.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The program, to be given arguments.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rcaffe"))
}

/// Runs the program in a folder.
pub fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    command().args(arguments).current_dir(folder).output().expect("the program starts")
}

/// Runs the program.
pub fn run(arguments: &[&str]) -> Output {
    run_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

/// What the program printed on stdout.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8")
}

/// What the program printed on stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8")
}

/// The one line that a failed command ends with, without `error: `. Checks that it is one line and the exit code is 1.
pub fn error(output: &Output) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let errors: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    assert_eq!(text.lines().last(), Some(format!("error: {}", errors[0]).as_str()), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    errors[0].to_string()
}
