//! Snapshots: weights and solver state on disk, written so that a killed run never leaves half a file.
//!
//! Binary files and HDF5 files are told apart by their first bytes; both hold the same messages.

mod atomic;
mod binary;
mod hdf5;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use atomic::Staged;
pub use atomic::check_writable;
pub(crate) use atomic::write_whole;

use crate::{
    error::{Error, Result},
    proto::{NetParameter, RunState, SolverState, solver_parameter::SnapshotFormat},
};

/// The first bytes of an HDF5 file.
const HDF5_SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// What the files of a format are called: `.caffemodel` and `.solverstate`, in HDF5 with `.h5` behind.
pub fn extension(format: SnapshotFormat) -> &'static str {
    match format {
        SnapshotFormat::Binaryproto => "",
        SnapshotFormat::Hdf5 => ".h5",
    }
}

/// Reads a `.caffemodel` or `.caffemodel.h5`; nets of Caffe's early days are upgraded.
///
/// # Errors
/// When the file is not there, is cut off or damaged, or holds no net.
pub fn read_weights(path: &Path) -> Result<NetParameter> {
    let origin = path.display().to_string();
    match is_hdf5(path)? {
        true => hdf5::read_weights(path, &origin),
        false => binary::weights(&read(path, &origin)?, &origin),
    }
}

/// Reads a `.solverstate` or `.solverstate.h5`.
///
/// # Errors
/// When the file is not there, is cut off or damaged, or is no solver state.
pub fn read_state(path: &Path) -> Result<SolverState> {
    let origin = path.display().to_string();
    match is_hdf5(path)? {
        true => hdf5::read_state(path, &origin),
        false => binary::state(&read(path, &origin)?, &origin),
    }
}

/// The checksum of a file, to compare with a state's `weights_checksum`.
///
/// # Errors
/// When the file cannot be read.
pub fn checksum(path: &Path) -> Result<u32> {
    Ok(crc32c::crc32c(&fs::read(path).map_err(|cause| Error::io(path, cause))?))
}

fn is_hdf5(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
    file.take(HDF5_SIGNATURE.len() as u64).read_to_end(&mut start).map_err(|cause| Error::io(path, cause))?;
    Ok(start == HDF5_SIGNATURE)
}

fn read(path: &Path, origin: &str) -> Result<Vec<u8>> {
    binary::check_size(fs::metadata(path).map_err(|cause| Error::io(path, cause))?.len(), origin)?;
    fs::read(path).map_err(|cause| Error::io(path, cause))
}

/// Weights that are on the disk, but not yet under their name: the state that goes with them comes first.
#[derive(Debug)]
pub struct StagedWeights {
    file: Staged,
    checksum: u32,
}

impl StagedWeights {
    /// Writes the weights beside the place where they are to be.
    ///
    /// # Errors
    /// When they cannot be written; all files are as they were then.
    pub fn write(net: &NetParameter, path: &Path, format: SnapshotFormat) -> Result<Self> {
        let bytes = match format {
            SnapshotFormat::Binaryproto => binary::encode(net, &path.display().to_string())?,
            SnapshotFormat::Hdf5 => hdf5::weights(net)?,
        };
        Ok(StagedWeights { file: Staged::write(path, &bytes)?, checksum: crc32c::crc32c(&bytes) })
    }

    /// Writes the state that names these weights, and puts both in their places. A file of the state's name never stands beside
    /// other weights, whatever interrupts this.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn commit_with(self, mut state: SolverState, path: &Path, format: SnapshotFormat) -> Result<()> {
        state.run.get_or_insert_with(RunState::default).weights_checksum = Some(self.checksum);
        let bytes = match format {
            SnapshotFormat::Binaryproto => binary::encode(&state, &path.display().to_string())?,
            SnapshotFormat::Hdf5 => hdf5::state(&state)?,
        };
        atomic::commit_pair(self.file, Staged::write(path, &bytes)?)
    }
}
