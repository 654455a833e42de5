//! The nets and solvers that come with rcaffe.

use std::path::{Path, PathBuf};

use rcaffe::{
    layers::layer_type,
    proto::{NetParameter, SolverParameter, StageParameter},
    prototxt::{read_net, read_solver},
    solver::lr::LearningRate,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = root().join(folder).read_dir().expect("the folder");
    let files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!files.is_empty());
    files
}

fn solver(name: &str) -> SolverParameter {
    read_solver(&root().join("solvers").join(name)).unwrap_or_else(|error| panic!("{error}")).message
}

fn check_layers(net: &NetParameter, file: &Path) {
    assert!(!net.layer.is_empty(), "{}", file.display());
    for layer in &net.layer {
        layer_type(layer.r#type()).unwrap_or_else(|error| panic!("{}: {}: {error}", file.display(), layer.name()));
    }
}

#[test]
fn every_net_is_made_of_layers_that_exist() {
    for file in files("models") {
        let net = read_net(&file).unwrap_or_else(|error| panic!("{error}")).message;
        check_layers(&net, &file);
    }
}

#[test]
fn every_solver_names_a_net_that_is_there() {
    for file in files("solvers") {
        let solver = read_solver(&file).unwrap_or_else(|error| panic!("{error}")).message;
        LearningRate::new(&solver).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        match (&solver.net, &solver.net_param) {
            (Some(net), None) => assert!(root().join(net).exists(), "{}: {net}", file.display()),
            (None, Some(net)) => check_layers(net, &file),
            _ => panic!("{}: one of net and net_param", file.display()),
        }
    }
}

#[test]
fn the_schedules_go_where_the_comments_say() {
    let rates = |name: &str| LearningRate::new(&solver(name)).expect("a schedule");
    let one_cycle = rates("cifar10_1cycle.prototxt");
    assert_eq!([0, 11_250, 22_500, 24_999].map(|iteration| one_cycle.rate(iteration)), [0.001, 0.006, 1e-6, 1e-6]);
    assert_eq!([0, 11_250].map(|iteration| one_cycle.momentum(iteration)), [0.95, 0.85]);
    let scaled = rates("cifar10_scale_fn.prototxt");
    let heights = [2000, 6000, 10_000, 14_000].map(|peak| (scaled.rate(peak) - 0.001) / 0.004);
    for (height, expected) in heights.iter().zip([1.0, 0.9045, 0.6545, 0.3455]) {
        assert!((height - expected).abs() < 1e-4, "{heights:?}");
    }
}

#[test]
fn the_three_solvers_of_table_2_are_the_stages_of_the_one() {
    let one = solver("cifar10_triangular2.prototxt");
    assert_eq!(one.stage.len(), 3);
    for (number, stage) in (1..).zip(&one.stage) {
        let row = solver(&format!("cifar10_triangular2_stage{number}.prototxt"));
        let schedule = StageParameter {
            base_lr: row.base_lr,
            max_lr: row.max_lr,
            stepsize: row.stepsize,
            start_lr_policy: row.start_lr_policy,
            max_iter: row.max_iter,
            ..StageParameter::default()
        };
        assert_eq!(*stage, schedule);
        let rest = |solver: &SolverParameter| SolverParameter {
            base_lr: None,
            max_lr: None,
            stepsize: None,
            start_lr_policy: None,
            max_iter: None,
            snapshot_prefix: None,
            stage: Vec::new(),
            ..solver.clone()
        };
        assert_eq!(rest(&row), rest(&one));
    }
}
