//! The first format, `layers { layer { name: "conv1" type: "conv" num_output: 20 ... } bottom: ... }`, to V1.
//!
//! All options of all layers stood in one message. Each goes into the block of its layer's type; an option that the type does
//! not have is logged and dropped, as Caffe does. A `padding` layer becomes the `pad` of the convolution or pooling behind it.

use std::{collections::HashMap, mem};

use log::error;
use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use super::refuse;
use crate::{
    Result,
    proto::{NetParameter, V0LayerParameter, V1LayerParameter, v1_layer_parameter::LayerType},
    prototxt::{descriptor, to_dynamic, to_typed},
};

/// V0 type, V1 type, and the block that the type's own options go to.
const TYPES: &[(&str, LayerType, &str)] = &[
    ("accuracy", LayerType::Accuracy, ""),
    ("bnll", LayerType::Bnll, ""),
    ("concat", LayerType::Concat, "concat_param"),
    ("conv", LayerType::Convolution, "convolution_param"),
    ("data", LayerType::Data, "data_param"),
    ("dropout", LayerType::Dropout, "dropout_param"),
    ("euclidean_loss", LayerType::EuclideanLoss, ""),
    ("flatten", LayerType::Flatten, ""),
    ("hdf5_data", LayerType::Hdf5Data, "hdf5_data_param"),
    ("hdf5_output", LayerType::Hdf5Output, ""),
    ("im2col", LayerType::Im2col, ""),
    ("images", LayerType::ImageData, "image_data_param"),
    ("infogain_loss", LayerType::InfogainLoss, "infogain_loss_param"),
    ("innerproduct", LayerType::InnerProduct, "inner_product_param"),
    ("lrn", LayerType::Lrn, "lrn_param"),
    ("multinomial_logistic_loss", LayerType::MultinomialLogisticLoss, ""),
    ("pool", LayerType::Pooling, "pooling_param"),
    ("relu", LayerType::Relu, ""),
    ("sigmoid", LayerType::Sigmoid, ""),
    ("softmax", LayerType::Softmax, ""),
    ("softmax_loss", LayerType::SoftmaxLoss, ""),
    ("split", LayerType::Split, ""),
    ("tanh", LayerType::Tanh, ""),
    ("window_data", LayerType::WindowData, "window_data_param"),
];

/// V0 option, its name in the block, and the types that have it.
const OPTIONS: &[(&str, &str, &[&str])] = &[
    ("num_output", "num_output", &["conv", "innerproduct"]),
    ("biasterm", "bias_term", &["conv", "innerproduct"]),
    ("weight_filler", "weight_filler", &["conv", "innerproduct"]),
    ("bias_filler", "bias_filler", &["conv", "innerproduct"]),
    ("pad", "pad", &["conv", "pool"]),
    ("kernelsize", "kernel_size", &["conv", "pool"]),
    ("group", "group", &["conv"]),
    ("stride", "stride", &["conv", "pool"]),
    ("pool", "pool", &["pool"]),
    ("dropout_ratio", "dropout_ratio", &["dropout"]),
    ("local_size", "local_size", &["lrn"]),
    ("alpha", "alpha", &["lrn"]),
    ("beta", "beta", &["lrn"]),
    ("k", "k", &["lrn"]),
    ("source", "source", &["data", "hdf5_data", "images", "window_data", "infogain_loss"]),
    ("batchsize", "batch_size", &["data", "hdf5_data", "images", "window_data"]),
    ("rand_skip", "rand_skip", &["data", "images"]),
    ("shuffle_images", "shuffle", &["images"]),
    ("new_height", "new_height", &["images"]),
    ("new_width", "new_width", &["images"]),
    ("concat_dim", "concat_dim", &["concat"]),
    ("det_fg_threshold", "fg_threshold", &["window_data"]),
    ("det_bg_threshold", "bg_threshold", &["window_data"]),
    ("det_fg_fraction", "fg_fraction", &["window_data"]),
    ("det_context_pad", "context_pad", &["window_data"]),
    ("det_crop_mode", "crop_mode", &["window_data"]),
];

/// Options that any type takes, in `transform_param`.
const TRANSFORMS: &[(&str, &str)] =
    &[("scale", "scale"), ("meanfile", "mean_file"), ("cropsize", "crop_size"), ("mirror", "mirror")];

pub fn is_needed(net: &NetParameter) -> bool {
    net.layers.iter().any(|layer| layer.layer.is_some())
}

pub fn upgrade(net: &mut NetParameter, file: &str) -> Result<()> {
    let old = mem::take(net);
    let layers = merge_padding(old.layers, &old.input, file)?;
    // What a V0 net has besides these, Caffe drops.
    *net = NetParameter {
        name: old.name,
        input: old.input,
        input_dim: old.input_dim,
        force_backward: old.force_backward,
        layers: layers.into_iter().map(|layer| upgrade_layer(layer, file)).collect::<Result<_>>()?,
        ..Default::default()
    };
    Ok(())
}

