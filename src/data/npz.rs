//! Arrays by name in .npz files, as numpy and `rcaffe dump` write them.

use std::{fs::File, path::Path};

use ndarray::ArrayD;
use ndarray_npy::{NpzReader, NpzWriter};

use crate::error::{Error, Result};

/// An array and its name.
pub type Named = (String, ArrayD<f32>);

/// Reads all arrays of a file.
///
/// # Errors
/// When it is no .npz file, or an array is not of f32.
pub fn read(path: &Path) -> Result<Vec<Named>> {
    let unreadable =
        |why: &dyn std::fmt::Display| Error::data(path.display().to_string(), format!("no .npz of f32 arrays: {why}"));
    let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
    let mut archive = NpzReader::new(file).map_err(|error| unreadable(&error))?;
    let names = archive.names().map_err(|error| unreadable(&error))?;
    let read = |name: String| {
        let array = archive.by_name(&name).map_err(|error| unreadable(&format!("{name}: {error}")))?;
        Ok((name.trim_end_matches(".npy").to_string(), array))
    };
    names.into_iter().map(read).collect()
}

/// Writes arrays to a file.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, arrays: &[Named]) -> Result<()> {
    let unwritable = |error: ndarray_npy::WriteNpzError| Error::io(path, std::io::Error::other(error));
    let file = File::create(path).map_err(|cause| Error::io(path, cause))?;
    let mut archive = NpzWriter::new(file);
    for (name, array) in arrays {
        archive.add_array(name.as_str(), array).map_err(unwritable)?;
    }
    archive.finish().map_err(unwritable)?;
    Ok(())
}
