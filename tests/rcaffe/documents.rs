//! What the documents promise.

use std::{fs, path::Path};

use crate::program::{run, stdout};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn the_readme_shows_the_table_of_layers() {
    let output = run(&["layers", "--markdown"]);
    assert!(read("README.md").contains(&stdout(&output)), "put what `rcaffe layers --markdown` prints into README.md");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read("Cargo.toml");
    let reasons = read("CONTRIBUTING.md");
    let reasons = reasons.split("## Dependencies").nth(1).expect("the section on dependencies");
    let named: Vec<&str> =
        reasons.split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_').collect();
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (in_dependencies, line.split_once(" = ")) {
            assert!(named.contains(&name), "CONTRIBUTING.md does not say why {name} is there");
        }
    }
}
