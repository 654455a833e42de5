//! Range tests of small nets, and solvers written from them.

use super::*;
use crate::prototxt::parse_solver;

const NET: &str = r#"net_param {
  layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
    data_param { source: "synthetic:shapes/train" batch_size: 10 } }
  layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE kernel_size: 8 stride: 8 } }
  layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
    inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
  layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" include { phase: TEST } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" } }
"#;

fn document(options: &str) -> Document<SolverParameter> {
    parse_solver(format!("{NET}{options}"), "solver.prototxt").unwrap()
}

const SOLVER: &str = "lr_policy: \"fixed\" base_lr: 0.5 max_iter: 99 snapshot: 3 snapshot_prefix: \"/nowhere/snap\"
    test_iter: 7 test_interval: 1000 momentum: 0.9 random_seed: 3";

fn options(iterations: usize) -> Options {
    Options { from: 0.001, to: 0.1, iterations, ..Options::default() }
}

#[test]
fn every_iteration_and_every_test_is_kept_and_nothing_is_written() {
    let test = run(&document(SOLVER), &Options { test_every: Some(10), ..options(40) }, Vec::new()).unwrap();
    assert_eq!(test.losses.len(), 40);
    assert!((test.losses[20].rate - 0.01).abs() < 1e-8 && test.losses[0].rate == 0.001);
    assert_eq!(test.accuracy.as_deref(), Some("acc"));
    let tests: Vec<usize> = test.accuracies.iter().map(|sample| sample.iteration).collect();
    assert_eq!(tests, [0, 10, 20, 30, 40]);
    assert_eq!(test.csv().lines().count(), 1 + 40 + 1);
    let first: Vec<String> = test.csv().lines().nth(1).unwrap().split(',').map(str::to_owned).collect();
    let (loss, accuracy) = (test.losses[0].value.to_string(), test.accuracies[0].value.to_string());
    assert_eq!(first, ["0", "0.001", &loss, &loss, &accuracy]);
}

#[test]
fn a_linear_ramp_is_the_triangular_policy_up_to_its_middle() {
    let ramp = Options { from: 0.0, to: 3.0, iterations: 20_000, ramp: Ramp::Linear, ..Options::default() };
    let solver = parse_solver("lr_policy: \"triangular\" base_lr: 0 max_lr: 3 stepsize: 20000", "solver").unwrap();
    let rates = crate::solver::lr::LearningRate::new(&solver.message).unwrap();
    for iteration in [0, 1, 400, 777, 19_999, 20_000] {
        assert_eq!(ramp.rate(iteration), rates.rate(iteration), "{iteration}");
    }
}

#[test]
fn a_loss_that_explodes_ends_the_test() {
    let exploding = Options { from: 0.01, to: 1e6, diverge: 3.0, ..options(200) };
    let solver = SOLVER.replace("test_iter: 7 test_interval: 1000", "");
    let test = run(&document(&solver), &exploding, Vec::new()).unwrap();
    assert!(test.losses.len() < 200 && test.accuracies.is_empty());
    assert!(test.stopped.is_some());
    assert_eq!(test.metric_curve().1, Better::Smaller);
}

#[test]
fn options_that_cannot_be_are_refused_by_name() {
    for (wrong, expected) in [
        (Options { from: 0.0, ..options(50) }, "--from: must be above 0"),
        (Options { from: -1.0, ..options(50) }, "--from: must be a rate"),
        (Options { to: 0.0005, ..options(50) }, "--to: must be a rate above --from"),
        (options(3), "--iters: must be at least 10"),
        (Options { diverge: 0.5, ..options(50) }, "--diverge: must be above 1"),
        (Options { test_every: Some(0), ..options(50) }, "--test-every: must be at least 1"),
    ] {
        let error = run(&document(SOLVER), &wrong, Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

fn bounds() -> Bounds {
    Bounds { base_lr: 0.001234, max_lr: 0.00567, base_reason: String::new(), max_reason: String::new() }
}

fn write(text: &str, epoch: Option<f64>) -> Result<String> {
    written(text, &parse_solver(text, "solver.prototxt").unwrap(), &bounds(), epoch)
}

#[test]
fn a_cyclical_solver_gets_new_bounds_and_keeps_the_rest() {
    let text =
        "# mine\nnet: \"a\"  # the net\nlr_policy: \"triangular\"\nbase_lr:0.5;max_lr: 1 # too high\nstepsize: 20\n";
    let expected = "# mine\nnet: \"a\"  # the net\nlr_policy: \"triangular\"\nbase_lr:0.0012;max_lr: 0.0057 # too high\nstepsize: 20\n";
    assert_eq!(write(text, None).unwrap(), expected);
}

#[test]
fn another_policy_becomes_triangular2_with_whole_cycles() {
    let text = "net: \"a\"\nbase_lr: 0.01\nlr_policy: \"fixed\" # was\nmax_iter: 10000\n";
    let expected =
        "net: \"a\"\nbase_lr: 0.0012\nlr_policy: \"triangular2\" # was\nmax_iter: 10000\nmax_lr: 0.0057\nstepsize: ";
    assert_eq!(write(text, None).unwrap(), format!("{expected}1667\n"));
    assert_eq!(write(text, Some(500.0)).unwrap(), format!("{expected}1667\n"));
    assert_eq!(write(text, Some(250.0)).unwrap(), format!("{expected}1000\n"));
}

#[test]
fn later_stages_keep_their_proportion() {
    let text = "lr_policy: \"triangular2\"
stage { base_lr: 0.001 max_lr: 0.005 stepsize: 20 max_iter: 60 }
stage { base_lr: 0.0001 max_lr: 0.0005 stepsize: 10 start_lr_policy: 60 max_iter: 90 }\n";
    let new = write(text, None).unwrap();
    assert!(new.contains("{ base_lr: 0.0012 max_lr: 0.0057 stepsize: 20"), "{new}");
    assert!(new.contains("{ base_lr: 0.00012 max_lr: 0.00057 stepsize: 10"), "{new}");
    let error = write("lr_policy: \"fixed\" base_lr: 1 stage { max_iter: 9 }\n", None).unwrap_err().to_string();
    assert!(error.contains("paste the suggested lines by hand"), "{error}");
}
