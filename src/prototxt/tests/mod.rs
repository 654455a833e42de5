//! What a user sees of the text format.

mod printing;
mod properties;
mod reading;
mod upgrading;

use std::{fs, path::PathBuf};

/// A file of `tests/golden`.
fn golden(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
