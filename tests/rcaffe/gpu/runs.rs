//! Training on the emulated card: the CPU's losses, the same bits run after run, resumed runs, errors of the card.

use std::{fs, path::Path, process::Output};

use rcaffe::snapshot::read_weights;
use tempfile::{TempDir, tempdir};

use super::command;
use crate::program::{self, error, stderr};

/// A net of the layers that most nets have, on random data.
const NET: &str = r#"name: "net"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 5 dim: 3 dim: 15 dim: 17 } shape { dim: 5 } data_filler { type: "gaussian" std: 1 } data_filler { value: 3 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv1" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "pool" type: "Pooling" bottom: "bn" top: "pool" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "pool" top: "norm" lrn_param { local_size: 3 alpha: 0.01 } }
layer { name: "conv2" type: "Convolution" bottom: "norm" top: "conv2"
  convolution_param { num_output: 4 kernel_size: 3 group: 2 stride: 2 weight_filler { type: "msra" } } }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param { pool: AVE kernel_size: 2 stride: 1 } }
layer { name: "drop" type: "Dropout" bottom: "pool2" top: "pool2" }
layer { name: "ip" type: "InnerProduct" bottom: "pool2" top: "ip"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"#;

const SOLVER: &str = r#"net: "net.prototxt"
test_iter: 2 test_interval: 4 base_lr: 0.002 lr_policy: "triangular" max_lr: 0.02 stepsize: 4
momentum: 0.9 weight_decay: 0.001 display: 1 max_iter: 10 snapshot: 5 snapshot_prefix: "snap" random_seed: 11
"#;

fn workspace(solver: &str, net: &str) -> TempDir {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
    fs::write(folder.path().join("net.prototxt"), net).expect("a file");
    folder
}

fn train(folder: &Path, more: &[&str]) -> Output {
    let mut command = command();
    command.current_dir(folder).args(["train", "--solver", "solver.prototxt", "--gpu", "0"]).args(more);
    command.output().expect("the program starts")
}

/// The numbers behind this in every line of a log that has it.
fn numbers(output: &Output, before: &str) -> Vec<f32> {
    let text = stderr(output);
    let lines = text.lines().filter_map(|line| line.split(before).nth(1));
    lines.map(|rest| rest.split([' ', ',']).next().unwrap_or(rest).parse().expect("a number")).collect()
}

fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

#[test]
fn a_run_has_the_losses_of_the_cpu() {
    let [gpu, cpu] = [workspace(SOLVER, NET), workspace(&format!("{SOLVER} solver_mode: CPU"), NET)];
    let on_gpu = succeeded(train(gpu.path(), &[]));
    let on_cpu = succeeded(program::run_in(cpu.path(), &["train", "--solver", "solver.prototxt"]));
    for what in ["Train net output #0: loss = ", "Test net output #1: loss = ", "Test net output #0: accuracy = "] {
        let [found, expected] = [numbers(&on_gpu, what), numbers(&on_cpu, what)];
        assert_eq!(found.len(), expected.len(), "{what}");
        assert!(!found.is_empty(), "{what}");
        let is_far = |(a, b): (&f32, &f32)| (a - b).abs() > 2e-3 * b.abs().max(0.1);
        assert!(!found.iter().zip(&expected).any(is_far), "{what}: {found:?}, on the CPU {expected:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_order_of_threads() {
    let files = [("EMULATED_CARD_ORDER", "forward"), ("EMULATED_CARD_ORDER", "reversed")].map(|order| {
        let folder = workspace(SOLVER, NET);
        let mut command = command();
        command.current_dir(folder.path()).args(["train", "--solver", "solver.prototxt", "--gpu", "0"]);
        succeeded(command.envs([order]).output().expect("the program starts"));
        read_weights(&folder.path().join("snap_iter_10.caffemodel")).expect("weights")
    });
    assert!(files[0] == files[1]);
}

#[test]
fn a_resumed_run_is_the_run_that_never_stopped() {
    let [whole, resumed] = [workspace(SOLVER, NET), workspace(SOLVER, NET)];
    succeeded(train(whole.path(), &[]));
    for file in ["snap_iter_5.caffemodel", "snap_iter_5.solverstate"] {
        fs::copy(whole.path().join(file), resumed.path().join(file)).expect("a snapshot");
    }
    succeeded(train(resumed.path(), &["--snapshot", "snap_iter_5.solverstate"]));
    let weights = |folder: &TempDir| read_weights(&folder.path().join("snap_iter_10.caffemodel")).expect("weights");
    assert!(weights(&whole) == weights(&resumed));
}

/// Every rule of updating weights, step for step with what Caffe 1.0 wrote.
#[test]
fn a_tiny_net_follows_caffe_by_every_update_rule() {
    for rule in ["sgd", "nesterov", "adagrad", "rmsprop", "adadelta", "adam"] {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/train/tiny_{rule}"));
        let out = tempdir().expect("a folder").path().with_extension("csv");
        let mut command = command();
        command.current_dir(&golden).args([
            "trace",
            "--solver",
            "solver.prototxt",
            "--iters",
            "60",
            "--gpu",
            "0",
            "--out",
        ]);
        succeeded(command.arg(&out).output().expect("the program starts"));
        let losses = |path: &Path| -> Vec<f32> {
            let text = fs::read_to_string(path).expect("a trace");
            text.lines()
                .skip(1)
                .take(60)
                .map(|line| line.rsplit(',').next().and_then(|loss| loss.parse().ok()).expect("a loss"))
                .collect()
        };
        let (found, expected) = (losses(&out), losses(&golden.join("trace.csv")));
        fs::remove_file(&out).expect("the trace is there");
        assert_eq!(found.len(), 60);
        let is_far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-5 * b.abs();
        assert!(!found.iter().zip(&expected).any(is_far), "{rule}: {found:?}, of Caffe {expected:?}");
    }
}

/// The first pass of each kind runs as it is, all others are one recorded graph.
#[test]
fn passes_are_recorded_once_and_replayed() {
    let folder = workspace(SOLVER, NET);
    let mut command = command();
    command.current_dir(folder.path()).args(["train", "--solver", "solver.prototxt", "--gpu", "0"]);
    let output = succeeded(command.env("EMULATED_CARD_TRACE", "1").output().expect("the program starts"));
    let text = stderr(&output);
    // 10 iterations and the loss behind them, three tests of two batches.
    let [forward, backward, test] = [11, 10, 6].map(|passes| passes - 1);
    assert_eq!(text.lines().filter(|line| line.contains("graph of ")).count(), forward + backward + test);
}

/// Pictures of three sizes, one a batch: memory moves and masks change their size between passes.
#[test]
fn a_run_whose_shapes_change_has_the_losses_of_the_cpu() {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images");
    let listed = ["e.png 1", "e.png 1", "f.bmp 0", "f.bmp 2", "f.bmp 1", "a_420.jpg 2", "e.png 0"];
    let net = r#"
        layer { name: "data" type: "ImageData" top: "data" top: "label" transform_param { scale: 0.01 }
          image_data_param { source: "list.txt" batch_size: 1 root_folder: "ROOT/" } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
          convolution_param { num_output: 4 kernel_size: 5 stride: 3 weight_filler { type: "xavier" } } }
        layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
        layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
        layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
          inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }"#;
    let net = net.replace("ROOT", &pictures.display().to_string());
    let solver = "net: \"net.prototxt\" base_lr: 0.01 lr_policy: \"fixed\" momentum: 0.9 max_iter: 14 random_seed: 3";
    let [on_gpu, on_cpu] = [&["--gpu", "0"][..], &[]].map(|device| {
        let folder = workspace(&format!("{solver} solver_mode: CPU"), &net);
        fs::write(folder.path().join("list.txt"), listed.join("\n")).expect("a file");
        let mut command = command();
        command.current_dir(folder.path()).args(["trace", "--solver", "solver.prototxt", "--out", "trace.csv"]);
        succeeded(command.args(device).output().expect("the program starts"));
        let text = fs::read_to_string(folder.path().join("trace.csv")).expect("a trace");
        let loss = |line: &str| line.rsplit(',').next().and_then(|loss| loss.parse::<f32>().ok()).expect("a loss");
        text.lines().skip(1).map(loss).collect::<Vec<_>>()
    });
    assert_eq!((on_gpu.len(), on_cpu.len()), (14, 14));
    let is_far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4 * b.abs().max(0.1);
    assert!(!on_gpu.iter().zip(&on_cpu).any(is_far), "{on_gpu:?}, on the CPU {on_cpu:?}");
}

/// ArgMax has no code for GPUs: it runs on the CPU between layers that have, and one line says so for all nets.
#[test]
fn layers_without_code_for_gpus_run_on_the_cpu_with_one_notice() {
    let net = format!("{NET} layer {{ name: \"best\" type: \"ArgMax\" bottom: \"ip\" top: \"best\" }}");
    let [gpu, cpu] = [workspace(SOLVER, &net), workspace(&format!("{SOLVER} solver_mode: CPU"), &net)];
    let on_gpu = succeeded(train(gpu.path(), &[]));
    let on_cpu = succeeded(program::run_in(cpu.path(), &["train", "--solver", "solver.prototxt"]));
    let notices = stderr(&on_gpu).lines().filter(|line| line.contains("having no code for GPUs")).count();
    assert_eq!(notices, 1, "{}", stderr(&on_gpu));
    assert!(stderr(&on_gpu).contains("layers of type ArgMax (the rest: Emulated card)"));
    let [found, expected] = [&on_gpu, &on_cpu].map(|output| numbers(output, "loss = "));
    let is_far = |(a, b): (&f32, &f32)| (a - b).abs() > 2e-3 * b.abs().max(0.1);
    assert!(!found.is_empty() && found.len() == expected.len());
    assert!(!found.iter().zip(&expected).any(is_far), "{found:?}, on the CPU {expected:?}");
}

#[test]
fn test_prints_the_scores_of_the_cpu() {
    // Data that is not drawn: a test has no seed.
    let net = NET.replace("data_filler { type: \"gaussian\" std: 1 }", "data_filler { value: 0.5 }");
    let folder = workspace(&format!("{SOLVER} solver_mode: CPU"), &net);
    succeeded(program::run_in(folder.path(), &["train", "--solver", "solver.prototxt"]));
    let arguments = ["test", "--model", "net.prototxt", "--weights", "snap_iter_10.caffemodel", "--iterations", "3"];
    let on_cpu = succeeded(program::run_in(folder.path(), &arguments));
    let mut command = command();
    let on_gpu = command.current_dir(folder.path()).args(arguments).args(["--gpu", "0"]).output();
    let on_gpu = succeeded(on_gpu.expect("the program starts"));
    for what in ["accuracy = ", "loss = "] {
        let [found, expected] = [numbers(&on_gpu, what), numbers(&on_cpu, what)];
        let is_far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4 * b.abs().max(0.1);
        // Three batches and the mean.
        assert_eq!((found.len(), expected.len()), (4, 4), "{what}");
        assert!(!found.iter().zip(&expected).any(is_far), "{what}: {found:?}, on the CPU {expected:?}");
    }
}

#[test]
fn labels_that_no_class_has_end_a_run_as_on_the_cpu() {
    let net = NET.replace("data_filler { value: 3 }", "data_filler { value: 10 }");
    let [gpu, cpu] = [workspace(SOLVER, &net), workspace(&format!("{SOLVER} solver_mode: CPU"), &net)];
    let on_cpu = program::run_in(cpu.path(), &["train", "--solver", "solver.prototxt"]);
    assert_eq!(error(&train(gpu.path(), &[])), error(&on_cpu));
}

#[test]
fn a_net_that_does_not_fit_on_the_card_ends_in_a_line_that_says_so() {
    let folder = workspace(SOLVER, NET);
    let mut command = command();
    command.current_dir(folder.path()).args(["train", "--solver", "solver.prototxt", "--gpu", "0"]);
    let output = command.env("EMULATED_CARD_MEMORY", "20000").output().expect("the program starts");
    assert!(error(&output).contains("CUDA_ERROR_OUT_OF_MEMORY"), "{}", error(&output));
}
