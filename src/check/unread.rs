//! Options that are given and that nothing reads.

use super::Report;
use crate::{
    layers::TABLE,
    net::{filter, place_of},
    proto::{LayerParameter, SolverParameter},
    prototxt::{Document, given},
    solver::Description,
};

const CYCLES: &[&str] = &["triangular", "triangular2", "exp_range", "decay", "1cycle"];

/// Options of a solver by the policies that read them.
const BY_POLICY: &[(&str, &[&str])] = &[
    ("gamma", &["step", "exp", "inv", "multistep", "sigmoid", "exp_range", "plateau"]),
    ("power", &["inv", "poly"]),
    ("stepsize", &["step", "sigmoid", "triangular", "triangular2", "exp_range", "decay", "1cycle"]),
    ("stepvalue", &["multistep"]),
    ("max_lr", CYCLES),
    ("start_lr_policy", &["triangular", "triangular2", "exp_range", "decay", "1cycle", "sgdr"]),
    ("scale_fn", &["triangular"]),
    ("scale_mode", &["triangular"]),
    ("exp_range_decay", &["exp_range"]),
    ("period", &["sgdr"]),
    ("p_mult", &["sgdr"]),
    ("lr_mult", &["sgdr"]),
    ("stagelr", &["multifixed"]),
    ("stageiter", &["multifixed"]),
    ("plateau_winsize", &["plateau"]),
];

/// Options of a solver by the update rules that read them.
const BY_TYPE: &[(&str, &[&str])] =
    &[("momentum2", &["Adam"]), ("rms_decay", &["RMSProp"]), ("delta", &["AdaGrad", "RMSProp", "AdaDelta", "Adam"])];

/// Options of a solver that its policies, its update rule or its tests do not read.
pub(super) fn solver(solver: &Document<SolverParameter>, report: &mut Report) {
    let message = &solver.message;
    let given = given(message);
    let is_given = |field: &str| given.iter().any(|name| name == field);
    let mut unread = |field: &str, why: String| {
        report.warn(&solver.locations.place(field), format_args!("{field}: nothing reads it: {why}"));
    };
    let staged = message.stage.iter().filter_map(|stage| stage.lr_policy.as_deref());
    let all_staged = !message.stage.is_empty() && message.stage.iter().all(|stage| stage.lr_policy.is_some());
    let policies: Vec<&str> = staged.chain((!all_staged).then(|| message.lr_policy())).collect();
    // An unknown policy is an error of its own.
    let is_known = |policy: &&str| *policy == "fixed" || BY_POLICY.iter().any(|(_, readers)| readers.contains(policy));
    if policies.iter().all(is_known) {
        for (field, readers) in BY_POLICY.iter().filter(|(field, _)| is_given(field)) {
            if !policies.iter().any(|policy| readers.contains(policy)) {
                unread(field, format!("lr_policy is \"{}\"", policies.join("\", \"")));
            }
        }
    }
    for (field, readers) in BY_TYPE.iter().filter(|(field, _)| is_given(field)) {
        if !readers.contains(&message.r#type()) {
            unread(field, format!("type is \"{}\"", message.r#type()));
        }
    }
    let momentum = message.momentum_policy();
    for (field, is_read) in [
        ("max_momentum", momentum != "fixed"),
        ("momentum_power", momentum == "poly"),
        ("max_weight_decay", message.weight_decay_policy() == "poly"),
        ("weight_decay_power", message.weight_decay_policy() == "poly"),
    ] {
        if is_given(field) && !is_read {
            unread(field, "the policy is another".into());
        }
    }
    if message.test_iter.is_empty() {
        for field in ["test_interval", "test_initialization", "test_compute_loss", "snapshot_best"] {
            if is_given(field) {
                unread(field, "without test_iter there are no tests".into());
            }
        }
    }
    if is_given("debug_info") && message.debug_info() && message.display() == 0 {
        unread("debug_info", "it is shown at displayed iterations, and display is 0".into());
    }
}

/// Options of other layer types in a layer.
pub(super) fn net(described: &Description, report: &mut Report) {
    let Ok(net) = filter(&described.message, &described.file) else { return };
    for layer in &net.layer {
        for field in given(layer).iter().filter(|field| is_foreign(layer, field)) {
            let place = place_of(layer, &described.file);
            report.warn(&place, format_args!("{field}: nothing reads it: the layer is of type {:?}", layer.r#type()));
        }
    }
}

/// Families of layers that share options: the option, and the beginning or end of the types' names.
const SHARED: &[(&str, &[&str])] = &[
    ("convolution_param", &["Deconvolution", "Im2col", "ConvolutionDepthwise", "DepthwiseConvolution"]),
    ("data_param", &["ImageData", "WindowData", "MemoryData", "HDF5Data"]),
    ("softmax_param", &["SoftmaxWithLoss"]),
    ("sigmoid_param", &["SigmoidCrossEntropyLoss"]),
    ("relu_param", &["ReLU6"]),
];

/// Whether a field is the options of another known layer type: `pooling_param` is that of Pooling.
fn is_foreign(layer: &LayerParameter, field: &str) -> bool {
    let Some(name) = field.strip_suffix("_param") else { return false };
    let name = name.replace('_', "");
    let of = |kind: &str| kind.eq_ignore_ascii_case(&name);
    let is_shared = SHARED.iter().any(|(shared, kinds)| *shared == field && kinds.contains(&layer.r#type()));
    !of(layer.r#type()) && !is_shared && TABLE.iter().any(|row| of(row.name))
}
