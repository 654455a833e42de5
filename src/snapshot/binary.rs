//! Snapshots in protobuf's binary form.

use prost::Message;

use crate::{
    error::{Error, Result},
    proto::{NetParameter, SolverState},
    prototxt::upgrade_net,
};

/// The weights in these bytes; nets of Caffe's early days are upgraded. `origin` names the file.
pub(super) fn weights(bytes: &[u8], origin: &str) -> Result<NetParameter> {
    check_size(bytes.len() as u64, origin)?;
    let mut net: NetParameter = decode(bytes, origin, "caffemodel")?;
    upgrade_net(&mut net, origin)?;
    if net.layer.is_empty() {
        return Err(Error::data(origin, "holds no layers; is this a .caffemodel?"));
    }
    Ok(net)
}

/// The solver state in these bytes.
pub(super) fn state(bytes: &[u8], origin: &str) -> Result<SolverState> {
    let state: SolverState = decode(bytes, origin, "solverstate")?;
    if state.iter.is_none() {
        return Err(Error::data(origin, "names no iteration; is this a .solverstate?"));
    }
    Ok(state)
}

/// A message as bytes.
pub(super) fn encode(message: &impl Message, origin: &str) -> Result<Vec<u8>> {
    check_size(message.encoded_len() as u64, origin)?;
    Ok(message.encode_to_vec())
}

fn decode<T: Message + Default>(bytes: &[u8], origin: &str, kind: &str) -> Result<T> {
    T::decode(bytes)
        .map_err(|error| Error::data(origin, format!("is no .{kind} or is cut off ({} bytes): {error}", bytes.len())))
}

/// Protobuf counts bytes in 31 bits: a reader may cut a longer file off or refuse it.
pub(super) fn check_size(bytes: u64, origin: &str) -> Result<()> {
    if bytes <= i32::MAX as u64 {
        return Ok(());
    }
    let message = format!(
        "{:.1} GB are more than the 2 GB that a binary snapshot can hold; write `snapshot_format: HDF5`",
        bytes as f64 / 1e9
    );
    Err(Error::data(origin, message))
}
