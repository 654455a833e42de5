//! What `debug_info: true` adds at each displayed iteration: the mean absolute value of every blob.

use crate::report::number::general;

/// A top's data, after a layer's forward.
pub fn forward_top(layer: &str, blob: &str, mean: f32) -> String {
    format!("    [Forward] Layer {layer}, top blob {blob} data: {}", general(mean))
}

/// A parameter's data, after a layer's forward; `parameter` is its name, or its index where it has none.
pub fn forward_parameter(layer: &str, parameter: &str, mean: f32) -> String {
    format!("    [Forward] Layer {layer}, param blob {parameter} data: {}", general(mean))
}

/// A bottom's gradient, after a layer's backward.
pub fn backward_bottom(layer: &str, blob: &str, mean: f32) -> String {
    format!("    [Backward] Layer {layer}, bottom blob {blob} diff: {}", general(mean))
}

/// A parameter's gradient, after a layer's backward; always by index.
pub fn backward_parameter(layer: &str, index: usize, mean: f32) -> String {
    format!("    [Backward] Layer {layer}, param blob {index} diff: {}", general(mean))
}

/// Sums over all parameters, after backward: an array is data, then gradient. Caffe logs it as an error.
pub fn backward_all(l1: [f32; 2], l2: [f32; 2]) -> String {
    let [l1_data, l1_diff] = l1.map(general);
    let [l2_data, l2_diff] = l2.map(general);
    format!(
        "    [Backward] All net params (data, diff): L1 norm = ({l1_data}, {l1_diff}); L2 norm = ({l2_data}, {l2_diff})"
    )
}

/// A parameter before its update.
pub fn update(layer: &str, parameter: &str, data: f32, diff: f32) -> String {
    format!("    [Update] Layer {layer}, param {parameter} data: {}; diff: {}", general(data), general(diff))
}

/// A parameter that another layer owns, before its update.
pub fn update_shared(layer: &str, parameter: &str, owner: (&str, &str), diff: f32) -> String {
    let (owner, owned) = owner;
    let diff = general(diff);
    format!("    [Update] Layer {layer}, param blob {parameter} (owned by layer {owner}, param {owned}) diff: {diff}")
}
