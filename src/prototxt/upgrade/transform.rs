//! `scale`, `mean_file`, `crop_size` and `mirror` of V1 data layers, from the layer's own parameter into `transform_param`.

use crate::proto::{NetParameter, TransformationParameter, V1LayerParameter, v1_layer_parameter::LayerType};

pub fn is_needed(net: &NetParameter) -> bool {
    net.layers.iter().any(|layer| {
        let mut probe = V1LayerParameter {
            data_param: layer.data_param.clone(),
            image_data_param: layer.image_data_param.clone(),
            window_data_param: layer.window_data_param.clone(),
            ..Default::default()
        };
        move_fields(layer.r#type(), &mut probe);
        probe.transform_param.is_some_and(|transform| transform != TransformationParameter::default())
    })
}

pub fn upgrade(net: &mut NetParameter) {
    for layer in &mut net.layers {
        move_fields(layer.r#type(), layer);
    }
}

/// The three data parameters are different types with the same four fields.
macro_rules! move_from {
    ($layer:ident, $parameter:ident) => {{
        let from = $layer.$parameter.get_or_insert_default();
        let to = $layer.transform_param.get_or_insert_default();
        to.scale = from.scale.take().or(to.scale);
        to.mean_file = from.mean_file.take().or_else(|| to.mean_file.take());
        to.crop_size = from.crop_size.take().or(to.crop_size);
        to.mirror = from.mirror.take().or(to.mirror);
    }};
}

fn move_fields(layer_type: LayerType, layer: &mut V1LayerParameter) {
    match layer_type {
        LayerType::Data => move_from!(layer, data_param),
        LayerType::ImageData => move_from!(layer, image_data_param),
        LayerType::WindowData => move_from!(layer, window_data_param),
        _ => {}
    }
}
