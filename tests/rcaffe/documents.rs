//! What the documents promise.

use std::{fs, path::Path};

use rcaffe::layers::TABLE;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn the_readme_lists_every_layer() {
    let readme = read("README.md");
    let start = readme.find("**Layers.**").expect("the list of layers");
    let list = readme[start..].split("\n\n").next().unwrap_or_default();
    let listed: Vec<&str> = list.split(|letter: char| !letter.is_alphanumeric()).collect();
    for row in TABLE {
        assert!(listed.contains(&row.name), "README.md does not list {}", row.name);
    }
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
