//! BatchNorm layers with three `param` blocks: its mean, variance and their weight are counted, not learned, so both
//! multipliers of each become 0. Caffe once asked users to write the three `lr_mult: 0` themselves.

use crate::proto::{LayerParameter, NetParameter};

/// How many `param` blocks the old form has.
const PARAMS: usize = 3;

pub fn is_needed(net: &NetParameter) -> bool {
    net.layer.iter().any(is_old)
}

pub fn upgrade(net: &mut NetParameter) {
    for param in net.layer.iter_mut().filter(|layer| is_old(layer)).flat_map(|layer| &mut layer.param) {
        param.lr_mult = Some(0.0);
        param.decay_mult = Some(0.0);
    }
}

fn is_old(layer: &LayerParameter) -> bool {
    layer.r#type() == "BatchNorm" && layer.param.len() == PARAMS
}
