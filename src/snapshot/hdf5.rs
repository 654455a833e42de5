//! Snapshots in HDF5, laid out as Caffe lays them out.
//!
//! | path | what |
//! |---|---|
//! | `data/LAYER/I` | parameter I of a layer; a shared one only where it is owned |
//! | `diff/LAYER/I` | its gradient, with `snapshot_diff` |
//! | `iter`, `current_step` | one integer each |
//! | `learned_net` | the name of the weight file |
//! | `history/I` | the update rule's memory |
//! | `rcaffe/run` | what Caffe does not keep: the bytes of a `RunState` |
//!
//! A layer whose name has slashes lies in groups within groups; Caffe cannot write such a net in HDF5.

use std::path::Path;

use prost::Message;

use crate::{
    data::hdf5::{Array, Reader, Writer},
    error::{Error, Result},
    proto::{BlobProto, BlobShape, LayerParameter, NetParameter, RunState, SolverState},
};

/// Groups within groups; more are a damaged file.
const DEEPEST: usize = 32;
/// Layers of a net, and parameters of a layer; more are a damaged file.
const MOST: usize = 100_000;
const RUN: &str = "rcaffe/run";

/// Reads weights; `origin` names the file.
pub(super) fn read_weights(path: &Path, origin: &str) -> Result<NetParameter> {
    let reader = Reader::open(origin, path)?;
    let mut net = NetParameter::default();
    if !reader.members("")?[0].iter().any(|name| name == "data") {
        return Err(Error::data(origin, "holds no group \"data\"; is this a .caffemodel.h5?"));
    }
    read_group(&reader, "data", 0, &mut net.layer, origin)?;
    if net.layer.is_empty() {
        return Err(Error::data(origin, "holds no layers; is this a .caffemodel.h5?"));
    }
    Ok(net)
}

/// The layers in a group, and in the groups in it.
fn read_group(
    reader: &Reader,
    group: &str,
    depth: usize,
    layers: &mut Vec<LayerParameter>,
    origin: &str,
) -> Result<()> {
    if depth > DEEPEST || layers.len() > MOST {
        return Err(Error::data(origin, format!("is damaged: group {group:?} has no end")));
    }
    let [groups, datasets] = reader.members(group)?;
    if let Some((_, name)) = group.split_once('/') {
        let is_folder = datasets.is_empty() && !groups.is_empty();
        if !is_folder {
            let blobs = read_blobs(reader, group, &datasets, origin)?;
            layers.push(LayerParameter { name: Some(name.into()), blobs, ..LayerParameter::default() });
        }
    }
    for inside in groups {
        read_group(reader, &format!("{group}/{inside}"), depth + 1, layers, origin)?;
    }
    Ok(())
}

/// The blobs in a group by their numbers; those that are not there are empty.
fn read_blobs(reader: &Reader, group: &str, datasets: &[String], origin: &str) -> Result<Vec<BlobProto>> {
    let mut blobs = Vec::new();
    for name in datasets {
        let index = name.parse::<usize>().ok().filter(|&index| index < MOST);
        let index =
            index.ok_or_else(|| Error::data(origin, format!("dataset {group}/{name} has no number as name")))?;
        if index >= blobs.len() {
            blobs.resize(index + 1, BlobProto::default());
        }
        blobs[index] = blob(reader.floats(&format!("{group}/{name}"))?);
    }
    Ok(blobs)
}

fn blob(array: Array<f32>) -> BlobProto {
    let shape = BlobShape { dim: array.shape.iter().map(|&dim| dim as i64).collect() };
    BlobProto { shape: Some(shape), data: array.values, ..BlobProto::default() }
}

/// Reads a solver state; `origin` names the file.
pub(super) fn read_state(path: &Path, origin: &str) -> Result<SolverState> {
    let reader = Reader::open(origin, path)?;
    let [groups, datasets] = reader.members("")?;
    if !datasets.iter().any(|name| name == "iter") || !groups.iter().any(|name| name == "history") {
        return Err(Error::data(origin, "holds no iteration and history; is this a .solverstate.h5?"));
    }
    let integer = |path: &str| match reader.integers(path)?.values[..] {
        [value] => Ok(value),
        ref values => Err(Error::data(origin, format!("dataset {path:?} must hold one number, has {}", values.len()))),
    };
    let learned_net = datasets.iter().any(|name| name == "learned_net").then(|| reader.text("learned_net"));
    let run = if groups.iter().any(|name| name == "rcaffe") {
        let state = RunState::decode(reader.bytes(RUN)?.as_slice());
        Some(state.map_err(|error| Error::data(origin, format!("dataset {RUN:?} is damaged: {error}")))?)
    } else {
        None
    };
    Ok(SolverState {
        iter: Some(integer("iter")?),
        learned_net: learned_net.transpose()?,
        history: read_blobs(&reader, "history", &reader.members("history")?[1], origin)?,
        current_step: Some(integer("current_step")?),
        run,
    })
}

/// The bytes of a weight file.
pub(super) fn weights(net: &NetParameter) -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    writer.group("data");
    let has_diffs = net.layer.iter().flat_map(|layer| &layer.blobs).any(|blob| !blob.diff.is_empty());
    for layer in &net.layer {
        let data = format!("data/{}", layer.name());
        writer.group(&data);
        if has_diffs {
            writer.group(&format!("diff/{}", layer.name()));
        }
        for (index, blob) in layer.blobs.iter().enumerate() {
            let shape = blob.dims();
            if !blob.data.is_empty() {
                writer.floats(&format!("{data}/{index}"), shape.dims(), &blob.data);
            }
            if !blob.diff.is_empty() {
                writer.floats(&format!("diff/{}/{index}", layer.name()), shape.dims(), &blob.diff);
            }
        }
    }
    writer.finish()
}

/// The bytes of a state file.
pub(super) fn state(state: &SolverState) -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    writer.integers("iter", &[1], &[state.iter()]);
    writer.integers("current_step", &[1], &[state.current_step()]);
    if let Some(name) = &state.learned_net {
        writer.text("learned_net", name);
    }
    writer.group("history");
    for (index, blob) in state.history.iter().enumerate() {
        writer.floats(&format!("history/{index}"), blob.dims().dims(), &blob.data);
    }
    if let Some(run) = &state.run {
        writer.bytes(RUN, &run.encode_to_vec());
    }
    writer.finish()
}
