//! `rcaffe data`: data sets from local files. Downloads are tested beside their code.

use std::{fs, path::Path};

use tempfile::tempdir;

use crate::program::{error, run_in, stdout};

/// Writes MNIST's four files with two images each, of 4×4.
fn write_files(folder: &Path) {
    for set in ["train", "t10k"] {
        let numbers = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
        let images = [numbers(&[2051, 2, 4, 4]), (0..32).collect()].concat();
        fs::write(folder.join(format!("{set}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{set}-labels-idx1-ubyte")), [numbers(&[2049, 2]), vec![3, 4]].concat()).unwrap();
    }
}

#[test]
fn databases_are_made_from_files_and_trained_on() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    write_files(&folder.path().join("files"));
    let output = run_in(folder.path(), &["data", "mnist", "made", "--from", "files"]);
    assert_eq!(stdout(&output), "made from files:\n  made/mnist_train_lmdb\n  made/mnist_test_lmdb\n");
    let layer = |phase: &str, set: &str| {
        format!(
            r#"layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}
                 data_param {{ source: "made/mnist_{set}_lmdb" batch_size: 2 backend: LMDB }} }}"#
        )
    };
    let net = format!(
        r#"{} {} layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param {{ num_output: 5 }} }}
           layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}"#,
        layer("TRAIN", "train"),
        layer("TEST", "test"),
    );
    fs::write(folder.path().join("net.prototxt"), net).unwrap();
    let solver = "net: 'net.prototxt' base_lr: 0.01 lr_policy: 'fixed' max_iter: 3 test_iter: 1 test_interval: 2";
    fs::write(folder.path().join("solver.prototxt"), solver).unwrap();
    let output = run_in(folder.path(), &["train", "--solver", "solver.prototxt"]);
    assert!(output.status.success(), "{}", crate::program::stderr(&output));
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempdir().unwrap();
    write_files(folder.path());
    fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
    let line = error(&run_in(folder.path(), &["data", "mnist", "made", "--from", "."]));
    assert!(line.starts_with(".: holds no t10k-labels-idx1-ubyte"), "{line}");
    assert!(!folder.path().join("made/mnist_train_lmdb").exists());
}
