//! What the layers of a net must at least compute and move.

use super::{
    Net,
    sharing::{Side, Views},
};
use crate::{error::Result, layers::Io, tensor::Blob};

/// What one pass of a layer costs at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations of matrix products and convolutions, a product and a sum counted as two.
    pub operations: u64,
    /// Bytes read and written: every value that goes in or out, once.
    pub bytes: u64,
}

/// What a layer costs at least in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerCost {
    /// The forward pass.
    pub forward: Cost,
    /// The backward pass; nothing for a layer that does not run backward.
    pub backward: Cost,
}

impl Net {
    /// What the layer at this position costs at least, with the shapes of now; nothing where another does its work.
    ///
    /// # Errors
    /// None: counting cannot fail.
    pub fn layer_cost(&mut self, layer: usize) -> Result<LayerCost> {
        let mut cost = LayerCost::default();
        if self.is_done(layer) {
            return Ok(cost);
        }
        let (runs_backward, views) = (self.nodes[layer].runs_backward, self.views.clone());
        self.run(layer, |layer, io| {
            let work = layer.work(io);
            cost.forward = Cost { operations: work.forward, bytes: bytes(forward_values(io, &views)) };
            if runs_backward {
                cost.backward = Cost { operations: work.backward, bytes: bytes(backward_values(io, &views)) };
            }
            Ok(())
        })?;
        Ok(cost)
    }
}

fn bytes(values: usize) -> u64 {
    (values * size_of::<f32>()) as u64
}

/// Bottoms and parameters are read, tops written.
fn forward_values(io: &Io<'_>, views: &Views) -> usize {
    let parameters: usize = io.parameters.iter().map(Blob::count).sum();
    let moved = |blobs, others| moved(io, [blobs, others], Side::Data, views);
    moved(io.bottoms, io.tops) + moved(io.tops, io.bottoms) + parameters
}

/// The tops' gradients are read, those of the bottoms written. Where parameters learn, bottoms are read and gradients added to;
/// where gradients go on to bottoms, parameters are read.
fn backward_values(io: &Io<'_>, views: &Views) -> usize {
    let wanted: Vec<usize> =
        io.bottoms.iter().zip(io.bottom_gradients).filter(|(_, wanted)| **wanted).map(|(&bottom, _)| bottom).collect();
    let learning = io.parameters.iter().zip(io.parameter_gradients).filter(|(_, wanted)| **wanted);
    let learned: usize = learning.map(|(blob, _)| 2 * blob.count()).sum();
    let bottoms = if learned == 0 { 0 } else { moved(io, [io.bottoms, &[]], Side::Data, views) };
    let parameters = if wanted.is_empty() { 0 } else { io.parameters.iter().map(Blob::count).sum() };
    moved(io, [io.tops, io.bottoms], Side::Gradient, views)
        + moved(io, [&wanted, io.tops], Side::Gradient, views)
        + learned
        + bottoms
        + parameters
}

/// The values of the first blobs, without those that are views of one of the others, on the layer's other side: nothing moves there.
fn moved(io: &Io<'_>, [blobs, others]: [&[usize]; 2], side: Side, views: &Views) -> usize {
    let is_view = |blob: usize| others.iter().any(|&other| other != blob && views.are_one(side, [other, blob]));
    blobs.iter().filter(|&&blob| !is_view(blob)).map(|&blob| side.of(&io.blobs[blob]).len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prototxt::parse_net, rng::SharedRandom};

    fn costs(text: &str) -> Vec<(u64, u64, u64, u64)> {
        let document = parse_net(text, "net.prototxt").unwrap();
        let mut net = Net::new(&document.message, &document.file, SharedRandom::new(1)).unwrap();
        let layers = net.layer_names().count();
        let costs: Vec<LayerCost> = (0..layers).map(|layer| net.layer_cost(layer).unwrap()).collect();
        let numbers = |cost: &LayerCost| {
            let (forward, backward) = (cost.forward, cost.backward);
            (forward.operations, backward.operations, forward.bytes / 4, backward.bytes / 4)
        };
        costs.iter().map(numbers).collect()
    }

    /// Data 2×3×4×4, six filters of 3×3 without padding: tops of 2×6×2×2.
    #[test]
    fn a_layer_above_data_computes_one_gradient_less() {
        let costs = costs(
            r#"
            layer { name: "data" type: "DummyData" top: "x" top: "y"
              dummy_data_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } shape { dim: 2 } } }
            layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
              convolution_param { num_output: 6 kernel_size: 3 } }
            layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
            layer { name: "flat" type: "Flatten" bottom: "conv" top: "flat" }
            layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip" inner_product_param { num_output: 5 } }
            layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "y" top: "loss" }
            "#,
        );
        let convolution = 2 * (2 * 6 * 4) * (3 * 9);
        assert_eq!(costs[1], (convolution, convolution, 96 + 48 + 168, 48 + 96 + 2 * 168));
        assert_eq!(costs[2], (0, 0, 96, 96));
        assert_eq!(costs[3], (0, 0, 0, 0));
        let product = 2 * 2 * 5 * 24;
        assert_eq!(costs[4], (product, 2 * product, 48 + 125 + 10, 10 + 48 + 48 + 2 * 125 + 125));
        assert_eq!(costs[0], (0, 0, 98, 0));
    }
}
