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
    write_atomically(path, &net.encode_to_vec())
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
    write_atomically(path, &state.encode_to_vec())
}

fn read<T: Message + Default>(path: &Path, kind: &str) -> Result<T> {
    let bytes = fs::read(path).map_err(|cause| Error::io(path, cause))?;
    let origin = || path.display().to_string();
    if bytes.starts_with(HDF5_SIGNATURE) {
        return Err(Error::data(origin(), "is an HDF5 snapshot, which this version does not read"));
    }
    T::decode(bytes.as_slice())
        .map_err(|error| Error::data(origin(), format!("is no .{kind} or is cut off ({} bytes): {error}", bytes.len())))
}
