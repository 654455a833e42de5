//! The files of a data set, wherever they lie: in a folder, gzipped, in a tar archive.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// Files by name, read into memory.
pub struct Files {
    from: PathBuf,
    contents: HashMap<String, Vec<u8>>,
}

impl Files {
    /// Reads the files of these names from `from`: an archive (`.tar`, `.tar.gz`, `.tgz`), or a folder that holds them, plain or
    /// gzipped, itself or in one folder below it, or that holds the archive called `archive`.
    ///
    /// # Errors
    /// When a file is missing or cannot be read.
    pub fn read(from: &Path, names: &[&str], archive: &str) -> Result<Self> {
        let inside = from.join(archive);
        let contents = if !from.is_dir() {
            read_archive(from, names)?
        } else if inside.is_file() && find(from, names[0]).is_none() {
            read_archive(&inside, names)?
        } else {
            read_folder(from, names)?
        };
        if let Some(name) = names.iter().find(|&&name| !contents.contains_key(name)) {
            let message = format!("holds no {name}; it needs {}, or {archive}", names.join(", "));
            return Err(Error::data(from.display().to_string(), message));
        }
        Ok(Files { from: from.to_owned(), contents })
    }

    /// The contents of a file; the name is one of those that were read.
    pub fn get(&self, name: &str) -> &[u8] {
        self.contents.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The file as a message names it.
    pub fn origin(&self, name: &str) -> String {
        self.from.join(name).display().to_string()
    }
}

/// Whether the folder holds all files of these names, as [`Files::read`] looks for them.
pub fn lie_in(folder: &Path, names: &[&str]) -> bool {
    names.iter().all(|name| find(folder, name).is_some())
}

fn read_folder(from: &Path, names: &[&str]) -> Result<HashMap<String, Vec<u8>>> {
    let mut contents = HashMap::new();
    for &name in names {
        if let Some(path) = find(from, name) {
            let bytes = read_file(&path).map_err(|cause| Error::io(&path, cause))?;
            contents.insert(name.to_owned(), bytes);
        }
    }
    Ok(contents)
}

/// The file of this name in the folder or in a folder of it. Some copies of MNIST have a dot before `idx`.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let below = folder.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    let mut folders: Vec<PathBuf> = below.collect();
    folders.sort();
    folders.insert(0, folder.to_owned());
    let dotted = name.replace("-idx", ".idx");
    let spellings = [name.to_owned(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")];
    let mut candidates = folders.iter().flat_map(|folder| spellings.iter().map(|spelling| folder.join(spelling)));
    candidates.find(|path| path.is_file())
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    unpacked(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unpacked(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = BufReader::new(File::open(path)?);
    let is_packed = path.extension().is_some_and(|extension| extension == "gz" || extension == "tgz");
    Ok(if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

fn read_archive(path: &Path, names: &[&str]) -> Result<HashMap<String, Vec<u8>>> {
    let name = path.to_string_lossy();
    if path.is_file() && ![".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending)) {
        return Err(Error::data(&*name, "is neither a folder nor an archive (.tar, .tar.gz, .tgz)"));
    }
    read_entries(path, names).map_err(|cause| Error::io(path, cause))
}

fn read_entries(path: &Path, names: &[&str]) -> io::Result<HashMap<String, Vec<u8>>> {
    let mut contents = HashMap::new();
    for entry in tar::Archive::new(unpacked(path)?).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if names.contains(&name) {
            let mut bytes = Vec::new();
            let name = name.to_owned();
            entry.read_to_end(&mut bytes)?;
            contents.insert(name, bytes);
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(from: &Path) -> String {
        Files::read(from, &["one.bin", "two.bin"], "all.tar.gz").err().unwrap().to_string()
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(error(&folder.path().join("nowhere")).contains("nowhere"));
        std::fs::write(folder.path().join("one.bin"), "1").unwrap();
        assert!(error(folder.path()).ends_with("holds no two.bin; it needs one.bin, two.bin, or all.tar.gz"));
        assert!(error(&folder.path().join("one.bin")).contains("is neither a folder nor an archive"));
        std::fs::write(folder.path().join("cut.tar.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
        assert!(error(&folder.path().join("cut.tar.gz")).contains("cut.tar.gz"));
    }
}
