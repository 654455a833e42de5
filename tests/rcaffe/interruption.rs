//! A run that is killed, or finds no room for its files, leaves snapshots that are whole.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rcaffe::snapshot::{checksum, read_state, read_weights};
use tempfile::{TempDir, tempdir};

use crate::program::{command, error, run_in, stderr};

const SOLVER: &str = r#"net: "net.prototxt"
test_iter: 1
test_interval: 2
base_lr: 0.001 lr_policy: "fixed" momentum: 0.9
max_iter: 1000000
snapshot: 1
snapshot_best { output: "loss" }
snapshot_prefix: "snap"
solver_mode: CPU random_seed: 5
"#;

const NET: &str = r#"name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 mirror: true }
  data_param { source: "synthetic:shapes/train" batch_size: 4 prefetch: 1 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"#;

fn workspace(solver: &str) -> TempDir {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
    fs::write(folder.path().join("net.prototxt"), NET).expect("a file");
    folder
}

fn states(folder: &Path) -> Vec<(i32, PathBuf)> {
    let paths = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let states = paths.filter(|path| path.extension().is_some_and(|extension| extension == "solverstate"));
    let mut states: Vec<_> = states.map(|path| (check(&path), path)).collect();
    states.sort();
    states
}

/// Checks that a state and its weights are whole and belong together; returns the iteration.
#[track_caller]
fn check(path: &Path) -> i32 {
    let state = read_state(path).unwrap_or_else(|error| panic!("{error}"));
    let weights = path.with_file_name(state.learned_net());
    read_weights(&weights).unwrap_or_else(|error| panic!("{error}"));
    let wanted = state.run.as_ref().and_then(|run| run.weights_checksum);
    assert_eq!(wanted, Some(checksum(&weights).expect("weights")), "{}", path.display());
    state.iter()
}

/// Kills the run 50 times, at moments spread over its start and its first snapshots, and resumes it each time.
#[test]
fn a_kill_at_any_moment_leaves_whole_snapshots_to_resume_from() {
    let folder = workspace(SOLVER);
    let mut arguments: Vec<String> = ["train", "--solver", "solver.prototxt"].map(String::from).to_vec();
    let (mut random, mut reached, mut resumed) = (12_345_u32, 0, 0);
    for _ in 0..50 {
        let mut child = command();
        child.args(&arguments).current_dir(folder.path()).stderr(Stdio::null());
        let mut child = child.spawn().expect("the program starts");
        // Half of the moments are counted from the first new snapshot on, so that a slow machine comes to them too.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (wait, after_snapshot) = (Duration::from_micros(u64::from(random >> 12) % 60_000), random & 1024 != 0);
        let next = folder.path().join(format!("snap_iter_{}.solverstate", reached + 1));
        let begun = Instant::now();
        while after_snapshot && !next.exists() && begun.elapsed() < Duration::from_secs(20) {
            sleep(Duration::from_millis(1));
        }
        sleep(wait);
        child.kill().expect("a running child");
        child.wait().expect("an end");
        let found = states(folder.path());
        if let Some((iteration, path)) = found.iter().rfind(|(_, path)| path.display().to_string().contains("iter_")) {
            assert!(*iteration >= reached, "{iteration} {reached}");
            resumed += i32::from(*iteration > reached);
            reached = *iteration;
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            arguments.splice(3.., ["--snapshot".to_string(), name]);
            // Those before are not needed any more.
            for (_, old) in found.iter().filter(|(_, old)| old != path && !old.ends_with("snap_best.solverstate")) {
                fs::remove_file(old).expect("an old state");
                fs::remove_file(old.with_extension("caffemodel")).expect("old weights");
            }
        }
    }
    assert!(resumed >= 20, "{resumed} of 50 runs came to a snapshot");
    assert!(folder.path().join("snap_best.caffemodel").exists());
    let solver = SOLVER.replace("max_iter: 1000000", &format!("max_iter: {}", reached + 1));
    fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run_in(folder.path(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(check(&folder.path().join(format!("snap_iter_{}.solverstate", reached + 1))), reached + 1);
}

/// A run of two iterations in `folder`, from the solver in it.
fn two_iterations(folder: &Path) {
    let solver = SOLVER.replace("max_iter: 1000000", "max_iter: 2");
    fs::write(folder.join("short.prototxt"), solver).expect("a file");
    let output = run_in(folder, &["train", "--solver", "short.prototxt"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Checks how a run ends that could write no snapshot of iteration 3: one line, and the snapshots before are whole.
#[track_caller]
fn check_end(output: &Output, folder: &Path, why: &str) {
    let message = error(output);
    assert!(message.contains("snap_iter_3.caffemodel") && message.contains(why), "{message}");
    assert_eq!(check(&folder.join("snap_iter_2.solverstate")), 2);
    let names: Vec<_> =
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
    let rest = names.iter().filter(|name| name.to_string_lossy().contains("partial"));
    assert_eq!(rest.count(), 0, "{names:?}");
    assert!(!folder.join("snap_iter_3.solverstate").exists());
}

/// Files may grow to 64 KiB: the weights need twice that.
#[test]
fn a_file_that_cannot_grow_ends_the_run_and_keeps_the_last_snapshot() {
    let folder = workspace(SOLVER);
    two_iterations(folder.path());
    let script =
        "trap '' XFSZ; ulimit -f 128; exec \"$0\" train --solver solver.prototxt --snapshot snap_iter_2.solverstate";
    let output =
        Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_rcaffe")]).current_dir(folder.path()).output();
    check_end(&output.expect("a shell"), folder.path(), "File too large");
}

/// A disk of 1 MB, where this may be mounted: the snapshots fill it.
#[test]
fn a_full_disk_ends_the_run_and_keeps_the_last_snapshot() {
    let folder = workspace(SOLVER);
    two_iterations(folder.path());
    // What fits beside the snapshots that are there is not enough for the next ones.
    let script =
        "mkdir disk && mount -t tmpfs -o size=1m none disk && cp *.prototxt snap_iter_2.* disk && cd disk || exit 77
        head -c 750000 /dev/zero > ballast
        \"$0\" train --solver solver.prototxt --snapshot snap_iter_2.solverstate; code=$?
        cp -a . ../after; exit $code";
    let mut unshared = Command::new("unshare");
    unshared.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_rcaffe")]);
    let output = match unshared.current_dir(folder.path()).output() {
        Ok(output) if output.status.code() != Some(77) && folder.path().join("after").exists() => output,
        _ => return eprintln!("skipped: no file system can be mounted here"),
    };
    check_end(&output, &folder.path().join("after"), "No space left on device");
}

/// Runs the program as a user who owns nothing: the superuser may write anywhere.
fn run_unprivileged(folder: &Path, arguments: &[&str]) -> Option<Output> {
    let probe = folder.join("probe");
    if fs::write(&probe, "").is_err() {
        return Some(run_in(folder, arguments));
    }
    fs::remove_file(probe).expect("the probe");
    let mut run = Command::new("setpriv");
    run.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_rcaffe")]).args(arguments);
    let output = run.current_dir(folder).output().ok()?;
    stderr(&output).contains("rcaffe").then_some(output).or(None)
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_training() {
    use std::os::unix::fs::PermissionsExt;
    let folder = workspace(SOLVER);
    two_iterations(folder.path());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).expect("read-only");
    let arguments = ["train", "--solver", "solver.prototxt", "--snapshot", "snap_iter_2.solverstate"];
    let output = run_unprivileged(folder.path(), &arguments);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("writable");
    let Some(output) = output else { return eprintln!("skipped: no user without rights to run as") };
    let message = error(&output);
    assert!(message.starts_with("solver.prototxt:7: ") && message.contains("Permission denied"), "{message}");
    assert_eq!(check(&folder.path().join("snap_iter_2.solverstate")), 2);
}
