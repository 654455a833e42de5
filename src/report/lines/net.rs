//! What a net says while it is made, and when weights are loaded into it.

use crate::{report::number::general, tensor::Shape};

/// A rule names another phase; 0 is TRAIN, 1 is TEST.
pub fn other_phase(state: i32, rule: i32, layer: &str) -> String {
    format!("The NetState phase ({state}) differed from the phase ({rule}) specified by a rule in layer {layer}")
}

/// The level lies below a rule's `min_level`. (Caffe's line says "above"; tools may look for it.)
pub fn below_min_level(state: i32, rule: i32, layer: &str) -> String {
    format!("The NetState level ({state}) is above the min_level ({rule}) specified by a rule in layer {layer}")
}

/// The level lies above a rule's `max_level`.
pub fn above_max_level(state: i32, rule: i32, layer: &str) -> String {
    format!("The NetState level ({state}) is above the max_level ({rule}) specified by a rule in layer {layer}")
}

/// A rule's `stage` is not there.
pub fn stage_missing(stage: &str, layer: &str) -> String {
    format!("The NetState did not contain stage '{stage}' specified by a rule in layer {layer}")
}

/// A rule's `not_stage` is there.
pub fn stage_not_wanted(stage: &str, layer: &str) -> String {
    format!("The NetState contained a not_stage '{stage}' specified by a rule in layer {layer}")
}

/// Before the layers are made; `text` is the filtered net in text format.
pub fn initializing(text: &str) -> String {
    format!("Initializing net from parameters: \n{text}")
}

/// The first line on a layer.
pub fn creating_type(layer: &str) -> String {
    format!("Creating layer {layer}")
}

/// The second line on a layer.
pub fn creating(layer: &str) -> String {
    format!("Creating Layer {layer}")
}

/// One for each bottom.
pub fn bottom(layer: &str, blob: &str) -> String {
    format!("{layer} <- {blob}")
}

/// One for each top that is a blob of its own.
pub fn top(layer: &str, blob: &str) -> String {
    format!("{layer} -> {blob}")
}

/// One for each top that is also the bottom.
pub fn top_in_place(layer: &str, blob: &str) -> String {
    format!("{layer} -> {blob} (in-place)")
}

/// After a layer's setup.
pub fn setting_up(layer: &str) -> String {
    format!("Setting up {layer}")
}

/// One for each top: `Top shape: 50 3 32 32 (153600)`.
pub fn top_shape(shape: &Shape) -> String {
    format!("Top shape: {}", dimensions(shape))
}

/// After [`top_shape`] of a top that is a loss.
pub fn loss_weight(weight: f32) -> String {
    format!("    with loss weight {}", general(weight))
}

/// Bytes that the data of all tops so far take.
pub fn memory(bytes: usize) -> String {
    format!("Memory required for data: {bytes}")
}

/// A parameter is another layer's.
pub fn sharing(parameter: &str, owner: &str, index: usize) -> String {
    format!("Sharing parameters '{parameter}' owned by layer '{owner}', param index {index}")
}

/// Whether backward runs for a layer; from the last layer to the first.
pub fn backward(layer: &str, needed: bool) -> String {
    let needs = if needed { "needs" } else { "does not need" };
    format!("{layer} {needs} backward computation.")
}

/// One for each blob that no layer takes, in the order of their names.
pub fn output(blob: &str) -> String {
    format!("This network produces output {blob}")
}

/// The net is ready.
pub fn done() -> String {
    "Network initialization done.".into()
}

/// The weights have a layer that the net has not.
pub fn ignoring_source_layer(layer: &str) -> String {
    format!("Ignoring source layer {layer}")
}

/// `50 3 32 32 (153600)`; `(1)` for a scalar.
fn dimensions(shape: &Shape) -> String {
    let dims: String = shape.dims().iter().map(|dim| format!("{dim} ")).collect();
    format!("{dims}({})", shape.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_print_as_in_caffe() {
        assert_eq!(top_shape(&Shape::new([50, 3, 32, 32])), "Top shape: 50 3 32 32 (153600)");
        assert_eq!(top_shape(&Shape::scalar()), "Top shape: (1)");
    }
}
