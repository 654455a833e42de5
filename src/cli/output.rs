//! What commands print on stdout, and the files that they write at their end. A closed pipe is an error like another, which [`super::main`] takes as a wish to stop.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::error::{Error, Result};

/// Prints text as it is.
///
/// # Errors
/// When stdout cannot be written.
pub fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|cause| Error::io("stdout", cause))
}

/// Prints a line.
///
/// # Errors
/// When stdout cannot be written.
pub fn line(line: impl std::fmt::Display) -> Result<()> {
    text(&format!("{line}\n"))
}

/// Checks that a file can be made where a long run will write it at its end.
///
/// # Errors
/// When its folder does not exist.
pub fn check_folder(path: &Path) -> Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        None => Ok(()),
        Some(folder) => {
            let message = format!("there is no folder {}", folder.display());
            Err(Error::io(path, io::Error::new(io::ErrorKind::NotFound, message)))
        }
    }
}
