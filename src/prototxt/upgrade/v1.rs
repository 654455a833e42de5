//! `layers { type: CONVOLUTION ... }` to `layer { type: "Convolution" ... }`.
//!
//! The n-th entries of `param` (a name), `blob_share_mode`, `blobs_lr` and `weight_decay` become the n-th `param { }` block.

use std::mem;

use log::error;

use super::refuse;
use crate::{
    Result,
    proto::{LayerParameter, NetParameter, ParamSpec, V1LayerParameter, v1_layer_parameter::LayerType},
};

pub fn is_needed(net: &NetParameter) -> bool {
    !net.layers.is_empty()
}

pub fn upgrade(net: &mut NetParameter, file: &str) -> Result<()> {
    if let (Some(old), false) = (net.layers.first(), net.layer.is_empty()) {
        let message = "this net has both \"layers\", the older form, and \"layer\"; write all of them as \"layer\"";
        return Err(refuse(old, file, "layers", message));
    }
    net.layer = mem::take(&mut net.layers).into_iter().map(layer).collect();
    Ok(())
}

fn layer(mut old: V1LayerParameter) -> LayerParameter {
    if old.layer.is_some() {
        error!("Input NetParameter has V0 layer -- ignoring.");
    }
    LayerParameter {
        r#type: old.r#type.map(|_| type_name(old.r#type()).to_string()),
        param: params(&mut old),
        name: old.name,
        bottom: old.bottom,
        top: old.top,
        include: old.include,
        exclude: old.exclude,
        blobs: old.blobs,
        loss_weight: old.loss_weight,
        accuracy_param: old.accuracy_param,
        argmax_param: old.argmax_param,
        concat_param: old.concat_param,
        contrastive_loss_param: old.contrastive_loss_param,
        convolution_param: old.convolution_param,
        data_param: old.data_param,
        dropout_param: old.dropout_param,
        dummy_data_param: old.dummy_data_param,
        eltwise_param: old.eltwise_param,
        exp_param: old.exp_param,
        hdf5_data_param: old.hdf5_data_param,
        hdf5_output_param: old.hdf5_output_param,
        hinge_loss_param: old.hinge_loss_param,
        image_data_param: old.image_data_param,
        infogain_loss_param: old.infogain_loss_param,
        inner_product_param: old.inner_product_param,
        lrn_param: old.lrn_param,
        memory_data_param: old.memory_data_param,
        mvn_param: old.mvn_param,
        pooling_param: old.pooling_param,
        power_param: old.power_param,
        relu_param: old.relu_param,
        sigmoid_param: old.sigmoid_param,
        softmax_param: old.softmax_param,
        slice_param: old.slice_param,
        tanh_param: old.tanh_param,
        threshold_param: old.threshold_param,
        window_data_param: old.window_data_param,
        transform_param: old.transform_param,
        loss_param: old.loss_param,
        source_line: old.source_line,
        ..Default::default()
    }
}

fn params(old: &mut V1LayerParameter) -> Vec<ParamSpec> {
    let names = mem::take(&mut old.param);
    let lengths = [names.len(), old.blob_share_mode.len(), old.blobs_lr.len(), old.weight_decay.len()];
    let mut params = vec![ParamSpec::default(); lengths.into_iter().max().unwrap_or(0)];
    params.iter_mut().zip(names).for_each(|(param, name)| param.name = Some(name));
    // The old and the new DimCheckMode have the same numbers.
    params.iter_mut().zip(&old.blob_share_mode).for_each(|(param, &mode)| param.share_mode = Some(mode));
    params.iter_mut().zip(&old.blobs_lr).for_each(|(param, &rate)| param.lr_mult = Some(rate));
    params.iter_mut().zip(&old.weight_decay).for_each(|(param, &decay)| param.decay_mult = Some(decay));
    params
}

/// Today's name of a V1 type.
fn type_name(old: LayerType) -> &'static str {
    match old {
        LayerType::None => "",
        LayerType::Absval => "AbsVal",
        LayerType::Accuracy => "Accuracy",
        LayerType::Argmax => "ArgMax",
        LayerType::Bnll => "BNLL",
        LayerType::Concat => "Concat",
        LayerType::ContrastiveLoss => "ContrastiveLoss",
        LayerType::Convolution => "Convolution",
        LayerType::Data => "Data",
        LayerType::Deconvolution => "Deconvolution",
        LayerType::Dropout => "Dropout",
        LayerType::DummyData => "DummyData",
        LayerType::EuclideanLoss => "EuclideanLoss",
        LayerType::Eltwise => "Eltwise",
        LayerType::Exp => "Exp",
        LayerType::Flatten => "Flatten",
        LayerType::Hdf5Data => "HDF5Data",
        LayerType::Hdf5Output => "HDF5Output",
        LayerType::HingeLoss => "HingeLoss",
        LayerType::Im2col => "Im2col",
        LayerType::ImageData => "ImageData",
        LayerType::InfogainLoss => "InfogainLoss",
        LayerType::InnerProduct => "InnerProduct",
        LayerType::Lrn => "LRN",
        LayerType::MemoryData => "MemoryData",
        LayerType::MultinomialLogisticLoss => "MultinomialLogisticLoss",
        LayerType::Mvn => "MVN",
        LayerType::Pooling => "Pooling",
        LayerType::Power => "Power",
        LayerType::Relu => "ReLU",
        LayerType::Sigmoid => "Sigmoid",
        LayerType::SigmoidCrossEntropyLoss => "SigmoidCrossEntropyLoss",
        LayerType::Silence => "Silence",
        LayerType::Softmax => "Softmax",
        LayerType::SoftmaxLoss => "SoftmaxWithLoss",
        LayerType::Split => "Split",
        LayerType::Slice => "Slice",
        LayerType::Tanh => "TanH",
        LayerType::WindowData => "WindowData",
        LayerType::Threshold => "Threshold",
    }
}
