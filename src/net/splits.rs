//! Automatic Split layers: a blob that several layers read becomes several blobs, so that each reader has its own gradient.

use std::collections::HashMap;

use super::place_of;
use crate::{
    error::{Error, Result},
    proto::{LayerParameter, NetParameter},
};

/// A top by the layer that makes it and its position there.
type Source = (usize, usize);

/// The net with a Split layer, named as Caffe names it (`BLOB_LAYER_POSITION_split`), behind every top that is read more than
/// once. A top with a loss weight counts as read by the loss; its weight moves to the Split's first top.
///
/// # Errors
/// When a layer reads a blob that no layer before it makes.
pub fn insert_splits(net: &NetParameter, file: &str) -> Result<NetParameter> {
    let uses = Uses::count(net, file)?;
    let mut next_branch: HashMap<Source, usize> = HashMap::new();
    let mut split = NetParameter { layer: Vec::with_capacity(net.layer.len()), ..net.clone() };
    split.layer.clear();
    for (index, original) in net.layer.iter().enumerate() {
        let mut layer = original.clone();
        for (position, bottom) in layer.bottom.iter_mut().enumerate() {
            let source = uses.sources[&(index, position)];
            if uses.readers_of(source) > 1 {
                let branch = next_branch.entry(source).or_default();
                *bottom = branch_name(net.layer[source.0].name(), bottom, source.1, *branch);
                *branch += 1;
            }
        }
        let mut splits = Vec::new();
        for (position, top) in original.top.iter().enumerate() {
            let source = (index, position);
            let readers = uses.readers_of(source);
            if readers > 1 {
                let loss_weight = uses.loss_weights.get(&source).copied().unwrap_or(0.0);
                splits.push(split_layer(original, top, position, readers, loss_weight));
                if loss_weight != 0.0 {
                    layer.loss_weight.clear();
                    next_branch.insert(source, 1);
                }
            }
        }
        split.layer.push(layer);
        split.layer.append(&mut splits);
    }
    Ok(split)
}

/// Who reads what.
struct Uses {
    /// For each bottom (layer, position) the top that it reads.
    sources: HashMap<(usize, usize), Source>,
    readers: HashMap<Source, usize>,
    loss_weights: HashMap<Source, f32>,
}

impl Uses {
    fn count(net: &NetParameter, file: &str) -> Result<Self> {
        let mut uses = Uses { sources: HashMap::new(), readers: HashMap::new(), loss_weights: HashMap::new() };
        let mut last_maker: HashMap<&str, Source> = HashMap::new();
        for (index, layer) in net.layer.iter().enumerate() {
            for (position, bottom) in layer.bottom.iter().enumerate() {
                let Some(&source) = last_maker.get(bottom.as_str()) else {
                    return Err(unknown_bottom(net, layer, bottom).at(&place_of(layer, file)));
                };
                uses.sources.insert((index, position), source);
                *uses.readers.entry(source).or_default() += 1;
            }
            for (position, top) in layer.top.iter().enumerate() {
                last_maker.insert(top, (index, position));
            }
            for (&weight, top) in layer.loss_weight.iter().zip(&layer.top) {
                let source = last_maker[top.as_str()];
                uses.loss_weights.insert(source, weight);
                if weight != 0.0 {
                    *uses.readers.entry(source).or_default() += 1;
                }
            }
        }
        Ok(uses)
    }

    fn readers_of(&self, source: Source) -> usize {
        self.readers.get(&source).copied().unwrap_or(0)
    }
}

fn unknown_bottom(net: &NetParameter, layer: &LayerParameter, bottom: &str) -> Error {
    let makers = net.layer.iter().filter(|maker| maker.top.iter().any(|top| top == bottom));
    let later = makers.map(|maker| maker.name()).next();
    let reason = match later {
        Some(maker) if maker == layer.name() => "only this layer itself makes it (a cycle)".to_string(),
        Some(maker) => format!("layer {maker:?} makes it later; move that layer in front of this one"),
        None => "no layer before it makes a blob of that name".to_string(),
    };
    Error::config("bottom", format!("unknown bottom blob {bottom:?}: {reason}"))
}

fn split_layer(
    maker: &LayerParameter,
    blob: &str,
    position: usize,
    readers: usize,
    loss_weight: f32,
) -> LayerParameter {
    let mut loss_weights = Vec::new();
    if loss_weight != 0.0 {
        loss_weights = vec![0.0; readers];
        loss_weights[0] = loss_weight;
    }
    LayerParameter {
        name: Some(format!("{blob}_{}_{position}_split", maker.name())),
        r#type: Some("Split".into()),
        bottom: vec![blob.into()],
        top: (0..readers).map(|branch| branch_name(maker.name(), blob, position, branch)).collect(),
        loss_weight: loss_weights,
        source_line: maker.source_line,
        ..LayerParameter::default()
    }
}

fn branch_name(layer: &str, blob: &str, position: usize, branch: usize) -> String {
    format!("{blob}_{layer}_{position}_split_{branch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, bottoms: &[&str], tops: &[&str]) -> LayerParameter {
        LayerParameter {
            name: Some(name.into()),
            bottom: bottoms.iter().map(|name| name.to_string()).collect(),
            top: tops.iter().map(|name| name.to_string()).collect(),
            ..LayerParameter::default()
        }
    }

    fn describe(layers: Vec<LayerParameter>) -> Vec<String> {
        let net = NetParameter { layer: layers, ..NetParameter::default() };
        let split = insert_splits(&net, "net").unwrap();
        let line = |layer: &LayerParameter| {
            format!("{}({})->{} {:?}", layer.name(), layer.bottom.join(","), layer.top.join(","), layer.loss_weight)
        };
        split.layer.iter().map(line).collect()
    }

    #[test]
    fn a_blob_read_twice_is_split_behind_its_last_maker() {
        let layers = vec![
            layer("data", &[], &["x"]),
            layer("relu", &["x"], &["x"]),
            layer("a", &["x"], &["y"]),
            layer("b", &["x"], &["z"]),
        ];
        let expected = [
            "data()->x []",
            "relu(x)->x []",
            "x_relu_0_split(x)->x_relu_0_split_0,x_relu_0_split_1 []",
            "a(x_relu_0_split_0)->y []",
            "b(x_relu_0_split_1)->z []",
        ];
        assert_eq!(describe(layers), expected);
    }

    #[test]
    fn a_loss_that_is_read_keeps_its_weight_on_the_first_branch() {
        let mut loss = layer("loss", &["x"], &["l"]);
        loss.loss_weight = vec![2.0];
        let layers = vec![layer("data", &[], &["x"]), loss, layer("show", &["l"], &["s"])];
        let expected = [
            "data()->x []",
            "loss(x)->l []",
            "l_loss_0_split(l)->l_loss_0_split_0,l_loss_0_split_1 [2.0, 0.0]",
            "show(l_loss_0_split_1)->s []",
        ];
        assert_eq!(describe(layers), expected);
    }

    #[test]
    fn a_bottom_that_nobody_makes_is_named_with_its_reason() {
        let message = |layers| {
            let net = NetParameter { layer: layers, ..NetParameter::default() };
            insert_splits(&net, "net.prototxt").unwrap_err().to_string()
        };
        assert!(message(vec![layer("a", &["x"], &["y"])]).contains("unknown bottom blob \"x\": no layer before"));
        assert!(
            message(vec![layer("a", &["x"], &["y"]), layer("b", &[], &["x"])]).contains("layer \"b\" makes it later")
        );
        assert!(message(vec![layer("a", &["y"], &["y"])]).contains("a cycle"));
    }
}
