//! Snapshots: weights and solver state on disk, written so that a killed run never leaves half a file.

mod atomic;

use std::{fs, path::Path};

pub use atomic::check_writable;
use atomic::write_atomically;
use prost::Message;

use crate::{
    error::{Error, Result},
    proto::{NetParameter, SolverState},
    prototxt::upgrade_net,
};

/// The first bytes of an HDF5 file.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Reads a `.caffemodel`; nets of Caffe's early days are upgraded.
///
/// # Errors
/// When the file is not there, is cut off, or holds no net.
pub fn read_weights(path: &Path) -> Result<NetParameter> {
    let mut net: NetParameter = read(path, "caffemodel")?;
    upgrade_net(&mut net, &path.display().to_string())?;
    if net.layer.is_empty() {
        return Err(Error::data(path.display().to_string(), "holds no layers; is this a .caffemodel?"));
    }
    Ok(net)
}

/// Writes a `.caffemodel`.
///
/// # Errors
/// When the file cannot be written; a file of that name stays as it was then.
pub fn write_weights(net: &NetParameter, path: &Path) -> Result<()> {
    write(net, path)
}

/// Reads a `.solverstate`.
///
/// # Errors
/// When the file is not there, is cut off, or is no solver state.
pub fn read_state(path: &Path) -> Result<SolverState> {
    let state: SolverState = read(path, "solverstate")?;
    if state.iter.is_none() {
        return Err(Error::data(path.display().to_string(), "names no iteration; is this a .solverstate?"));
    }
    Ok(state)
}

/// Writes a `.solverstate`.
///
/// # Errors
/// When the file cannot be written; a file of that name stays as it was then.
pub fn write_state(state: &SolverState, path: &Path) -> Result<()> {
    write(state, path)
}

fn write(message: &impl Message, path: &Path) -> Result<()> {
    check_size(message.encoded_len() as u64, path)?;
    write_atomically(path, &message.encode_to_vec())
}

/// Protobuf counts bytes in 31 bits: a reader may cut a longer file off or refuse it.
fn check_size(bytes: u64, path: &Path) -> Result<()> {
    if bytes <= i32::MAX as u64 {
        return Ok(());
    }
    let message = format!(
        "{:.1} GB are more than the 2 GB that a binary snapshot can hold; use several nets, or fewer parameters",
        bytes as f64 / 1e9
    );
    Err(Error::data(path.display().to_string(), message))
}

fn read<T: Message + Default>(path: &Path, kind: &str) -> Result<T> {
    let length = fs::metadata(path).map_err(|cause| Error::io(path, cause))?.len();
    check_size(length, path)?;
    let bytes = fs::read(path).map_err(|cause| Error::io(path, cause))?;
    let origin = || path.display().to_string();
    if bytes.starts_with(HDF5_SIGNATURE) {
        return Err(Error::data(origin(), "is an HDF5 snapshot, which this version does not read"));
    }
    T::decode(bytes.as_slice())
        .map_err(|error| Error::data(origin(), format!("is no .{kind} or is cut off ({} bytes): {error}", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beyond_2_gb_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge.caffemodel");
        // Holes take no room on the disk.
        fs::File::create(&path).unwrap().set_len(1 << 31).unwrap();
        let error = read_weights(&path).unwrap_err().to_string();
        assert!(error.contains("huge.caffemodel: 2.1 GB are more than the 2 GB"), "{error}");
    }
}
