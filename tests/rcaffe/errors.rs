//! A wrong prototxt ends in one line that names file, line and cause, with exit code 1 and without a panic.
//!
//! Each test changes one thing in a solver or net that works.

use std::fs;

use tempfile::tempdir;

use crate::program::{error, run_in};

const SOLVER: &str = r#"net: "net.prototxt"
test_iter: 1
test_interval: 1
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
max_iter: 1
snapshot_prefix: "out"
solver_mode: CPU
random_seed: 1
"#;

const NET: &str = r#"name: "tiny"
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  data_param { source: "synthetic:shapes/train" batch_size: 4 }
}
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  convolution_param { num_output: 4 kernel_size: 5 stride: 4 weight_filler { type: "xavier" } }
}
layer {
  name: "pool1"
  type: "Pooling"
  bottom: "conv1"
  top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "ip1"
  type: "InnerProduct"
  bottom: "pool1"
  top: "ip1"
  param { name: "w" }
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip1"
  bottom: "label"
  top: "loss"
}
"#;

/// A change of the solver that works.
fn solver(from: &str, to: &str) -> String {
    train(&changed(SOLVER, from, to), NET)
}

/// A change of the net that works.
fn net(from: &str, to: &str) -> String {
    train(SOLVER, &changed(NET, from, to))
}

fn changed(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to)
}

/// The line that training ends with.
fn train(solver: &str, net: &str) -> String {
    let folder = tempdir().expect("a folder");
    fs::write(folder.path().join("solver.prototxt"), solver).expect("a file");
    fs::write(folder.path().join("net.prototxt"), net).expect("a file");
    error(&run_in(folder.path(), &["train", "--solver", "solver.prototxt"]))
}

