//! The wiring of a net: which blob each bottom and top is, checked against what the layer types take.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::place_of;
use crate::{
    error::{Error, Result},
    layers::{ANY, LayerType, Tops, layer_type},
    proto::LayerParameter,
};

/// The blobs of a net and who reads and makes them.
#[derive(Debug, Default)]
pub struct Graph {
    /// Blob names by index; tops that the net file leaves out are called `(automatic)`.
    pub blobs: Vec<String>,
    /// The wires of each layer.
    pub layers: Vec<Wires>,
    /// Blobs that no layer reads: the net's outputs, in the order of their names as in Caffe.
    pub outputs: Vec<usize>,
}

/// A layer's bottoms and tops as blob indices.
#[derive(Debug, Default)]
pub struct Wires {
    /// The blobs that the layer reads.
    pub bottoms: Vec<usize>,
    /// The blobs that the layer makes; an in-place top is the bottom at the same position.
    pub tops: Vec<usize>,
}

impl Graph {
    /// Wires the layers of a filtered net with splits.
    ///
    /// # Errors
    /// When a layer type is unknown, takes another number of bottoms or tops, reads a blob that is not there, or makes one that
    /// another layer makes already.
    pub fn new(layers: &[LayerParameter], file: &str) -> Result<Self> {
        let mut graph = Graph::default();
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let mut available: BTreeMap<&str, usize> = BTreeMap::new();
        for layer in layers {
            let place = place_of(layer, file);
            let row = layer_type(layer.r#type()).map_err(|error| error.at(&place))?;
            check_counts(layer, row).map_err(|error| error.at(&place))?;
            let mut wires = Wires::default();
            for bottom in &layer.bottom {
                let blob = available
                    .remove(bottom.as_str())
                    .ok_or_else(|| Error::config("bottom", format!("unknown bottom blob {bottom:?}")).at(&place))?;
                wires.bottoms.push(blob);
            }
            for (position, top) in layer.top.iter().enumerate() {
                let blob = if layer.bottom.get(position) == Some(top) {
                    wires.bottoms[position]
                } else if known.contains_key(top.as_str()) {
                    let message = format!("top blob {top:?} is made by another layer already; give it another name");
                    return Err(Error::config("top", message).at(&place));
                } else {
                    graph.add_blob(top)
                };
                known.insert(top, blob);
                available.insert(top, blob);
                wires.tops.push(blob);
            }
            if let Tops::Automatic(count) = &row.tops {
                while wires.tops.len() < *count.start() {
                    wires.tops.push(graph.add_blob("(automatic)"));
                }
            }
            graph.layers.push(wires);
        }
        graph.outputs = available.into_values().collect();
        Ok(graph)
    }

    fn add_blob(&mut self, name: &str) -> usize {
        self.blobs.push(name.to_string());
        self.blobs.len() - 1
    }
}

fn check_counts(layer: &LayerParameter, row: &LayerType) -> Result<()> {
    check_count("bottom", layer.bottom.len(), &row.bottoms)?;
    match &row.tops {
        Tops::Count(range) => check_count("top", layer.top.len(), range)?,
        Tops::Automatic(range) => check_count("top", layer.top.len(), &(0..=*range.end()))?,
        Tops::AsBottoms => check_count("top", layer.top.len(), &(layer.bottom.len()..=layer.bottom.len()))?,
    }
    let propagate = layer.propagate_down.len();
    if propagate != 0 && propagate != layer.bottom.len() {
        let message =
            format!("is given {propagate} times for {} bottoms; give it once for each or not", layer.bottom.len());
        return Err(Error::config("propagate_down", message));
    }
    Ok(())
}

fn check_count(what: &str, count: usize, range: &RangeInclusive<usize>) -> Result<()> {
    if range.contains(&count) {
        return Ok(());
    }
    let (least, most) = (*range.start(), *range.end());
    let takes = match (least, most) {
        (0, 0) => format!("no {what}"),
        (1, 1) => format!("1 {what}"),
        (least, most) if least == most => format!("{least} {what}s"),
        (least, ANY) => format!("at least {least} {what}{}", if least == 1 { "" } else { "s" }),
        (least, most) => format!("{least} to {most} {what}s"),
    };
    Err(Error::config(what, format!("the layer takes {takes}, the net file gives {count}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(layers: &[(&str, &[&str], &[&str])]) -> String {
        let layers: Vec<_> = layers
            .iter()
            .map(|(kind, bottoms, tops)| LayerParameter {
                name: Some("l".into()),
                r#type: Some(kind.to_string()),
                bottom: bottoms.iter().map(|name| name.to_string()).collect(),
                top: tops.iter().map(|name| name.to_string()).collect(),
                ..LayerParameter::default()
            })
            .collect();
        Graph::new(&layers, "net.prototxt").unwrap_err().to_string()
    }

    #[test]
    fn wrong_wiring_is_named() {
        assert!(error_of(&[("Nonsense", &[], &["x"])]).contains("\"l\" (Nonsense)"));
        assert!(error_of(&[("Input", &[], &["x"]), ("ReLU", &["x"], &["y", "z"])]).contains("takes 1 top,"));
        assert!(error_of(&[("Input", &[], &["x"]), ("Input", &[], &["x"])]).contains("made by another layer already"));
        assert!(error_of(&[("ReLU", &["x"], &["y"])]).contains("unknown bottom blob \"x\""));
    }
}
