//! Files that are whole or not there.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// A file that is on the disk under a name of its own until [`commit`](Staged::commit) puts it in its place; dropped before
/// that, it is removed.
#[derive(Debug)]
pub(super) struct Staged {
    partial: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl Staged {
    /// Writes what is to become the file at `path` into a temporary file in the same folder, and syncs it to the disk.
    ///
    /// # Errors
    /// When the folder cannot be written to or the disk is full; the temporary file is removed then.
    pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<Self> {
        let staged = Staged { partial: partial_path(path), path: path.to_owned(), committed: false };
        staged.fill(bytes).map_err(|cause| Error::io(path, cause))?;
        Ok(staged)
    }

    fn fill(&self, bytes: &[u8]) -> io::Result<()> {
        remove_leftovers(&self.path);
        let mut file = File::create(&self.partial)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Puts the file in its place, where it is at once or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(super) fn commit(mut self) -> Result<()> {
        fs::rename(&self.partial, &self.path).map_err(|cause| Error::io(&self.path, cause))?;
        self.committed = true;
        sync_folder(&self.path);
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            // The error to report is the one that came before.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Writes a file such that, whatever interrupts this, it is as it was or as it shall be.
///
/// # Errors
/// When the folder cannot be written to or the disk is full.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    Staged::write(path, bytes)?.commit()
}

/// Puts weights and the state that names them in their places such that, whatever interrupts this, a state never stands beside
/// weights that it was not written with: an old state goes first, the new one comes last.
///
/// # Errors
/// When the folder cannot be written to.
pub(super) fn commit_pair(weights: Staged, state: Staged) -> Result<()> {
    match fs::remove_file(&state.path) {
        Ok(()) => sync_folder(&state.path),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(Error::io(&state.path, cause)),
    }
    weights.commit()?;
    state.commit()
}

/// Some file systems cannot sync a folder; what was done in it has been done.
fn sync_folder(path: &Path) {
    let _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
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
    path.with_file_name(format!("{}{}", partial_prefix(path), std::process::id()))
}

fn partial_prefix(path: &Path) -> String {
    format!(".{}.partial-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes what a run that was killed over this very file has left: the run that goes on from its last snapshot comes here again.
fn remove_leftovers(path: &Path) {
    let prefix = partial_prefix(path);
    let Ok(entries) = fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
        // They are in nobody's way.
        let _ = fs::remove_file(entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snap");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        drop(Staged::write(&path, b"never").unwrap());
        fs::write(folder.path().join(".snap.partial-1"), b"killed").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let nowhere = folder.path().join("missing").join("snap");
        assert!(write_whole(&nowhere, b"x").unwrap_err().to_string().contains("missing"));
    }

    #[test]
    fn an_old_state_is_gone_before_its_weights_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [weights, state] = ["weights", "state"].map(|name| folder.path().join(name));
        write_whole(&state, b"old").unwrap();
        // The weights cannot be put where a folder is.
        fs::create_dir(&weights).unwrap();
        let staged = [Staged::write(&weights, b"new").unwrap(), Staged::write(&state, b"new").unwrap()];
        let [new_weights, new_state] = staged;
        commit_pair(new_weights, new_state).unwrap_err();
        assert!(!state.exists());
        fs::remove_dir(&weights).unwrap();
        let [new_weights, new_state] = [&weights, &state].map(|path| Staged::write(path, b"new").unwrap());
        commit_pair(new_weights, new_state).unwrap();
        assert_eq!((fs::read(&weights).unwrap(), fs::read(&state).unwrap()), (b"new".to_vec(), b"new".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
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
