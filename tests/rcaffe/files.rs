//! The nets and solvers that come with rcaffe.

use std::path::{Path, PathBuf};

use rcaffe::{
    layers::layer_type,
    proto::{NetParameter, SolverParameter, StageParameter},
    prototxt::{read_net, read_solver},
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
        match (&solver.net, &solver.net_param) {
            (Some(net), None) => assert!(root().join(net).exists(), "{}: {net}", file.display()),
            (None, Some(net)) => check_layers(net, &file),
            _ => panic!("{}: one of net and net_param", file.display()),
        }
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