/// Removes padding layers; the layers behind them take their `pad` and their bottom.
fn merge_padding(layers: Vec<V1LayerParameter>, inputs: &[String], file: &str) -> Result<Vec<V1LayerParameter>> {
    let mut makers: HashMap<String, Option<usize>> = inputs.iter().map(|name| (name.clone(), None)).collect();
    let mut merged = Vec::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let mut kept = layer.clone();
        for bottom in &layer.bottom {
            let Some(maker) = makers.get(bottom) else {
                return Err(refuse(layer, file, "bottom", format!("no layer before this one makes \"{bottom}\"")));
            };
            if let Some(padding) = maker.map(|maker| &layers[maker]).filter(|maker| v0_type(maker) == "padding") {
                check_padding(padding, layer, file)?;
                kept.bottom.clone_from(&padding.bottom);
                kept.layer.get_or_insert_default().pad = padding.layer.as_ref().map(V0LayerParameter::pad);
            }
        }
        makers.extend(layer.top.iter().map(|top| (top.clone(), Some(index))));
        if v0_type(layer) != "padding" {
            merged.push(kept);
        }
    }
    Ok(merged)
}

fn check_padding(padding: &V1LayerParameter, layer: &V1LayerParameter, file: &str) -> Result<()> {
    let problem = if !["conv", "pool"].contains(&v0_type(layer)) {
        format!("a padding layer can only stand before \"conv\" and \"pool\", not before \"{}\"", v0_type(layer))
    } else if layer.bottom.len() != 1 {
        format!("a layer behind a padding layer has one bottom, not {}", layer.bottom.len())
    } else if padding.bottom.len() != 1 || padding.top.len() != 1 {
        "the padding layer before this one must have one bottom and one top".to_string()
    } else {
        return Ok(());
    };
    Err(refuse(layer, file, "bottom", problem))
}

fn v0_type(layer: &V1LayerParameter) -> &str {
    layer.layer.as_ref().map_or("", V0LayerParameter::r#type)
}

fn upgrade_layer(mut connection: V1LayerParameter, file: &str) -> Result<V1LayerParameter> {
    let Some(mut old) = connection.layer.take() else {
        let problem = "this net has layers with and without a \"layer\" block inside; write all of them in one form";
        return Err(refuse(&connection, file, "layers", problem));
    };
    let known = TYPES.iter().find(|(name, ..)| *name == old.r#type());
    let Some(&(_, layer_type, block)) = known else {
        let problem = format!("unknown type \"{}\" of a layer in Caffe's first format", old.r#type());
        connection.layer = Some(old);
        return Err(refuse(&connection, file, "type", problem));
    };
    let (bottom, top, source_line) = (connection.bottom, connection.top, connection.source_line);
    let blobs = mem::take(&mut old.blobs);
    Ok(V1LayerParameter {
        bottom,
        top,
        source_line,
        blobs,
        name: old.name.take(),
        r#type: Some(layer_type.into()),
        blobs_lr: mem::take(&mut old.blobs_lr),
        weight_decay: mem::take(&mut old.weight_decay),
        ..distribute(&old, block)
    })
}

/// A V1 layer with the options in their blocks.
fn distribute(old: &V0LayerParameter, block: &str) -> V1LayerParameter {
    let mut new = DynamicMessage::new(descriptor::<V1LayerParameter>());
    for (field, value) in to_dynamic(old).fields() {
        match destination(old.r#type(), field.name(), block) {
            Some(("", name)) => put(&mut new, name, value),
            Some((block, name)) => {
                let block = new.get_field_by_name_mut(block).and_then(Value::as_message_mut);
                block.into_iter().for_each(|block| put(block, name, value));
            }
            None if field.name() == "type" => {}
            None => error!("Unknown parameter {} for layer type {}", field.name(), old.r#type()),
        }
    }
    to_typed(&new)
}

/// The block and the name that an option of this type goes to; the block is empty for the layer itself.
fn destination<'a>(layer_type: &str, option: &str, block: &'a str) -> Option<(&'a str, &'static str)> {
    if let Some((_, name)) = TRANSFORMS.iter().find(|(old, _)| *old == option) {
        return Some(("transform_param", name));
    }
    if (layer_type, option) == ("hdf5_output", "hdf5_output_param") {
        return Some(("", "hdf5_output_param"));
    }
    let (_, name, _) = OPTIONS.iter().find(|(old, _, types)| *old == option && types.contains(&layer_type))?;
    Some((block, name))
}

/// Sets a field, or adds to it if it is a list.
fn put(message: &mut DynamicMessage, name: &str, value: &Value) {
    let Some(field) = message.descriptor().get_field_by_name(name) else { return };
    // V0 had int32 where today's new_height and new_width are uint32.
    let value = match value {
        Value::I32(number) => Value::U32(*number as u32),
        other => other.clone(),
    };
    match message.get_field_mut(&field) {
        Value::List(list) => list.push(value),
        single => *single = value,
    }
}
