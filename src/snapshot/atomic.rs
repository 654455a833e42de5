//! Files that are whole or not there.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Writes a file through a temporary one in the same folder: written, synced to the disk, renamed, the folder synced. Whatever
/// interrupts this, a file of that name is either the old one or the new one.
///
/// # Errors
/// When the folder cannot be written to or the disk is full; the temporary file is removed then.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = partial_path(path);
    let written = write_and_rename(path, &partial, bytes);
    if written.is_err() {
        // The error to report is the first one.
        let _ = fs::remove_file(&partial);
    }
    written.map_err(|cause| Error::io(path, cause))
}

fn write_and_rename(path: &Path, partial: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(partial, path)?;
    // Some file systems cannot sync a folder; the rename itself has been done.
    let _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Makes sure that files beginning with this prefix can be written, making the folder when it is not there.
///
/// # Errors
/// When the folder cannot be made or written to.
pub fn check_writable(prefix: &str) -> Result<()> {
    let probe = PathBuf::from(format!("{prefix}.probe-{}", std::process::id()));
    let folder = folder_of(&probe);
    fs::create_dir_all(folder).map_err(|cause| Error::io(folder, cause))?;
    File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(|cause| Error::io(prefix, cause))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn partial_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snap");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let nowhere = folder.path().join("missing").join("snap");
        assert!(write_atomically(&nowhere, b"x").unwrap_err().to_string().contains("missing"));
    }

    #[test]
    fn the_folder_of_a_prefix_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("runs/full");
        check_writable(&prefix.display().to_string()).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("runs")).unwrap().count(), 0);
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(check_writable(&folder.path().join("file/full").display().to_string()).is_err());
    }
}