/// Checks that the line begins with the place and has all the words.
#[track_caller]
fn assert_says(line: &str, place: &str, words: &[&str]) {
    assert!(line.starts_with(place), "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
}

#[test]
fn typo_in_a_solver_field() {
    let line = solver("base_lr:", "bse_lr:");
    assert_says(&line, "solver.prototxt:4:1: ", &["unknown field \"bse_lr\"", "SolverParameter", "\"base_lr\""]);
}

#[test]
fn typo_in_a_layer_field() {
    let line = net("num_output: 4 ", "num_outptu: 4 ");
    assert_says(&line, "net.prototxt:14:23: ", &["\"num_outptu\"", "ConvolutionParameter", "\"num_output\""]);
}

#[test]
fn missing_brace() {
    let line = net("  top: \"loss\"\n}\n", "  top: \"loss\"\n");
    assert_says(&line, "net.prototxt:", &["layer", "}"]);
}

#[test]
fn bad_enum() {
    let line = net("pool: MAX", "pool: MAXIMUM");
    assert_says(&line, "net.prototxt:21:25: ", &["MAXIMUM", "pool", "MAX"]);
}

#[test]
fn wrong_type_of_value() {
    let line = solver("max_iter: 1\n", "max_iter: \"many\"\n");
    assert_says(&line, "solver.prototxt:7:11: ", &["max_iter"]);
}

#[test]
fn value_out_of_range() {
    let line = solver("max_iter: 1\n", "max_iter: 5000000000\n");
    assert_says(&line, "solver.prototxt:7:11: ", &["max_iter"]);
}

#[test]
fn missing_net_file() {
    let line = solver("net.prototxt", "nowhere.prototxt");
    assert_says(&line, "solver.prototxt:1: ", &["nowhere.prototxt"]);
}

#[test]
fn no_net() {
    let line = solver("net: \"net.prototxt\"\n", "");
    assert_says(&line, "solver.prototxt: ", &["net"]);
}

#[test]
fn test_net_without_test_iter() {
    let line = solver("test_iter: 1\n", "test_net: \"net.prototxt\"\n");
    assert_says(&line, "solver.prototxt:", &["test_iter"]);
}

#[test]
fn test_without_interval() {
    let line = solver("test_interval: 1\n", "test_interval: 0\n");
    assert_says(&line, "solver.prototxt:3: ", &["test_interval"]);
}

#[test]
fn unknown_learning_rate_policy() {
    let line = solver("\"fixed\"", "\"triangle\"");
    assert_says(&line, "solver.prototxt:5: ", &["lr_policy", "\"triangle\"", "triangular"]);
}

#[test]
fn stepsize_zero() {
    let line = solver("lr_policy: \"fixed\"", "lr_policy: \"step\" gamma: 0.1 stepsize: 0");
    assert_says(&line, "solver.prototxt:5: ", &["stepsize"]);
}

#[test]
fn cyclical_policy_without_max_lr() {
    let line = solver("lr_policy: \"fixed\"", "lr_policy: \"triangular\" stepsize: 10");
    assert_says(&line, "solver.prototxt:", &["max_lr"]);
}

/// Each option of the schedules, wrong in one way; the line names it and where it stands.
#[test]
fn schedule_options_that_cannot_be() {
    let triangular = "lr_policy: \"triangular\" max_lr: 1 stepsize: 4\n";
    let cases = [
        (
            triangular,
            "scale_fn: \"1 / (2 ** y)\"",
            "scale_fn: in \"1 / (2 ** y)\", at character 11: Variable not found: y",
        ),
        (triangular, "scale_fn: \"0.5 * (1 +\"", "at character 11: the expression is incomplete"),
        (triangular, "cyclical_momentum: 0.8", "takes two values"),
        (triangular, "min_lr: -1", "from 0 up, not -1"),
        (triangular, "rampup_interval: -1", "rampup_interval: must be a number of iterations"),
        (triangular, "warmup_iter: -1", "warmup_iter: must be a number of iterations"),
        (triangular, "momentum_policy: \"optimal\"", "momentum_policy: unknown policy \"optimal\""),
        (triangular, "weight_decay_policy: \"step\"", "weight_decay_policy: unknown policy \"step\""),
        (triangular, "max_momentum: -1", "max_momentum: must be a number from 0 up"),
        (
            triangular,
            "stage { max_iter: 1 lr_policy: \"fixed\" reset: true }",
            "stage[0].reset: \"fixed\" has no cycle",
        ),
        ("lr_policy: \"sgdr\"\n", "period: 0", "period: must be at least 1 iteration"),
        ("lr_policy: \"sgdr\" period: 4\n", "p_mult: 0.5", "p_mult: must be at least 1"),
        ("lr_policy: \"sgdr\" period: 4\n", "lr_mult: -1", "lr_mult: must be above 0"),
        ("lr_policy: \"multifixed\" stagelr: [1, 2]\n", "stageiter: 5", "stageiter: is given 1 times for 2"),
        ("lr_policy: \"plateau\"\n", "plateau_winsize: 0", "plateau_winsize: must be at least 1 iteration"),
        ("lr_policy: \"poly\"\n", "min_lr: 0.5", "min_lr: must not be above base_lr"),
        ("lr_policy: \"fixed\"\n", "type: \"AdaGrad\" cyclical_momentum: [0.8, 4]", "has no momentum: remove it"),
    ];
    for (policy, option, words) in cases {
        let line = solver("lr_policy: \"fixed\"\nmomentum: 0.9\n", &format!("{policy}{option}\n"));
        assert_says(&line, "solver.prototxt:6: ", &[words]);
    }
}

#[test]
fn zero_batch() {
    let line = net("batch_size: 4", "batch_size: 0");
    assert_says(&line, "net.prototxt:", &["layer \"data\" (Data)", "batch_size"]);
}

#[test]
fn missing_data() {
    let line = net("synthetic:shapes/train", "data/cifar10_train_lmdb");
    assert_says(&line, "net.prototxt:", &["data/cifar10_train_lmdb", "rcaffe data cifar10"]);
}

#[test]
fn missing_mean_file() {
    let line =
        net("top: \"label\"\n  data", "top: \"label\"\n  transform_param { mean_file: \"mean.binaryproto\" }\n  data");
    assert_says(&line, "net.prototxt:", &["layer \"data\" (Data)", "mean.binaryproto"]);
}

#[test]
fn unknown_layer_type() {
    let line = net("\"Convolution\"", "\"Convolutoin\"");
    assert_says(&line, "net.prototxt:", &["layer \"conv1\"", "\"Convolutoin\"", "\"Convolution\""]);
}

#[test]
fn unknown_bottom() {
    let line = net("bottom: \"pool1\"", "bottom: \"pool3\"");
    assert_says(&line, "net.prototxt:", &["layer \"ip1\" (InnerProduct)", "\"pool3\""]);
}

#[test]
fn duplicate_top() {
    let second = "layer { name: \"ip2\" type: \"InnerProduct\" bottom: \"pool1\" top: \"ip1\" \
                  inner_product_param { num_output: 10 } }\nlayer {\n  name: \"loss\"";
    let line = net("layer {\n  name: \"loss\"", second);
    assert_says(&line, "net.prototxt:31: ", &["layer \"ip2\" (InnerProduct)", "top", "\"ip1\""]);
}

#[test]
fn label_missing() {
    let line = net("  bottom: \"label\"\n", "");
    assert_says(&line, "net.prototxt:", &["layer \"loss\" (SoftmaxWithLoss)", "bottom"]);
}

#[test]
fn unknown_filler() {
    let line = net(
        "num_output: 4 kernel_size: 5 stride: 4 weight_filler { type: \"xavier\"",
        "num_output: 4 kernel_size: 5 stride: 4 weight_filler { type: \"javier\"",
    );
    assert_says(&line, "net.prototxt:", &["layer \"conv1\" (Convolution)", "weight_filler", "\"javier\"", "xavier"]);
}

#[test]
fn kernel_larger_than_the_picture() {
    let line = net("kernel_size: 5", "kernel_size: 50");
    assert_says(&line, "net.prototxt:", &["layer \"conv1\" (Convolution)", "kernel", "50", "32"]);
}

#[test]
fn kernel_zero() {
    let line = net("kernel_size: 5", "kernel_size: 0");
    assert_says(&line, "net.prototxt:", &["layer \"conv1\" (Convolution)", "kernel_size"]);
}

#[test]
fn pooling_without_kernel() {
    let line = net("pool: MAX kernel_size: 2 stride: 2", "pool: MAX stride: 2");
    assert_says(&line, "net.prototxt:", &["layer \"pool1\" (Pooling)", "kernel_size"]);
}

#[test]
fn groups_that_do_not_divide() {
    let line = net("num_output: 4 ", "num_output: 4 group: 3 ");
    let line2 = net("num_output: 4 ", "num_output: 4 group: 2 ");
    assert_says(&line, "net.prototxt:", &["layer \"conv1\" (Convolution)", "group", "4"]);
    assert_says(&line2, "net.prototxt:", &["layer \"conv1\" (Convolution)", "group", "3"]);
}

#[test]
fn negative_dimension() {
    let input = "layer { name: \"in\" type: \"Input\" top: \"in\" input_param { shape { dim: -1 dim: 3 } } }\nlayer {\n  name: \"conv1\"";
    let line = net("layer {\n  name: \"conv1\"", input);
    assert_says(&line, "net.prototxt:9: ", &["layer \"in\" (Input)", "-1"]);
}

#[test]
fn shared_parameter_of_another_shape() {
    let second = "layer { name: \"ip2\" type: \"InnerProduct\" bottom: \"conv1\" top: \"ip2\" param { name: \"w\" } \
                  inner_product_param { num_output: 10 } }\nlayer {\n  name: \"loss\"";
    let line = net("layer {\n  name: \"loss\"", second);
    assert_says(&line, "net.prototxt:31: ", &["layer \"ip2\" (InnerProduct)", "\"w\"", "\"ip1\""]);
}

#[test]
fn shapes_that_do_not_fit() {
    let sum = "layer { name: \"sum\" type: \"Eltwise\" bottom: \"conv1\" bottom: \"pool1\" top: \"sum\" }\nlayer {\n  name: \"loss\"";
    let line = net("layer {\n  name: \"loss\"", sum);
    assert_says(&line, "net.prototxt:31: ", &["layer \"sum\" (Eltwise)", "4×4×7×7", "4×4×4×4"]);
}

#[test]
fn too_many_parameters_specified() {
    let line = net("param { name: \"w\" }", "param { name: \"w\" } param { } param { }");
    assert_says(&line, "net.prototxt:", &["layer \"ip1\" (InnerProduct)", "param"]);
}

#[test]
fn include_and_exclude() {
    let line = net("bottom: \"conv1\"", "include { phase: TRAIN } exclude { stage: \"x\" } bottom: \"conv1\"");
    assert_says(&line, "net.prototxt:", &["layer \"pool1\" (Pooling)", "include", "exclude"]);
}

#[test]
fn field_of_a_fork() {
    let line = solver("momentum: 0.9", "momentum: 0.9\nlarc: true");
    assert_says(&line, "solver.prototxt:7:1: ", &["\"larc\"", "NVIDIA Caffe"]);
}
