//! What commands print on stdout. A closed pipe is an error like another, which [`super::main`] takes as a wish to stop.

use std::io::{self, Write};

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
