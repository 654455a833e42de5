//! Blobs that share memory: in one pass forward and backward, few of them are needed at a time.
//!
//! `tenants` finds what is needed when, `blocks` gives memory to what is never needed at the same time. Gradients are needed in the
//! backward pass alone; so are data in the forward pass that no layer's backward reads
//! ([`Layer::backward_reads`](crate::layers::Layer::backward_reads)), and they lie where gradients will.

mod blocks;
mod tenants;

use self::blocks::blocks;
pub(super) use self::tenants::{Side, Views};
use super::Net;
use crate::tensor::Buffer;

impl Net {
    /// Lets blobs that are not needed at the same time share memory. Afterwards the gradient of a blob is only there while the backward
    /// pass is at its layers, and data that no layer's backward reads only from the layer that makes them to the last that reads them
    /// ([`holds_data`](Net::holds_data)). What data layers make and the net's outputs stay, as do gradients of parameters, losses and
    /// of blobs that no layer writes a gradient of.
    pub fn share_memory(&mut self) {
        self.forget_passes();
        self.shares_memory = true;
        let tenants: Vec<_> = tenants::data(self).into_iter().chain(tenants::gradients(self)).collect();
        for block in blocks(&tenants) {
            let memory = Buffer::zeros(block.count);
            for tenant in block.tenants {
                for &blob in &tenant.blobs {
                    match tenant.side {
                        Side::Data => {
                            self.blobs[blob].place_data(&memory);
                            self.passing_data[blob] = true;
                        }
                        Side::Gradient => self.blobs[blob].place_diff(&memory),
                    }
                }
            }
        }
    }

    /// Whether the data of the blob of this name are there after a pass; not where [`share_memory`](Net::share_memory) let others have
    /// their memory.
    pub fn holds_data(&self, name: &str) -> bool {
        let index = self.blob_names.iter().rposition(|known| known == name);
        index.is_some_and(|index| !self.passing_data[index])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        layers::End,
        proto::Phase,
        prototxt::parse_net,
        rng::SharedRandom,
        selftest::golden,
        tensor::{Blob, Device, Shape},
    };

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

    fn net_of(text: &str) -> Net {
        let mut document = parse_net(text, "net.prototxt").unwrap();
        document.message.state.get_or_insert_default().set_phase(Phase::Train);
        Net::new(&document.message, &document.file, SharedRandom::new(3)).unwrap()
    }

    fn net() -> Net {
        net_of(NET)
    }

    fn bits(buffer: &Buffer) -> Vec<u32> {
        buffer.host().iter().map(|value| value.to_bits()).collect()
    }

    /// Runs both forward and backward, and asserts that losses, outputs and gradients of parameters are the same bits.
    fn assert_alike(apart: &mut Net, shared: &mut Net) {
        let results = [&mut *apart, &mut *shared].map(|net| {
            net.clear_gradients();
            let loss = net.forward_backward().unwrap();
            let outputs: Vec<_> = net.outputs().map(|output| bits(output.blob.data())).collect();
            (loss.to_bits(), outputs, bits(net.parameters().diff()))
        });
        assert!(results[0].2.iter().any(|&bits| bits != 0));
        assert_eq!(results[0], results[1]);
    }

    #[test]
    fn losses_and_gradients_of_parameters_are_the_same_bits() {
        let (mut apart, mut shared) = (net(), net());
        shared.share_memory();
        let bytes = |net: &Net| net.memory().iter().map(|blob| blob.data_bytes + blob.diff_bytes).sum::<usize>();
        assert!(bytes(&shared) * 3 < bytes(&apart) * 2, "{} of {}", bytes(&shared), bytes(&apart));
        for _ in 0..3 {
            assert_alike(&mut apart, &mut shared);
        }
    }

    #[test]
    fn data_that_backward_or_others_read_stay() {
        let mut net = net();
        assert!(net.holds_data("sum"));
        net.share_memory();
        let passing: Vec<&str> = net.blob_names().filter(|name| !net.holds_data(name)).collect();
        assert_eq!(passing, ["conv2", "sum", "norm"]);
        assert!(!net.holds_data("no blob"));
    }

