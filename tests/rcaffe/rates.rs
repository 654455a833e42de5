//! The learning-rate workbench as a user runs it: `schedule`, `lr-find`, `check`, `test --confusion`, and what a run shows.

use std::{fs, path::Path};

use tempfile::{TempDir, tempdir};

use crate::program::{error, run, run_in, stderr, stdout};

const NET: &str = r#"name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { scale: 0.01 }
  data_param { source: "synthetic:shapes/train" batch_size: 50 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } transform_param { scale: 0.01 }
  data_param { source: "synthetic:shapes/test" batch_size: 50 } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE kernel_size: 4 stride: 4 } }
layer { name: "conv" type: "Convolution" bottom: "pool" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"#;

const SOLVER: &str = r#"net: "net.prototxt"   # the net
test_iter: 20
test_interval: 400
lr_policy: "triangular"
base_lr: 0.001
max_lr: 0.01
stepsize: 400
max_iter: 1600
momentum: 0.9
snapshot: 400
snapshot_prefix: "snap"
random_seed: 7
solver_mode: CPU
"#;

fn workspace(solver: &str, net: &str) -> TempDir {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
    fs::write(folder.path().join("net.prototxt"), net).expect("a file");
    folder
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a command that must succeed; returns what it printed on stdout.
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let output = run_in(folder, arguments);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

#[test]
fn a_schedule_is_shown_in_epochs_cycles_numbers_and_pictures() {
    let folder = workspace(SOLVER, NET);
    let files = ["--csv", "rates.csv", "--plot", "rates.svg", "--terminal"];
    let text = printed(folder.path(), &[&["schedule", "--solver", "solver.prototxt"], &files[..]].concat());
    let expected = "stage 1: triangular, iterations 0 to 1600, lr 0.001 to 0.01, 2 whole cycles of 800 iterations
max_iter: 1600 iterations of 50 = 80000 images = 8 epochs of 10000 (synthetic:shapes/train)
2 whole cycles; training ends at the end of a cycle
";
    assert!(text.starts_with(expected), "{text}");
    let csv = read(folder.path(), "rates.csv");
    assert_eq!(csv.lines().count(), 1601);
    assert_eq!(csv.lines().nth(1), Some("0,0.001,0.9,1"));
    assert_eq!(csv.lines().nth(401), Some("400,0.01,0.9,1"));
    let svg = read(folder.path(), "rates.svg");
    assert!(svg.contains("Learning rate of solver.prototxt") && svg.contains("end of cycle"), "{svg}");
}

#[test]
fn the_rates_shown_are_those_of_training() {
    let solver = SOLVER.replace("max_iter: 1600", "max_iter: 9 display: 1").replace("stepsize: 400", "stepsize: 4");
    let folder = workspace(&solver.replace("test_iter: 20\ntest_interval: 400\n", ""), NET);
    let output = run_in(folder.path(), &["train", "--solver", "solver.prototxt"]);
    let log = stderr(&output);
    let trained: Vec<&str> = log.lines().filter_map(|line| line.split_once(", lr = ").map(|(_, rate)| rate)).collect();
    printed(folder.path(), &["schedule", "--solver", "solver.prototxt", "--csv", "rates.csv"]);
    let csv = read(folder.path(), "rates.csv");
    let shown: Vec<f32> = csv.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    let trained: Vec<f32> = trained.iter().map(|rate| rate.parse().unwrap()).collect();
    assert_eq!(trained.len(), 9);
    for (shown, trained) in shown.iter().zip(&trained) {
        assert!((shown - trained).abs() <= 1e-5 * trained, "{shown} and {trained}");
    }
    assert!(!log.contains('\r') && !log.contains('\u{1b}'), "a log in a file is plain lines: {log}");
}

#[test]
fn the_papers_stages_and_several_solvers_are_one_schedule() {
    let staged = stdout(&run(&["schedule", "--solver", "solvers/cifar10_triangular2.prototxt"]));
    assert!(staged.contains("\n10 whole cycles; training ends at the end of a cycle\n"), "{staged}");
    assert!(!staged.contains("warning"), "{staged}");
    let stages = [1, 2, 3].map(|stage| format!("solvers/cifar10_triangular2_stage{stage}.prototxt"));
    let [a, b, c] = stages.each_ref().map(String::as_str);
    let apart = run(&["schedule", "--solver", a, "--solver", b, "--solver", c, "--iters", "15999..16001"]);
    assert!(stdout(&apart).contains("\n10 whole cycles; training ends at the end of a cycle\n"), "{}", stdout(&apart));
    let line = error(&run(&["schedule", "--solver", a, "--iters", "16000..16001"]));
    assert_eq!(line, "--iters: begins at 16000, and training ends at 16000");
}

#[test]
fn training_that_ends_within_a_cycle_is_warned_of() {
    let folder = workspace(&SOLVER.replace("max_iter: 1600", "max_iter: 1300"), NET);
    let text = printed(folder.path(), &["schedule", "--solver", "solver.prototxt"]);
    assert!(text.contains("warning: training ends at iteration 1300, within a cycle"), "{text}");
    assert!(text.contains("end at 800 or 1600"), "{text}");
}

#[test]
fn lr_find_leaves_nothing_behind_but_what_it_was_asked_for() {
    let folder = workspace(SOLVER, NET);
    let arguments = "lr-find --solver solver.prototxt --from 0.0001 --to 3 --iters 300 --test-every 10 --csv curve.csv \
                     --plot curve.svg --write found.prototxt";
    let text = printed(folder.path(), &arguments.split_whitespace().collect::<Vec<_>>());
    assert!(
        text.starts_with("LR range test of solver.prototxt: lr 0.0001 to 3, exponential, 300 iterations\n"),
        "{text}"
    );
    for part in ["base_lr ", "max_lr ", "steepest slope ", "minimum / 10 ", "\n\nbase_lr: "] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let mut files: Vec<String> = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    files.sort();
    assert_eq!(files, ["curve.csv", "curve.svg", "found.prototxt", "net.prototxt", "solver.prototxt"]);
    let csv = read(folder.path(), "curve.csv");
    assert!(csv.starts_with("iteration,lr,loss,smoothed_loss,accuracy\n0,0.0001,"), "{csv}");
    let svg = read(folder.path(), "curve.svg");
    for part in ["LR range test of solver.prototxt", "base_lr", "max_lr", "test accuracy"] {
        assert!(svg.contains(part), "{part} is not in the picture");
    }
    let [old, new] = ["solver.prototxt", "found.prototxt"].map(|name| read(folder.path(), name));
    let changed: Vec<&str> = new.lines().zip(old.lines()).filter(|(new, old)| new != old).map(|(new, _)| new).collect();
    assert_eq!(changed.len(), 2, "{new}");
    assert!(text.ends_with(&format!("\n{}\n{}\n", changed[0], changed[1])), "{text}");
    printed(folder.path(), &["schedule", "--solver", "found.prototxt"]);
}

#[test]
fn a_solver_that_is_a_range_test_is_run_as_one() {
    let solver = SOLVER.replace("stepsize: 400", "stepsize: 40").replace("max_iter: 1600", "max_iter: 40");
    let folder = workspace(&solver, NET);
    let text = printed(folder.path(), &["lr-find", "--solver", "solver.prototxt"]);
    assert!(text.starts_with("LR range test of solver.prototxt: lr 0.001 to 0.01, linear, 40 iterations\n"), "{text}");
    let line = error(&run_in(folder.path(), &["lr-find", "--solver", "solver.prototxt", "--from", "1"]));
    assert!(line.starts_with("--to: must be a rate above --from"), "{line}");
    let line = error(&run_in(folder.path(), &["lr-find", "--solver", "solver.prototxt", "--plot", "a.jpg"]));
    assert!(line.contains(".svg or .png"), "{line}");
}

#[test]
fn a_file_without_a_folder_is_refused_before_the_run() {
    let folder = workspace(SOLVER, NET);
    let output = run_in(folder.path(), &["lr-find", "--solver", "solver.prototxt", "--csv", "nowhere/curve.csv"]);
    assert!(error(&output).ends_with("there is no folder nowhere"), "{}", error(&output));
    assert!(stdout(&output).is_empty(), "the run had begun: {}", stdout(&output));
}

/// What `check` prints of a solver and a net, problems only; whether it ended with 0.
fn check(solver: &str, net: &str) -> (String, bool) {
    let folder = workspace(solver, net);
    let output = run_in(folder.path(), &["check", "--solver", "solver.prototxt", "--brief"]);
    (stdout(&output), output.status.success())
}

#[test]
fn a_good_solver_has_no_problems_and_a_table() {
    let (text, good) = check(SOLVER, NET);
    assert!(good);
    assert_eq!(text, "solver.prototxt: nothing found\n");
    let folder = workspace(SOLVER, NET);
    let text = printed(folder.path(), &["check", "--solver", "solver.prototxt"]);
    let conv = text.lines().find(|line| line.starts_with("conv ")).unwrap_or_default();
    let cells: Vec<&str> = conv.split_whitespace().collect();
    // 8 filters of 3·3·3 and 8 biases on 8×8 maps; 2·50·8·36·27 operations; windows of 4 pixels, 4 apart, times 3.
    assert_eq!(cells[1..4], ["Convolution", "50×8×6×6", "224"], "{text}");
    assert_eq!((cells[5], *cells.last().unwrap()), ("0.778", "12"), "{text}");
    assert!(text.contains("a test takes 1000 of 1000 images of synthetic:shapes/test: 20 batches of 50"), "{text}");
}

/// Ten configurations, each with several things wrong: what is replaced in the solver and in the net, and what is said.
type Bad = (&'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)], &'static [&'static str]);

const BAD: [Bad; 10] = [
    // Unknown fields in both files, all of them named.
    (
        &[("momentum: 0.9", "momentun: 0.9"), ("max_iter: 1600", "max_iter: 1600 weight_deccay: 0.1")],
        &[("num_output: 10", "num_outputs: 10")],
        &[
            "error: solver.prototxt:9:1: unknown field \"momentun\"",
            "error: solver.prototxt:8:16: unknown field \"weight_deccay\"",
            "error: net.prototxt:11:25: unknown field \"num_outputs\"",
        ],
    ),
    // Unknown layer types and bottoms.
    (
        &[],
        &[
            ("type: \"ReLU\" bottom: \"conv\"", "type: \"RELU\" bottom: \"conv\""),
            ("bottom: \"ip\" bottom", "bottom: \"ipp\" bottom"),
        ],
        &[
            "net.prototxt:9: layer \"relu\" (RELU): ",
            "layer \"accuracy\" (Accuracy): bottom: unknown bottom blob \"ipp\"",
        ],
    ),
    // Data, means and weights that are not there.
    (
        &[("solver_mode: CPU", "solver_mode: CPU weights: \"none.caffemodel\"")],
        &[
            ("synthetic:shapes/train", "data/cifar10_train_lmdb"),
            ("TEST } transform_param { scale: 0.01", "TEST } transform_param { mean_file: \"mean.binaryproto\""),
        ],
        &[
            "error: net.prototxt:2: layer \"data\" (Data): data_param.source: data/cifar10_train_lmdb: not found; `rcaffe data cifar10 data`",
            "error: net.prototxt:4: layer \"data\" (Data): transform_param.mean_file: mean.binaryproto: not found",
            "error: solver.prototxt:13: weights: none.caffemodel is not there",
        ],
    ),
    // Shapes that do not fit, and what lies behind them.
    (
        &[],
        &[("num_output: 8 kernel_size: 3", "num_output: 8 kernel_size: 30"), ("num_output: 10", "num_output: 0")],
        &[
            "error: net.prototxt:7: layer \"conv\" (Convolution): ",
            "error: net.prototxt:10: layer \"ip\" (InnerProduct): ",
        ],
    ),
    // Options of the solver that cannot be.
    (
        &[
            ("max_lr: 0.01\n", ""),
            ("test_interval: 400", "test_interval: 0"),
            ("random_seed: 7", "iter_size: 0 type: \"Sgd\""),
        ],
        &[],
        &[
            "error: solver.prototxt: max_lr: is missing",
            "error: solver.prototxt:3: test_interval: must be at least 1",
            "error: solver.prototxt:11: iter_size: must be at least 1",
            "error: solver.prototxt:11: type: unknown solver type \"Sgd\"; did you mean \"SGD\"?",
        ],
    ),
    // A policy that does not exist, and an end that is not given.
    (
        &[("lr_policy: \"triangular\"", "lr_policy: \"triangle\""), ("max_iter: 1600\n", "")],
        &[],
        &["error: solver.prototxt:4: lr_policy: unknown learning-rate policy \"triangle\"", "max_iter: is not given"],
    ),
    // Options that nothing reads.
    (
        &[("lr_policy: \"triangular\"", "lr_policy: \"fixed\" gamma: 0.1 momentum2: 0.9")],
        &[("pooling_param {", "convolution_param { pad: 1 } pooling_param {")],
        &[
            "warning: solver.prototxt:6: max_lr: nothing reads it: lr_policy is \"fixed\"",
            "warning: solver.prototxt:7: stepsize: nothing reads it",
            "warning: solver.prototxt:4: gamma: nothing reads it",
            "warning: solver.prototxt:4: momentum2: nothing reads it: type is \"SGD\"",
            "warning: net.prototxt:6: layer \"pool\" (Pooling): convolution_param: nothing reads it",
        ],
    ),
    // Tests and cycles that are not what was meant.
    (
        &[("test_iter: 20", "test_iter: 50"), ("max_iter: 1600", "max_iter: 1300"), ("stepsize: 400", "stepsize: 100")],
        &[],
        &[
            "warning: solver.prototxt:2: test_iter: a test goes through synthetic:shapes/test 2.5 times: 20 is once",
            "warning: solver.prototxt:8: training ends at iteration 1300, within a cycle",
            "note: solver.prototxt:7: stage 1: stepsize 100 is 0.5 epochs",
        ],
    ),
    // Batch normalisation.
    (
        &[],
        &[(
            "layer { name: \"relu\"",
            "layer { name: \"bn\" type: \"BatchNorm\" bottom: \"conv\" top: \"conv\" param { lr_mult: 1 }
  batch_norm_param { use_global_stats: true moving_average_fraction: 0.9999 } }
layer { name: \"relu\"",
        )],
        &[
            "warning: net.prototxt:9: layer \"bn\" (BatchNorm): batch_norm_param.use_global_stats: true while training",
            "warning: net.prototxt:9: layer \"bn\" (BatchNorm): batch_norm_param.moving_average_fraction: ",
            "note: net.prototxt:9: layer \"bn\" (BatchNorm): no Scale layer follows",
            "error: net.prototxt:9: layer \"bn\" (BatchNorm): param[0].lr_mult: must be 0",
        ],
    ),
    // The net itself is not there, and the snapshots have nowhere to go.
    (
        &[("net.prototxt", "nets.prototxt"), ("\"snap\"", "\"solver.prototxt/snap\"")],
        &[],
        &["error: solver.prototxt:1: nets.prototxt: ", "error: solver.prototxt:11: "],
    ),
];

#[test]
fn ten_bad_configurations_have_each_of_their_problems_named() {
    for (number, (solver_changes, net_changes, expected)) in BAD.iter().enumerate() {
        let change = |text: &str, changes: &[(&str, &str)]| {
            changes.iter().fold(text.to_owned(), |text, (old, new)| {
                assert!(text.contains(old), "{old}");
                text.replace(old, new)
            })
        };
        let (text, good) = check(&change(SOLVER, solver_changes), &change(NET, net_changes));
        for part in *expected {
            assert!(text.contains(part), "configuration {}: {part:?} is not in\n{text}", number + 1);
        }
        let has_errors = expected.iter().any(|part| !part.starts_with("warning") && !part.starts_with("note"));
        assert_eq!(good, !has_errors, "configuration {}:\n{text}", number + 1);
    }
}

#[test]
fn nothing_is_wrong_with_the_files_of_this_repository() {
    for (folder, flag) in [("models", "--model"), ("solvers", "--solver")] {
        let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder");
        for file in files {
            let name = format!("{folder}/{}", file.expect("a file").file_name().to_string_lossy());
            let output = run(&["check", flag, &name, "--without-data", "--brief"]);
            let text = stdout(&output);
            assert!(output.status.success(), "{name}: {text}{}", stderr(&output));
            assert!(!text.contains("error:") && !text.contains("warning:"), "{name}: {text}");
        }
    }
}

#[test]
fn a_confusion_matrix_has_a_table_a_file_and_a_picture() {
    let solver = SOLVER.replace("max_iter: 1600", "max_iter: 20").replace("test_iter: 20\ntest_interval: 400\n", "");
    let folder = workspace(&solver, NET);
    assert!(run_in(folder.path(), &["train", "--solver", "solver.prototxt"]).status.success());
    let names = ["disc", "ring", "square", "frame", "triangle", "plus", "cross", "rows", "columns", "board"];
    fs::write(folder.path().join("names.txt"), names.join("\n")).expect("a file");
    let test =
        "test --model net.prototxt --weights snap_iter_20.caffemodel --iterations 20 --confusion --labels names.txt";
    let arguments: Vec<&str> = test.split_whitespace().chain(["--csv", "c.csv", "--plot", "c.svg"]).collect();
    let text = printed(folder.path(), &arguments);
    assert!(text.lines().next().unwrap_or_default().ends_with("board  recall  precision"), "{text}");
    let csv = read(folder.path(), "c.csv");
    assert_eq!(csv.lines().next(), Some(format!("truth,{}", names.join(",")).as_str()));
    for (line, name) in csv.lines().skip(1).zip(names) {
        let counts: u64 = line.split(',').skip(1).map(|count| count.parse::<u64>().expect("a count")).sum();
        assert_eq!((line.split(',').next(), counts), (Some(name), 100), "{csv}");
    }
    assert!(read(folder.path(), "c.svg").contains("Confusion of net.prototxt"));
    fs::write(folder.path().join("names.txt"), "one\ntwo\n").expect("a file");
    let line = error(&run_in(folder.path(), &arguments));
    assert_eq!(line, "--labels: names.txt has 2 names, the net 10 classes");
}

#[test]
fn quiet_training_says_nothing() {
    let solver = SOLVER.replace("max_iter: 1600", "max_iter: 4").replace("test_iter: 20\ntest_interval: 400\n", "");
    let folder = workspace(&solver, NET);
    let output = run_in(folder.path(), &["train", "--solver", "solver.prototxt", "--quiet"]);
    assert!(output.status.success());
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("", ""));
}
