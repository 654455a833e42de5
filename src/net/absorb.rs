//! Layers that do the work of those behind them: a Scale or a ReLU in place takes a pass over memory of its own only where the
//! layer in front cannot do it along with its own.

use super::Node;

/// Lets every layer absorb those behind it that it can.
pub(super) fn absorb(nodes: &mut [Node]) {
    for index in 0..nodes.len() {
        let (front, behind) = nodes.split_at_mut(index + 1);
        let node = &mut front[index];
        if node.is_absorbed {
            continue;
        }
        for follower in behind {
            let takes =
                follows(node, follower) && follower.layer.as_follower().is_some_and(|work| node.layer.absorb(work));
            if !takes {
                break;
            }
            follower.is_absorbed = true;
            node.absorbed += 1;
        }
    }
}

/// Whether the second layer does nothing but change what the first one made, and runs backward if and only if that does.
fn follows(node: &Node, follower: &Node) -> bool {
    let is_in_place = node.tops.len() == 1 && follower.bottoms == node.tops && follower.tops == node.tops;
    let is_loss = node.loss_weights.iter().chain(&follower.loss_weights).any(|&weight| weight != 0.0);
    let runs_alike = follower.runs_backward == node.runs_backward && follower.bottom_gradients == [node.runs_backward];
    is_in_place && !is_loss && runs_alike
}

#[cfg(test)]
mod tests {
    use crate::{net::Net, prototxt::parse_net, rng::SharedRandom};

    /// A residual block, as ResNets have it.
    const BLOCK: &str = r#"
        layer { name: "data" type: "DummyData" top: "data" dummy_data_param {
            shape { dim: 3 dim: 2 dim: 5 dim: 7 } data_filler { type: "gaussian" } } }
        layer { name: "conv1" type: "Convolution" bottom: "data" top: "x" convolution_param {
            num_output: 6 kernel_size: 1 weight_filler { type: "gaussian" } } }
        layer { name: "bn1" type: "BatchNorm" bottom: "x" top: "y" }
        layer { name: "scale1" type: "Scale" bottom: "y" top: "y" scale_param {
            bias_term: true filler { type: "gaussian" mean: 1 } bias_filler { type: "gaussian" } } }
        layer { name: "relu1" type: "ReLU" bottom: "y" top: "y" }
        layer { name: "conv2" type: "Convolution" bottom: "y" top: "z" convolution_param {
            num_output: 6 kernel_size: 1 weight_filler { type: "gaussian" } } }
        layer { name: "bn2" type: "BatchNorm" bottom: "z" top: "z" batch_norm_param { STATISTICS } }
        layer { name: "scale2" type: "Scale" bottom: "z" top: "z" scale_param { filler { type: "gaussian" } } }
        layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "z" top: "sum" eltwise_param { coeff: 1 coeff: -0.5 } }
        layer { name: "relu" type: "ReLU" bottom: "sum" top: "sum" }
        layer { name: "loss" type: "Reduction" bottom: "sum" top: "loss" loss_weight: 1
            reduction_param { operation: SUMSQ } }
    "#;

    /// Runs the block either way.
    fn run(text: &str, every_layer: bool) -> Net {
        let message = parse_net(text, "block").unwrap().message;
        let mut net = Net::new(&message, "", SharedRandom::new(5)).unwrap();
        net.every_layer = every_layer;
        for _ in 0..2 {
            net.clear_gradients();
            net.forward().unwrap();
            net.backward().unwrap();
        }
        net
    }

    #[test]
    fn what_is_absorbed_gives_the_same_values_and_gradients() {
        for statistics in ["", "use_global_stats: true"] {
            let text = BLOCK.replace("STATISTICS", statistics);
            let (net, apart) = (run(&text, false), run(&text, true));
            assert_eq!(net.nodes.iter().filter(|node| node.is_absorbed).count(), 4);
            for name in ["y", "z", "sum", "loss"] {
                let [mine, theirs] = [&net, &apart].map(|net| net.blob(name).unwrap().data().host().to_vec());
                assert_eq!(mine, theirs, "{name}");
            }
            let [mine, theirs] = [&net, &apart].map(|net| net.parameters().diff().host().to_vec());
            let largest = theirs.iter().fold(0.0_f32, |largest, diff| largest.max(diff.abs()));
            for (mine, theirs) in mine.iter().zip(&theirs) {
                assert!((mine - theirs).abs() <= 1e-5 * largest, "{mine} is not {theirs}");
            }
        }
    }

    #[test]
    fn layers_that_others_look_behind_are_not_absorbed() {
        let absorbed = |text: &str| run(text, false).nodes.iter().filter(|node| node.is_absorbed).count();
        let text = BLOCK.replace("STATISTICS", "");
        let apart = text.replace(r#"bottom: "y" top: "y" }"#, r#"bottom: "y" top: "w" }"#);
        assert_eq!(absorbed(&apart), 3, "a ReLU with a top of its own");
        let stopped =
            text.replace(r#"bottom: "z" top: "z" scale"#, r#"bottom: "z" top: "z" propagate_down: false scale"#);
        assert_eq!(absorbed(&stopped), 3, "a Scale that passes no gradient on");
    }
}
