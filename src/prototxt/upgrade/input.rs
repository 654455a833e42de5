//! The net's own `input` with `input_shape` or four `input_dim` each, to one Input layer before all others.
//!
//! Inputs with neither, as in old weight files, are dropped.

use std::mem;

use crate::{
    Error, Result,
    error::Place,
    proto::{BlobShape, InputParameter, LayerParameter, NetParameter},
};

/// How many `input_dim` one input has.
const DIMENSIONS: usize = 4;

pub fn is_needed(net: &NetParameter) -> bool {
    !net.input.is_empty()
}

pub fn upgrade(net: &mut NetParameter, file: &str) -> Result<()> {
    let names = mem::take(&mut net.input);
    let shapes = mem::take(&mut net.input_shape);
    let dimensions = mem::take(&mut net.input_dim);
    if shapes.is_empty() && dimensions.is_empty() {
        return Ok(());
    }
    let (field, shape) = match shapes.is_empty() {
        true => ("input_dim", legacy_shapes(&dimensions)),
        false => ("input_shape", shapes),
    };
    if let Some(name) = names.get(shape.len()) {
        let message = format!("input \"{name}\" has no dimensions; give each of the {} inputs its own", names.len());
        return Err(Error::config(field, message).at(&Place { file: Some(file.to_string()), ..Place::default() }));
    }
    let shape = shape.into_iter().take(names.len()).collect();
    let layer = LayerParameter {
        name: Some("input".to_string()),
        r#type: Some("Input".to_string()),
        top: names,
        input_param: Some(InputParameter { shape }),
        ..Default::default()
    };
    net.layer.insert(0, layer);
    Ok(())
}

/// `input_dim: N input_dim: C input_dim: H input_dim: W`, for one input after the other.
fn legacy_shapes(dimensions: &[i32]) -> Vec<BlobShape> {
    let shape = |dimensions: &[i32]| BlobShape { dim: dimensions.iter().map(|&dim| dim.into()).collect() };
    dimensions.chunks_exact(DIMENSIONS).map(shape).collect()
}
