//! Machines where CUDA, or a part of it, is missing: one line that says what and where it was looked for.

use std::{fs, path::Path, process::Output};

use tempfile::tempdir;

use super::{folder_of, with_libraries};
use crate::program::{self, error, stderr};

const NET: &str = r#"
layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 1 }
"#;

/// Runs the program where nothing but these libraries is found before the system's; `None` where the system has them too.
fn run(names: &[&str], arguments: &[&str]) -> Option<Output> {
    let libraries = folder_of(names);
    let run = |arguments: &[&str]| {
        let folder = tempdir().expect("a folder");
        fs::write(folder.path().join("net.prototxt"), NET).expect("a file");
        let solver =
            "net: \"net.prototxt\" base_lr: 0.1 lr_policy: \"fixed\" max_iter: 1 snapshot_after_train: false\n";
        fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
        let mut command = program::command();
        with_libraries(&mut command, libraries.path());
        command.env("HOME", folder.path()).env("PATH", "").env_remove("VIRTUAL_ENV").env_remove("CONDA_PREFIX");
        command.current_dir(folder.path()).args(arguments).output().expect("the program starts")
    };
    if run(&["selftest", "--quick", "--only", "nothing", "--cases", "."]).status.success() {
        eprintln!("skipped: this machine has CUDA");
        return None;
    }
    Some(run(arguments))
}

#[test]
fn without_a_driver_commands_that_need_one_end_in_a_line_that_says_so() {
    let commands: [&[&str]; 3] = [&["devices"], &["selftest"], &["train", "--solver", "solver.prototxt", "--gpu", "0"]];
    for arguments in commands {
        let Some(output) = run(&[], arguments) else { return };
        let message = error(&output);
        assert!(message.contains("NVIDIA's driver (libcuda.so) is missing: looked in "), "{message}");
        assert!(message.contains("RCAFFE_CUDA_PATH") && message.contains("/usr/local/cuda"), "{message}");
    }
}

#[test]
fn without_a_driver_a_solver_that_does_not_say_where_runs_on_the_cpu_with_one_notice() {
    let Some(output) = run(&[], &["train", "--solver", "solver.prototxt"]) else { return };
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    let notices = text.lines().filter(|line| line.contains("libcuda")).collect::<Vec<_>>();
    assert!(notices.len() == 1 && notices[0].contains("running on the CPU"), "{text}");
}

#[test]
fn each_library_that_is_missing_is_named() {
    let arguments = ["train", "--solver", "solver.prototxt", "--gpu", "0"];
    let parts: [(&[&str], &str); 2] = [
        (&["libcuda.so.1"], "libnvrtc.so) is missing"),
        (&["libcuda.so.1", "libnvrtc.so.12"], "libcublas.so) is missing"),
    ];
    for (libraries, part) in parts {
        let Some(output) = run(libraries, &arguments) else { return };
        assert!(error(&output).contains(part), "{}", error(&output));
    }
}

#[test]
fn a_library_that_is_none_is_an_error_of_one_line() {
    let libraries = tempdir().expect("a folder");
    fs::write(libraries.path().join("libcuda.so.1"), "text").expect("a file");
    let mut command = program::command();
    with_libraries(&mut command, libraries.path()).env("HOME", libraries.path());
    let output = command.current_dir(Path::new("/")).arg("devices").output().expect("the program starts");
    // A machine with a driver goes on with that.
    assert!(output.status.success() || error(&output).contains("libcuda"), "{}", stderr(&output));
}
