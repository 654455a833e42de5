//! Old nets and solvers to today's form, step by step in Caffe's order.
//!
//! | step | what is old |
//! |---|---|
//! | [`v0`] | `layers { layer { type: "conv" } }`, the first format, and its padding layers |
//! | [`transform`] | `scale`, `mean_file`, `crop_size`, `mirror` in the data layers' own parameters |
//! | [`v1`] | `layers { type: CONVOLUTION }` with `blobs_lr`, `weight_decay`, `param`, `blob_share_mode` lists |
//! | [`input`] | the net's own `input`, `input_dim`, `input_shape` |
//! | [`batch_norm`] | three learning rates for a BatchNorm layer, which has nothing to learn |
//! | [`solver`] | the enum `solver_type`; a `snapshot_prefix` that is missing or a folder |
//!
//! Each layer keeps the line it was read from. A step logs as Caffe does; `file` names the net in these lines.

mod batch_norm;
mod input;
mod solver;
mod transform;
mod v0;
mod v1;

use log::info;

pub use solver::{snapshot_prefix, upgrade_solver};

use crate::{
    Error, Result,
    error::Place,
    proto::{NetParameter, V0LayerParameter, V1LayerParameter},
};

/// Brings a net to today's form, whatever version of Caffe it was written for.
///
/// # Errors
///
/// [`Error::Config`] where Caffe refuses: `layer` mixed with `layers`, an unknown V0 type, a padding layer before anything but
/// a convolution or pooling layer, an `input` without its dimensions.
pub fn upgrade_net(net: &mut NetParameter, file: &str) -> Result<()> {
    if v0::is_needed(net) {
        logged(file, "V0LayerParameter", || v0::upgrade(net, file))?;
    }
    if transform::is_needed(net) {
        logged(file, "data transformation parameters", || {
            transform::upgrade(net);
            Ok(())
        })?;
    }
    if v1::is_needed(net) {
        logged(file, "V1LayerParameter", || v1::upgrade(net, file))?;
    }
    if input::is_needed(net) {
        logged(file, "input fields", || input::upgrade(net, file))?;
    }
    if batch_norm::is_needed(net) {
        logged(file, "batch norm params", || {
            batch_norm::upgrade(net);
            Ok(())
        })?;
    }
    Ok(())
}

/// Logs a step before and after, as Caffe does.
fn logged(file: &str, what: &str, upgrade: impl FnOnce() -> Result<()>) -> Result<()> {
    info!("Attempting to upgrade input file specified using deprecated {what}: {file}");
    upgrade()?;
    info!("Successfully upgraded file specified using deprecated {what}");
    Ok(())
}

/// An option that a layer of an old net cannot have.
fn refuse(layer: &V1LayerParameter, file: &str, field: &str, message: impl Into<String>) -> Error {
    let name = layer.layer.as_ref().map_or(layer.name(), V0LayerParameter::name);
    Error::config(field, message).at(&Place {
        file: Some(file.to_string()),
        line: layer.source_line.map(|line| line as usize),
        layer: Some(format!("\"{name}\"")),
    })
}