    #[test]
    fn a_gradient_takes_the_place_of_the_one_it_is_made_of() {
        let mut net = net();
        net.share_memory();
        let is_one = |[a, b]: [&str; 2]| {
            let [a, b] = [a, b].map(|name| net.blob(name).unwrap());
            a.diff().is_same(b.diff())
        };
        // LRN writes over its top's gradient, the sum over one of two, a Split over that of its first reader, or of its
        // last where others add to that.
        assert!(is_one(["sum", "conv1_relu1_0_split_1"]) || is_one(["sum", "conv2"]));
        assert!(is_one(["norm", "pool_pool_0_split_0"]));
        assert!(is_one(["conv1", "conv1_relu1_0_split_1"]));
        assert!(!is_one(["conv1_relu1_0_split_1", "conv2"]) && !is_one(["sum", "pool"]));
    }

    #[test]
    fn memory_grows_with_the_shapes() {
        let text = NET.split("layer { name: \"hidden\"").next().unwrap();
        let text = text.replace(
            &text[text.find("layer { name: \"data\"").unwrap()..text.find("layer { name: \"conv1\"").unwrap()],
            r#"layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
            "#,
        ) + r#"layer { name: "loss" type: "Reduction" bottom: "flat" top: "loss" loss_weight: 1
            reduction_param { operation: SUMSQ } }"#;
        let (mut apart, mut shared) = (net_of(&text), net_of(&text));
        shared.share_memory();
        for (images, side) in [(2, 6), (4, 9), (1, 5), (3, 12)] {
            for net in [&mut apart, &mut shared] {
                net.reshape_input("x", &Shape::from([images, 3, side, side])).unwrap();
                let x = net.blob("x").unwrap().data();
                x.host_mut().iter_mut().enumerate().for_each(|(place, x)| *x = (place * 7 % 11) as f32 - 5.0);
            }
            assert_alike(&mut apart, &mut shared);
        }
    }

    /// Fills all data with NaN that no layer says it reads backward; says how many blobs that are.
    fn hide_unread_data(net: &Net) -> usize {
        let ends = net.nodes.iter().flat_map(|node| {
            let bottoms = node.bottoms.iter().enumerate().map(|(position, &blob)| (blob, End::Bottom(position)));
            let tops = node.tops.iter().enumerate().map(|(position, &blob)| (blob, End::Top(position)));
            bottoms.chain(tops).filter(|(_, end)| node.layer.backward_reads(*end)).map(|(blob, _)| blob)
        });
        let read: Vec<usize> = ends.collect();
        let is_read = |blob: &Blob| read.iter().any(|&other| net.blobs[other].data().is_same(blob.data()));
        let hidden = net.blobs.iter().filter(|blob| !is_read(blob));
        hidden.map(|blob| blob.data().host_mut().fill(f32::NAN)).count()
    }

    #[test]
    fn what_layers_say_backward_does_not_read_it_does_not() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers");
        let mut hidden = 0;
        for case in golden::cases(&folder).unwrap().iter().filter(|case| case.backward) {
            let mut gradients = |hide: bool, every_layer: bool| {
                let mut net = case.net(Device::Cpu).unwrap();
                net.every_layer = every_layer;
                let inputs = case.inputs().unwrap();
                net.set_arrays(&inputs, "data:", Blob::data).unwrap();
                net.forward().unwrap();
                net.clear_gradients();
                net.set_arrays(&inputs, "diff:", Blob::diff).unwrap();
                hidden += if hide { hide_unread_data(&net) } else { 0 };
                net.backward().unwrap();
                let arrays = net.arrays().into_iter().filter(|(name, _)| name.contains("diff:"));
                let bits = |array: ndarray::ArrayD<f32>| array.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                arrays.map(|(name, array)| (name, bits(array))).collect::<Vec<_>>()
            };
            for every_layer in [false, true] {
                assert_eq!(gradients(true, every_layer), gradients(false, every_layer), "{}", case.name);
            }
        }
        assert!(hidden > 100, "{hidden}");
    }

    /// But for views, and gradients that take another's place.
    #[test]
    fn a_layer_never_has_two_blobs_in_one_place() {
        let mut net = net();
        net.share_memory();
        for node in &net.nodes {
            let mut ends: Vec<usize> = node.bottoms.iter().chain(&node.tops).copied().collect();
            ends.sort_unstable();
            ends.dedup();
            for (position, &one) in ends.iter().enumerate() {
                for &other in &ends[position + 1..] {
                    let [one, other] = [one, other].map(|index| &net.blobs[index]);
                    let kind = node.message.r#type();
                    let is_view = ["Flatten", "Split"].contains(&kind);
                    assert!(is_view || !one.data().is_same(other.data()), "{}", node.name());
                    let may_share = is_view || ["Eltwise", "LRN"].contains(&kind);
                    assert!(may_share || !one.diff().is_same(other.diff()), "{}", node.name());
                }
            }
        }
    }
}
