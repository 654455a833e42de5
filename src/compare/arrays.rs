//! Weights, states and dumps: blob by blob.

use std::{collections::HashMap, path::Path};

use super::{
    Difference, Kind, What,
    values::{self, Scale},
};
use crate::{
    data::npz,
    error::Result,
    proto::BlobProto,
    snapshot::{read_state, read_weights},
    tensor::Shape,
};

struct Array {
    name: String,
    shape: Shape,
    values: Vec<f32>,
}

/// Compares two files; returns the number of arrays, and those that differ.
pub fn compare(kind: Kind, first: &Path, second: &Path) -> Result<(usize, Vec<Difference>)> {
    let (first, second) = (read(kind, first)?, read(kind, second)?);
    let mut others: HashMap<&str, &Array> = second.iter().map(|array| (array.name.as_str(), array)).collect();
    let mut differences = Vec::new();
    for array in &first {
        let place = format!("{} ({})", array.name, array.shape);
        let what = match others.remove(array.name.as_str()) {
            Some(other) => difference(array, other),
            None => Some(What::OnlyInFirst),
        };
        differences.extend(what.map(|what| Difference { place, what }));
    }
    let only_in_second = second.iter().filter(|array| others.contains_key(array.name.as_str()));
    let only_in_second = only_in_second
        .map(|array| Difference { place: format!("{} ({})", array.name, array.shape), what: What::OnlyInSecond });
    let count = first.len() + others.len();
    differences.extend(only_in_second);
    Ok((count, differences))
}

fn difference(a: &Array, b: &Array) -> Option<What> {
    if a.shape != b.shape || a.values.len() != b.values.len() {
        return Some(What::Form(a.shape.to_string(), b.shape.to_string()));
    }
    let pairs = a.values.iter().zip(&b.values).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    let values = values::compare(pairs, Scale::Largest, |index| position(index, &a.shape))?;
    Some(What::Values(values, None))
}

/// `[0,2,3,1]`: where a value lies in a blob.
fn position(index: usize, shape: &Shape) -> String {
    let mut rest = index;
    let mut places: Vec<String> = Vec::new();
    for &dim in shape.dims().iter().rev() {
        places.push((rest % dim.max(1)).to_string());
        rest /= dim.max(1);
    }
    places.reverse();
    format!("[{}]", places.join(","))
}

fn read(kind: Kind, path: &Path) -> Result<Vec<Array>> {
    let of_blob =
        |name: String, blob: &BlobProto| Array { name, shape: blob.dims(), values: blob.values().into_owned() };
    match kind {
        Kind::Arrays => {
            let array = |(name, array): npz::Named| {
                let shape = Shape::from(array.shape());
                Array { name, shape, values: array.iter().copied().collect() }
            };
            Ok(npz::read(path)?.into_iter().map(array).collect())
        }
        Kind::State => {
            let state = read_state(path)?;
            let scalar = Shape::new(Vec::new());
            let mut arrays = vec![Array { name: "iter".into(), shape: scalar, values: vec![state.iter() as f32] }];
            let history = state.history.iter().enumerate();
            arrays.extend(history.map(|(index, blob)| of_blob(format!("history[{index}]"), blob)));
            Ok(arrays)
        }
        _ => {
            let net = read_weights(path)?;
            let blobs = net.layer.iter().flat_map(|layer| {
                let name = layer.name();
                layer.blobs.iter().enumerate().map(move |(index, blob)| of_blob(format!("{name}[{index}]"), blob))
            });
            Ok(blobs.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_blob() {
        assert_eq!(position(23, &Shape::new(vec![2, 3, 4])), "[1,2,3]");
        assert_eq!(position(0, &Shape::new(Vec::new())), "[]");
    }
}
