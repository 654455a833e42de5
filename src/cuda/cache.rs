//! What is found out once and kept on disk: compiled kernels, and which of two ways is faster.
//!
//! `RCAFFE_CACHE` names the folder; else it is `rcaffe` in the user's folder of caches. An image is found by what it was made from: source,
//! compute capability, compiler and driver. Where the folder cannot be written, everything is found out anew in each run.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use md5::{Digest, Md5};

use super::{
    Card,
    compile::{self, OPTIONS, PRELUDE, Source},
    libraries,
};
use crate::error::Result;

/// The image of a source for a card, from disk or compiled.
///
/// # Errors
/// When it must be compiled and cannot be.
pub fn image(source: &Source, capability: u32, driver: i32) -> Result<Vec<u8>> {
    libraries::nvrtc()?;
    let key = key(source, capability, driver, &compile::compiler()?);
    let file = folder().map(|folder| folder.join(format!("{}-{key}.cubin", source.name)));
    if let Some(image) = file.as_deref().and_then(|file| fs::read(file).ok()).filter(|image| !image.is_empty()) {
        return Ok(image);
    }
    log::debug!("Compiling {}.cu for compute capability {}.{}", source.name, capability / 10, capability % 10);
    let image = compile::compile(source, capability, false)?.image;
    if let Some(file) = file {
        keep(&file, &image);
    }
    Ok(image)
}

/// The answer to a question about a card, kept for the next run.
#[derive(Debug)]
pub struct Memo {
    file: Option<PathBuf>,
}

impl Memo {
    /// The place of the answer for this card, its driver and this version of the program.
    pub fn new(card: &Card, question: &str) -> Self {
        let properties = card.properties();
        let driver = properties.driver.to_string();
        let key = hash([question, &properties.name, &driver, env!("CARGO_PKG_VERSION")]);
        Memo { file: folder().map(|folder| folder.join(format!("{key}.choice"))) }
    }

    /// The answer of an earlier run.
    pub fn read(&self) -> Option<String> {
        fs::read_to_string(self.file.as_deref()?).ok()
    }

    /// Keeps the answer.
    pub fn write(&self, answer: &str) {
        if let Some(file) = &self.file {
            keep(file, answer.as_bytes());
        }
    }
}

fn keep(file: &Path, bytes: &[u8]) {
    if let Err(error) = write(file, bytes) {
        log::debug!("{}: {error}: nothing is kept for the next run", file.display());
    }
}

fn key(source: &Source, capability: u32, driver: i32, compiler: &str) -> String {
    let [capability, driver] = [capability.to_string(), driver.to_string()];
    hash([PRELUDE, source.text, compiler, &capability, &driver].into_iter().chain(OPTIONS))
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("RCAFFE_CACHE") {
        return Some(folder.into());
    }
    let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cache")));
    caches.map(|caches| caches.join("rcaffe"))
}

/// Writes a file as a whole or not at all: two processes may compile the same kernel.
fn write(file: &Path, image: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let temporary =
        folder.join(format!(".{}.{}", std::process::id(), file.file_name().unwrap_or_default().to_string_lossy()));
    fs::write(&temporary, image)?;
    fs::rename(&temporary, file).inspect_err(|_| drop(fs::remove_file(&temporary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_all_that_it_was_made_from() {
        let source = Source { name: "a", text: "KERNEL f() {}" };
        let one = key(&source, 90, 12_080, "12.9");
        assert_eq!(one, key(&Source { name: "b", ..source }, 90, 12_080, "12.9"));
        let others = [
            key(&Source { text: "KERNEL g() {}", ..source }, 90, 12_080, "12.9"),
            key(&source, 80, 12_080, "12.9"),
            key(&source, 90, 13_000, "12.9"),
            key(&source, 90, 12_080, "13.0"),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn images_are_written_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inner/a.cubin");
        write(&file, b"image").unwrap();
        write(&file, b"another").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"another");
        assert_eq!(fs::read_dir(folder.path().join("inner")).unwrap().count(), 1);
    }
}
