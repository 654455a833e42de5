//! The command line as a user meets it.

use std::{io, process::Stdio};

use crate::program::{command, error, run, stderr, stdout};

const COMMANDS: [&str; 8] = ["train", "test", "time", "trace", "dump", "data", "parse-log", "compare"];

#[test]
fn help_names_every_command_and_every_command_shows_an_example() {
    let help = stdout(&run(&["--help"]));
    for name in COMMANDS {
        assert!(help.contains(&format!("  {name} ")), "{help}");
        let own = run(&[name, "--help"]);
        assert!(own.status.success());
        let own = stdout(&own);
        assert!(own.contains(&format!("Usage: rcaffe {name}")), "{own}");
        assert!(own.contains("Example") && own.contains(&format!("  rcaffe {name} ")), "{own}");
    }
}

#[test]
fn an_unknown_flag_is_named_with_the_nearest_one() {
    let line = error(&run(&["train", "-sovler", "solver.prototxt"]));
    assert_eq!(line, "unexpected argument '--sovler' found; tip: a similar argument exists: '--solver'");
}

#[test]
fn a_missing_flag_is_named() {
    assert!(error(&run(&["train"])).contains("--solver"));
    assert!(error(&run(&["test", "-model", "net.prototxt"])).contains("--weights"));
    assert!(error(&run(&[])).contains("no command"));
}

#[test]
fn no_threads_are_refused() {
    let line = error(&run(&["train", "--solver", "solvers/quick_start.prototxt", "--threads", "0"]));
    assert!(line.starts_with("--threads: "), "{line}");
}

/// Room for the program, and not for 64 stacks.
#[cfg(target_os = "linux")]
#[test]
fn threads_that_the_system_does_not_start_are_an_error() {
    let limited = |arguments: &str| {
        let script = format!("ulimit -v 400000; RAYON_NUM_THREADS=64 exec \"$0\" layers {arguments}");
        std::process::Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_rcaffe")]).output().expect("a shell")
    };
    assert!(error(&limited("--threads 64")).contains("does not start 64 threads"));
    assert!(error(&limited("")).contains("take fewer with --threads N"));
    assert!(limited("--threads 1").status.success());
}

/// As in `rcaffe --help | head -1`.
#[test]
fn a_closed_pipe_is_no_error() {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let output = command().arg("--help").stdout(writer).stderr(Stdio::piped()).output().expect("the program starts");
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}
#[test]
fn a_solver_that_is_not_there_is_named() {
    for arguments in [["train", "-solver", "nowhere.prototxt"], ["train", "--solver", "nowhere.prototxt"]] {
        assert!(error(&run(&arguments)).starts_with("nowhere.prototxt: "));
    }
    assert!(error(&run(&["-solver=nowhere.prototxt", "train"])).starts_with("nowhere.prototxt: "));
}

#[test]
fn flags_of_caffes_other_commands_get_a_warning() {
    let output = run(&["train", "-solver", "nowhere.prototxt", "-iterations", "-3", "--logtostderr=1"]);
    assert!(stderr(&output).contains("--iterations has no effect on this command"));
    assert!(error(&output).starts_with("nowhere.prototxt: "));
}
