//! Every policy against Caffe's traces and the paper's words; stages; what is refused. Other files of this folder test what is
//! theirs with the helpers here.

use std::{fs, path::Path};

use super::{CycleReset, LearningRate, POLICIES};
use crate::{
    proto::SolverParameter,
    prototxt::{parse_solver, read_solver},
};

fn solver(text: &str) -> SolverParameter {
    parse_solver(text, "solver.prototxt").unwrap().message
}

pub(super) fn learning_rate(text: &str) -> LearningRate {
    LearningRate::new(&solver(text)).unwrap()
}

pub(super) fn refusal(text: &str) -> String {
    LearningRate::new(&solver(text)).err().unwrap_or_else(|| panic!("taken: {text}")).to_string()
}

/// Asserts the rates of a sequence of iterations, bit for bit; asks in reverse order too, since a rate has no memory.
pub(super) fn assert_rates(learning_rate: &LearningRate, expected: &[(usize, f32)]) {
    for &(iteration, rate) in expected.iter().chain(expected.iter().rev()) {
        let here = learning_rate.rate(iteration);
        assert_eq!(here.to_bits(), rate.to_bits(), "iteration {iteration}: {here}, not {rate}");
    }
}

pub(super) fn assert_near(learning_rate: &LearningRate, expected: &[(usize, f32)]) {
    for &(iteration, rate) in expected {
        let here = learning_rate.rate(iteration);
        assert!((here - rate).abs() <= 1e-6 * rate.abs(), "iteration {iteration}: {here}, not {rate}");
    }
}

/// The rates that Caffe with the paper's Appendix A used, at every iteration.
#[test]
fn rates_are_caffes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/train");
    let mut runs = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let run = entry.unwrap().path();
        if !run.file_name().unwrap().to_string_lossy().starts_with("lr_") {
            continue;
        }
        let trace = fs::read_to_string(run.join("trace.csv")).unwrap();
        let rows = trace.lines().skip(1).map(|row| {
            let mut columns = row.split(',');
            (columns.next().unwrap().parse().unwrap(), columns.next().unwrap().parse().unwrap())
        });
        println!("{}", run.display());
        let solver = read_solver(&run.join("solver.prototxt")).unwrap().message;
        assert_rates(&LearningRate::new(&solver).unwrap(), &rows.collect::<Vec<_>>());
        runs += 1;
    }
    assert_eq!(runs, 14);
}

#[test]
fn exp_range_lowers_both_bounds_or_the_amplitude() {
    let options = "lr_policy: \"exp_range\" base_lr: 0.1 max_lr: 0.5 stepsize: 10 gamma: 0.99 max_iter: 100";
    let factor = |iteration| 0.99_f32.powi(iteration);
    let both = [(0, 0.1), (10, 0.5 * factor(10)), (20, 0.1 * factor(20)), (30, 0.5 * factor(30))];
    assert_near(&learning_rate(options), &both);
    let amplitude = [(0, 0.1), (10, 0.1 + 0.4 * factor(10)), (20, 0.1), (30, 0.1 + 0.4 * factor(30))];
    assert_near(&learning_rate(&format!("{options} exp_range_decay: AMPLITUDE")), &amplitude);
}

#[test]
fn decay_falls_once_and_stays() {
    let options = "lr_policy: \"decay\" base_lr: 0.1 max_lr: 0.5 stepsize: 4 start_lr_policy: 10 max_iter: 100";
    let expected = [(0, 0.1), (10, 0.1), (11, 0.4), (12, 0.3), (13, 0.2), (14, 0.1), (15, 0.1), (90, 0.1)];
    assert_near(&learning_rate(options), &expected);
}

