//! Gradients of blobs that share memory: while a net runs backward, few of them are needed at a time.
//!
//! A gradient is needed from the layer that writes it, the last that reads the blob, down to the layer that made the blob. Two
//! gradients whose spans of layers do not meet can lie in the same memory.

use super::Net;
use crate::tensor::Buffer;

/// The gradient of one blob, or of several whose gradients are one memory (Flatten, Reshape), and when it is needed.
#[derive(Debug)]
struct Gradient {
    blobs: Vec<usize>,
    /// Values of the largest blob.
    count: usize,
    /// The layer that reads the gradient last: the first layer that makes one of the blobs.
    maker: usize,
    /// The layer that writes it first: the last layer that reads one of the blobs.
    reader: usize,
    /// Whether it is written in every backward pass, and not needed outside.
    is_free: bool,
}

/// Memory that gradients take one after another.
#[derive(Debug)]
struct Block {
    count: usize,
    /// The maker of the gradient that has it now.
    until: usize,
    gradients: Vec<usize>,
}

impl Net {
    /// Lets gradients of blobs that are not needed at the same time share memory. Afterwards the gradient of a blob is only there
    /// while the backward pass is at its layers; gradients of parameters, losses and of blobs that no layer writes a gradient of stay.
    pub fn share_gradients(&mut self) {
        self.forget_passes();
        let gradients = self.gradients();
        for block in blocks(&gradients) {
            let memory = Buffer::zeros(block.count);
            for &blob in block.gradients.iter().flat_map(|&index| &gradients[index].blobs) {
                self.blobs[blob].place_diff(&memory);
            }
        }
    }

    fn gradients(&self) -> Vec<Gradient> {
        let mut gradients: Vec<Gradient> = Vec::new();
        let mut of_blob = vec![usize::MAX; self.blobs.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for (&bottom, &wanted) in node.bottoms.iter().zip(&node.bottom_gradients) {
                let gradient = &mut gradients[of_blob[bottom]];
                // The last layer decides: it is the first to write.
                gradient.reader = index;
                gradient.is_free = wanted && node.runs_backward;
            }
            for &top in &node.tops {
                if of_blob[top] != usize::MAX {
                    // In place: as for any other top, the layer behind it writes the gradient, if there is one.
                    gradients[of_blob[top]].is_free = false;
                    continue;
                }
                let diff = self.blobs[top].diff();
                let view = node.bottoms.iter().find(|&&bottom| self.blobs[bottom].diff().is_same(diff));
                of_blob[top] = view.map_or(gradients.len(), |&bottom| of_blob[bottom]);
                if view.is_none() {
                    gradients.push(Gradient { blobs: vec![], count: 0, maker: index, reader: index, is_free: false });
                }
                let gradient = &mut gradients[of_blob[top]];
                gradient.blobs.push(top);
                gradient.count = gradient.count.max(diff.len());
                gradient.is_free = false;
            }
        }
        for (&top, _) in self
            .nodes
            .iter()
            .flat_map(|node| node.tops.iter().zip(&node.loss_weights))
            .filter(|(_, weight)| **weight != 0.0)
        {
            gradients[of_blob[top]].is_free = false;
        }
        gradients
    }
}

/// Gives every free gradient a block, from the last layer to the first.
fn blocks(gradients: &[Gradient]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut order: Vec<usize> = (0..gradients.len()).filter(|&index| gradients[index].is_free).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(gradients[index].reader));
    for index in order {
        let gradient = &gradients[index];
        let free = blocks.iter_mut().filter(|block| block.until > gradient.reader);
        // The one that must grow least; of those that are large enough the smallest.
        let nearest = free.min_by_key(|block| (gradient.count.saturating_sub(block.count), block.count));
        match nearest {
            Some(block) => {
                block.count = block.count.max(gradient.count);
                block.until = gradient.maker;
                block.gradients.push(index);
            }
            None => blocks.push(Block { count: gradient.count, until: gradient.maker, gradients: vec![index] }),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{proto::Phase, prototxt::parse_net, rng::SharedRandom};

    /// Branches, views, layers in place, a reader without gradient, a loss that is read.
    const NET: &str = r#"
        layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param {
          shape { dim: 4 dim: 3 dim: 6 dim: 6 } shape { dim: 4 } data_filler { type: "gaussian" } data_filler { value: 1 } } }
        layer { name: "conv1" type: "Convolution" bottom: "x" top: "conv1" convolution_param { num_output: 4 kernel_size: 3 pad: 1
          weight_filler { type: "gaussian" std: 0.2 } } }
        layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
        layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2" convolution_param { num_output: 4 kernel_size: 3 pad: 1
          weight_filler { type: "gaussian" std: 0.2 } } }
        layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv2" top: "sum" }
        layer { name: "pool" type: "Pooling" bottom: "sum" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
        layer { name: "norm" type: "LRN" bottom: "pool" top: "norm" }
        layer { name: "both" type: "Concat" bottom: "pool" bottom: "norm" top: "both" }
        layer { name: "flat" type: "Flatten" bottom: "both" top: "flat" }
        layer { name: "hidden" type: "InnerProduct" bottom: "flat" top: "hidden" inner_product_param { num_output: 7
          weight_filler { type: "gaussian" std: 0.2 } } }
        layer { name: "tanh" type: "TanH" bottom: "hidden" top: "hidden" }
        layer { name: "ip" type: "InnerProduct" bottom: "hidden" top: "ip" inner_product_param { num_output: 3
          weight_filler { type: "gaussian" std: 0.2 } } }
        layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "y" top: "accuracy" }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "y" top: "loss" loss_weight: 2 }
        layer { name: "twice" type: "Power" bottom: "loss" top: "twice" loss_weight: 3 power_param { scale: 2 } }
    "#;

    fn net() -> Net {
        let mut document = parse_net(NET, "net.prototxt").unwrap();
        document.message.state.get_or_insert_default().set_phase(Phase::Train);
        Net::new(&document.message, &document.file, SharedRandom::new(3)).unwrap()
    }

    #[test]
    fn gradients_of_parameters_are_the_same_bits() {
        let (mut apart, mut shared) = (net(), net());
        shared.share_gradients();
        let bytes = |net: &Net| net.memory().iter().map(|blob| blob.diff_bytes).sum::<usize>();
        assert!(bytes(&shared) * 3 < bytes(&apart) * 2, "{} of {}", bytes(&shared), bytes(&apart));
        for _ in 0..3 {
            for net in [&mut apart, &mut shared] {
                net.clear_gradients();
                net.forward().unwrap();
                net.backward().unwrap();
            }
            let bits =
                |net: &Net| net.parameters().diff().host().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert!(bits(&apart).iter().any(|&bits| bits != 0));
            assert_eq!(bits(&apart), bits(&shared));
        }
    }

    #[test]
    fn a_layer_never_has_two_gradients_in_one_place() {
        let mut net = net();
        net.share_gradients();
        for node in &net.nodes {
            let mut ends: Vec<usize> = node.bottoms.iter().chain(&node.tops).copied().collect();
            ends.sort_unstable();
            ends.dedup();
            for (position, &one) in ends.iter().enumerate() {
                for &other in &ends[position + 1..] {
                    let same = net.blobs[one].diff().is_same(net.blobs[other].diff());
                    assert!(!same || node.message.r#type() == "Flatten", "{}", node.name());
                }
            }
        }
    }
}
