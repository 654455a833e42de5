//! The program on a GPU: an emulated one, `tests/emulator`, that cargo builds beside these tests as an example.

mod emulator;
mod kernels;
mod missing;
mod runs;
mod selftest;

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

use crate::program;

/// The names under which libraries of CUDA are looked for.
const LIBRARIES: [&str; 3] = ["libcuda.so.1", "libnvrtc.so.12", "libcublas.so.12"];

/// The emulated card's library.
fn library() -> PathBuf {
    let tests = env::current_exe().expect("the tests have a path");
    let target = tests.parent().and_then(Path::parent).expect("the tests lie in target/PROFILE/deps");
    let file = target.join("examples/libemulated_card.so");
    assert!(
        file.exists(),
        "{} is missing: `cargo test` builds it, `cargo test --test rcaffe` does not",
        file.display()
    );
    file
}

/// A folder with libraries of these names, all of them the emulated card.
fn folder_of(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        symlink(library(), folder.path().join(name)).expect("a link");
    }
    folder
}

/// The folder with all libraries, for all tests of this process.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| folder_of(&LIBRARIES)).path()
}

/// Where compiled kernels, and the records of the emulated card, are kept from one run of the tests to the next: what is in it depends on
/// the kernels and on the emulated card.
fn cache() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let mut hash = DefaultHasher::new();
        for folder in ["tests/emulator", "src/ops", "src/cuda"] {
            for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
                fs::read(file).expect("a file of the sources").hash(&mut hash);
            }
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("emulated_card-{:016x}", hash.finish()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    })
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

/// Lets a command find CUDA in this folder, before any other place.
fn with_libraries<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command.env("LD_LIBRARY_PATH", folder).env("RCAFFE_CUDA_PATH", folder).env("RCAFFE_CACHE", cache())
}

/// The program on a machine with an emulated card, to be given arguments.
fn command() -> Command {
    let mut command = program::command();
    with_libraries(&mut command, folder());
    command
}