#[test]
fn scale_fn_is_the_height_of_each_cycle() {
    let options = "base_lr: 0.1 max_lr: 0.5 stepsize: 10";
    let scaled = learning_rate(&format!("lr_policy: \"triangular\" {options} scale_fn: \"1/(2**(x-1))\""));
    let halved = learning_rate(&format!("lr_policy: \"triangular2\" {options}"));
    let rates: Vec<(usize, f32)> = (0..100).map(|iteration| (iteration, halved.rate(iteration))).collect();
    assert_rates(&scaled, &rates);
    let by_iteration = format!("lr_policy: \"triangular\" {options} scale_fn: \"0.99 ** x\" scale_mode: ITERATIONS");
    let shrunk = format!("lr_policy: \"exp_range\" {options} gamma: 0.99 exp_range_decay: AMPLITUDE");
    let shrunk = learning_rate(&shrunk);
    let rates: Vec<(usize, f32)> = (0..100).map(|iteration| (iteration, shrunk.rate(iteration))).collect();
    assert_near(&learning_rate(&by_iteration), &rates);
    let staged = "lr_policy: \"triangular\" base_lr: 0 max_lr: 1 stepsize: 2 scale_fn: \"x\" stage { max_iter: 4 }
        stage { scale_fn: \"0.25\" max_iter: 8 }";
    assert_rates(&learning_rate(staged), &[(2, 1.0), (6, 0.25)]);
}

#[test]
fn a_cycle_begins_anew_where_it_is_told_to() {
    let options = "lr_policy: \"triangular2\" base_lr: 0.125 max_lr: 0.625 stepsize: 4 max_iter: 40";
    let mut rates = learning_rate(options);
    let reset = CycleReset { base_lr: Some(0.25), max_lr: Some(0.75), stepsize: Some(2) };
    rates.reset_cycle(10, reset).unwrap();
    let expected = [(10, 0.25), (11, 0.5), (12, 0.75), (14, 0.25), (16, 0.5), (18, 0.25)];
    assert_rates(&rates, &expected);
    let staged = "lr_policy: \"triangular2\" base_lr: 0.125 max_lr: 0.625 stepsize: 4 stage { max_iter: 10 }
        stage { base_lr: 0.25 max_lr: 0.75 stepsize: 2 reset: true max_iter: 20 }";
    assert_rates(&learning_rate(staged), &expected);
    let error = rates.reset_cycle(12, CycleReset { stepsize: Some(0), ..CycleReset::default() }).unwrap_err();
    assert!(error.to_string().starts_with("stepsize: must be at least 1"), "{error}");
    let error = rates.reset_cycle(12, CycleReset { max_lr: Some(f32::NAN), ..CycleReset::default() }).unwrap_err();
    assert!(error.to_string().starts_with("max_lr: must be a number"), "{error}");
    assert_rates(&rates, &expected);
    let error = learning_rate("lr_policy: \"fixed\"").reset_cycle(3, CycleReset::default()).unwrap_err();
    assert!(error.to_string().contains("\"fixed\" has no cycle"), "{error}");
}

#[test]
fn plateau_is_carried_through_stages_and_forgotten_by_reset() {
    let options = "lr_policy: \"plateau\" gamma: 0.5 plateau_winsize: [2, 2, 2] stage { base_lr: 1 max_iter: 4 }";
    let falls = |second: &str| {
        let mut rates = learning_rate(&format!("{options} stage {{ base_lr: 0.5 max_iter: 9 {second} }}"));
        (0..9_usize)
            .map(|iteration| {
                rates.observe(iteration, 7.0);
                rates.rate(iteration)
            })
            .collect::<Vec<f32>>()
    };
    assert_eq!(falls(""), [1.0, 1.0, 0.5, 0.5, 0.125, 0.125, 0.0625, 0.0625, 0.0625]);
    assert_eq!(falls("reset: true"), [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]);
}

/// Missing options that Caffe takes as 0 stay 0.
#[test]
fn missing_gamma_and_power_are_zero_as_in_caffe() {
    assert_rates(&learning_rate("lr_policy: \"step\" base_lr: 0.5 stepsize: 2"), &[(0, 0.5), (1, 0.5), (2, 0.0)]);
    assert_rates(&learning_rate("lr_policy: \"inv\" base_lr: 0.5"), &[(0, 0.5), (9, 0.5)]);
}

#[test]
fn steps_are_counted_for_snapshots() {
    let step = learning_rate("lr_policy: \"step\" stepsize: 3 gamma: 0.1");
    assert_eq!([0, 2, 3, 7].map(|iteration| step.steps_taken(iteration)), [0, 0, 1, 2]);
    let multistep = learning_rate("lr_policy: \"multistep\" stepvalue: [3, 5] gamma: 0.1");
    assert_eq!([0, 2, 3, 4, 5, 50].map(|iteration| multistep.steps_taken(iteration)), [0, 0, 1, 1, 2, 2]);
    assert_eq!([2, 3, 4, 5].map(|iteration| multistep.multistep_at(iteration)), [None, Some(1), None, Some(2)]);
    assert_eq!(step.multistep_at(3), None);
}

const TABLE_2: &str = "lr_policy: \"triangular2\" momentum: 0.9 weight_decay: 0.004
    stage { base_lr: 0.001 max_lr: 0.005 stepsize: 2000 max_iter: 16000 }
    stage { base_lr: 0.0001 max_lr: 0.0005 stepsize: 1000 start_lr_policy: 16000 max_iter: 22000 momentum: 0.8 }
    stage { base_lr: 0.00001 max_lr: 0.00005 stepsize: 500 start_lr_policy: 22000 max_iter: 25000 weight_decay: 0 }";

/// Table 2 as one file gives the rates of its three solver files, each where its turn is.
#[test]
fn stages_are_the_plain_solvers_one_after_another() {
    let staged = learning_rate(TABLE_2);
    let plain = [
        "base_lr: 0.001 max_lr: 0.005 stepsize: 2000",
        "base_lr: 0.0001 max_lr: 0.0005 stepsize: 1000 start_lr_policy: 16000",
        "base_lr: 0.00001 max_lr: 0.00005 stepsize: 500 start_lr_policy: 22000",
    ]
    .map(|options| learning_rate(&format!("lr_policy: \"triangular2\" {options}")));
    let stage_of = |iteration| if iteration < 16_000 { 0 } else { 1 + usize::from(iteration >= 22_000) };
    for iteration in 0..25_000 {
        let stage = stage_of(iteration);
        assert_eq!(staged.stage_at(iteration), stage);
        assert_eq!(staged.rate(iteration), plain[stage].rate(iteration), "iteration {iteration}");
    }
    let begins: Vec<usize> = (0..25_000).filter(|&iteration| staged.stage_beginning_at(iteration).is_some()).collect();
    assert_eq!(begins, [0, 16_000, 22_000]);
    assert_eq!((staged.stage_beginning_at(16_000), plain[0].stage_beginning_at(0)), (Some((1, 3)), None));
    assert_eq!([0, 1, 2].map(|stage| staged.stage_end(stage)), [16_000, 22_000, 25_000]);
    assert_eq!([0, 16_000, 22_000].map(|iteration| staged.momentum(iteration)), [0.9, 0.8, 0.9]);
    assert_eq!([0, 16_000, 22_000].map(|iteration| staged.weight_decay(iteration)), [0.004, 0.004, 0.0]);
}

#[test]
fn the_last_stage_may_end_with_the_solver() {
    let staged =
        learning_rate("lr_policy: \"fixed\" max_iter: 9 stage { base_lr: 1 max_iter: 5 } stage { base_lr: 2 }");
    assert_rates(&staged, &[(0, 1.0), (4, 1.0), (5, 2.0), (8, 2.0), (9, 2.0)]);
    assert_eq!(staged.stage_end(1), 9);
}

#[test]
fn what_cannot_be_is_refused() {
    let cycle = "base_lr: 0.1 max_iter: 10";
    let cases = [
        (cycle.to_string(), "lr_policy: is missing; there are fixed, step"),
        (format!("{cycle} lr_policy: \"Triangular\""), "did you mean \"triangular\"?"),
        (format!("{cycle} lr_policy: \"whatever\""), "\"whatever\"; there are fixed, step"),
        (format!("{cycle} lr_policy: \"step\""), "stepsize: must be at least 1 for \"step\", not 0"),
        (format!("{cycle} lr_policy: \"triangular\" max_lr: 1"), "stepsize: must be at least 1"),
        (format!("{cycle} lr_policy: \"triangular2\" stepsize: 5"), "max_lr: is missing"),
        (format!("{cycle} lr_policy: \"exp_range\" stepsize: 5 max_lr: 1"), "gamma: is missing"),
        (format!("{cycle} lr_policy: \"exp\" gamma: -1"), "gamma: must not be negative, and is -1"),
        (format!("{cycle} lr_policy: \"multistep\" stepvalue: [5, 5]"), "5 follows 5"),
        (format!("{cycle} lr_policy: \"multistep\" stepvalue: -5"), "stepvalue: must be an iteration, not -5"),
        ("lr_policy: \"poly\"".into(), "max_iter: must be at least 1"),
        (format!("{cycle} lr_policy: \"decay\" stepsize: 5 max_lr: 1 start_lr_policy: nan"), "must be an iteration"),
        ("lr_policy: \"fixed\" stage { }".into(), "stage[0].max_iter: is missing"),
        ("lr_policy: \"fixed\" stage { reset: true max_iter: 7 }".into(), "stage[0].reset: \"fixed\" has no cycle"),
        (
            format!(
                "{cycle} lr_policy: \"1cycle\" max_lr: 1 stepsize: 2 stage {{ reset: true start_lr_policy: 5 max_iter: 20 }}"
            ),
            "stage[0].reset: does not go with start_lr_policy",
        ),
        (format!("{cycle} lr_policy: \"1cycle\" stepsize: 5"), "max_lr: is missing"),
        (format!("{cycle} lr_policy: \"plateau\""), "plateau_winsize: is missing"),
        (
            format!("{cycle} lr_policy: \"plateau\" plateau_winsize: [5, 0]"),
            "plateau_winsize: must be at least 1 iteration",
        ),
        (format!("{cycle} lr_policy: \"poly\" min_lr: 0.5"), "min_lr: must not be above base_lr"),
        (
            format!("{cycle} lr_policy: \"triangular2\" max_lr: 1 stepsize: 2 scale_fn: \"x\""),
            "scale_fn: is for \"triangular\": \"triangular2\" has a height of its own",
        ),
        (
            format!("{cycle} lr_policy: \"triangular\" max_lr: 1 stepsize: 2 scale_fn: \"1 / y\""),
            "scale_fn: in \"1 / y\", at character 5: Variable not found: y",
        ),
        (format!("{cycle} lr_policy: \"fixed\" stage {{ max_iter: 7 }}"), "max_iter: the stages end at 7, before 10"),
        (
            "lr_policy: \"fixed\" stage { max_iter: 7 } stage { max_iter: 7 }".into(),
            "stage[1].max_iter: must be above 7",
        ),
        (
            "lr_policy: \"fixed\" stage { max_iter: 7 } stage { lr_policy: \"step\" max_iter: 9 }".into(),
            "stage[1].stepsize: must be at least 1",
        ),
    ];
    for (text, expected) in cases {
        let message = refusal(&text);
        assert!(message.contains(expected), "{message}\n{expected}");
    }
}

proptest::proptest! {
    /// Whatever the options, a rate is found without a panic, and cyclical rates stay between their bounds.
    #[test]
    fn cyclical_rates_stay_within_their_bounds(
        policy in 0..3_usize,
        base in 0.0_f32..1.0,
        range in 0.0_f32..1.0,
        stepsize in 1..i32::MAX,
        start in -1e9_f32..1e9,
        iteration in 0..usize::MAX,
    ) {
        let name = ["triangular", "triangular2", "decay"][policy];
        let max = base + range;
        let text = format!(
            "lr_policy: \"{name}\" base_lr: {base} max_lr: {max} stepsize: {stepsize} start_lr_policy: {start}"
        );
        let rate = learning_rate(&text).rate(iteration);
        proptest::prop_assert!(rate >= base && rate <= max.next_up(), "{rate}");
    }

    /// No option makes any policy panic.
    #[test]
    fn no_options_panic(
        policy in 0..POLICIES.len(),
        base in proptest::num::f32::ANY,
        max in proptest::num::f32::ANY,
        gamma in proptest::num::f32::ANY,
        stepsize: i32,
        max_iter: i32,
        min_lr in proptest::option::of(0.0_f32..1.0),
        iteration: usize,
    ) {
        let solver = SolverParameter {
            lr_policy: Some(POLICIES[policy].name.into()),
            base_lr: Some(base),
            max_lr: Some(max),
            gamma: Some(gamma),
            stepsize: Some(stepsize),
            max_iter: Some(max_iter),
            // Of sgdr, multifixed and plateau, and of all policies.
            period: Some(stepsize),
            p_mult: Some(gamma),
            lr_mult: Some(max),
            stagelr: vec![base, max],
            stageiter: vec![stepsize, max_iter],
            plateau_winsize: vec![stepsize],
            min_lr,
            warmup_iter: Some(max_iter),
            start_lr_policy: Some(gamma),
            cyclical_momentum: vec![0.5, max],
            ..SolverParameter::default()
        };
        if let Ok(learning_rate) = LearningRate::new(&solver) {
            learning_rate.rate(iteration);
            learning_rate.momentum(iteration);
        }
    }
}
