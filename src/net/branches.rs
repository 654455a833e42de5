//! Splits without a pass of their own: the last reader, the first to run backward, writes its gradient where that of the Split's bottom
//! belongs, and the other readers add theirs.
//!
//! That is so in a pass where each layer need not be seen by itself, where the memory of both is one
//! ([`share_memory`](Net::share_memory)), and where the other readers are layers that can add.

use super::{Net, Node};

/// The Splits of a net of which that may be so.
#[derive(Debug)]
pub(super) struct Branches(Vec<Branch>);

/// A Split whose tops are each read by one layer.
#[derive(Debug)]
struct Branch {
    split: usize,
    /// The Split's bottom.
    sum: usize,
    /// The top of the last reader.
    last_top: usize,
    /// All readers but the last.
    adders: Vec<usize>,
}

impl Branches {
    pub(super) fn of(nodes: &[Node]) -> Self {
        Branches((0..nodes.len()).filter_map(|index| Branch::of(nodes, index)).collect())
    }
}

impl Branch {
    fn of(nodes: &[Node], split: usize) -> Option<Self> {
        let node = &nodes[split];
        if node.message.r#type() != "Split" || !node.runs_backward || node.bottom_gradients != [true] {
            return None;
        }
        let reader = |&top: &usize| Some((only_reader(nodes, split, top)?, top));
        let mut readers = node.tops.iter().map(reader).collect::<Option<Vec<_>>>()?;
        readers.sort_unstable();
        let (_, last_top) = readers.pop()?;
        let adders: Vec<usize> = readers.into_iter().map(|(reader, _)| reader).collect();
        let are_simple = adders.iter().all(|&reader| nodes[reader].bottoms.len() == 1);
        are_simple.then(|| Branch { split, sum: node.bottoms[0], last_top, adders })
    }
}

/// The only layer that reads this top of a Split, not in place, if it writes its gradient.
fn only_reader(nodes: &[Node], split: usize, top: usize) -> Option<usize> {
    let behind = nodes.iter().enumerate().skip(split + 1);
    let mut users = behind.filter(|(_, node)| node.bottoms.contains(&top) || node.tops.contains(&top));
    let (reader, node) = users.next()?;
    let wanted = node.bottoms.iter().zip(&node.bottom_gradients).filter(|(bottom, _)| **bottom == top);
    let is_only = users.next().is_none() && !node.tops.contains(&top);
    (is_only && node.runs_backward && wanted.map(|(_, wanted)| *wanted).eq([true])).then_some(reader)
}

impl Net {
    /// Whether the layer at this position is a Split whose readers add up their gradients in this pass.
    pub(super) fn is_added_up(&self, index: usize) -> bool {
        self.branches.0.iter().any(|branch| branch.split == index && self.is_used(branch))
    }

    /// The blob to whose gradient the layer at this position adds its own in this pass.
    pub(super) fn sum_of_branches(&self, index: usize) -> Option<usize> {
        let branch = self.branches.0.iter().find(|branch| branch.adders.contains(&index))?;
        self.is_used(branch).then_some(branch.sum)
    }

    /// The top of a Split whose gradient should lie where that of its bottom will, so that readers can add to it.
    pub(super) fn place_of_sum(&self, split: usize) -> Option<usize> {
        let branch = self.branches.0.iter().find(|branch| branch.split == split)?;
        self.can_add_up(branch).then_some(branch.last_top)
    }

    fn can_add_up(&self, branch: &Branch) -> bool {
        branch.adders.iter().all(|&reader| self.nodes[reader].layer.adds_gradient(self.device()))
    }

    fn is_used(&self, branch: &Branch) -> bool {
        let [last, sum] = [branch.last_top, branch.sum].map(|blob| self.blobs[blob].diff());
        self.absorbing && last.is_same(sum) && self.can_add_up(branch)
    }
}

#[cfg(test)]
mod tests {
    use crate::{net::Net, prototxt::parse_net, rng::SharedRandom};

    /// A blob with three readers: two convolutions, by Winograd's way and at a stride, and a sum.
    const NET: &str = r#"
        layer { name: "data" type: "DummyData" top: "data" dummy_data_param {
            shape { dim: 3 dim: 2 dim: 12 dim: 9 } data_filler { type: "gaussian" } } }
        layer { name: "x" type: "Convolution" bottom: "data" top: "x" convolution_param {
            num_output: 24 kernel_size: 1 weight_filler { type: "gaussian" } } }
        layer { name: "a" type: "Convolution" bottom: "x" top: "a" convolution_param {
            num_output: 24 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" } } }
        layer { name: "b" type: "Convolution" bottom: "x" top: "b" convolution_param {
            num_output: 24 kernel_size: 1 stride: 2 weight_filler { type: "gaussian" } } }
        layer { name: "sum" type: "Eltwise" bottom: "x" bottom: "a" top: "sum" }
        layer { name: "loss_of_sum" type: "Reduction" bottom: "sum" top: "loss_of_sum" loss_weight: 1
            reduction_param { operation: SUMSQ } }
        layer { name: "loss_of_b" type: "Reduction" bottom: "b" top: "loss_of_b" loss_weight: 2
            reduction_param { operation: SUMSQ } }
    "#;

    /// A net after two passes, and whether its Split had a pass of its own.
    fn run(text: &str, prepare: fn(&mut Net)) -> (Net, bool) {
        let message = parse_net(text, "net").unwrap().message;
        let mut net = Net::new(&message, "", SharedRandom::new(5)).unwrap();
        prepare(&mut net);
        for _ in 0..2 {
            net.clear_gradients();
            net.forward().unwrap();
            net.backward().unwrap();
        }
        let split = net.nodes.iter().position(|node| node.message.r#type() == "Split").unwrap();
        let has_pass = !net.is_added_up(split);
        (net, has_pass)
    }

    fn apart(net: &mut Net) {
        net.every_layer = true;
    }

    fn seen_in_one_memory(net: &mut Net) {
        net.share_memory();
        net.debug_info = true;
    }

    #[test]
    fn readers_that_add_up_their_gradients_give_what_the_split_does() {
        let (net, has_pass) = run(NET, apart);
        assert!(has_pass);
        let expected = net.parameters().diff().host().to_vec();
        let largest = expected.iter().fold(0.0_f32, |largest, diff| largest.max(diff.abs()));
        for (prepare, expects_pass) in [(Net::share_memory as fn(&mut Net), false), (seen_in_one_memory, true)] {
            let (net, has_pass) = run(NET, prepare);
            assert_eq!(has_pass, expects_pass);
            for (got, want) in net.parameters().diff().host().iter().zip(&expected) {
                assert!((got - want).abs() <= 1e-5 * largest, "{got} for {want}");
            }
        }
    }

    #[test]
    fn a_split_with_readers_that_cannot_add_has_a_pass() {
        let has_pass = |text: &str| run(text, Net::share_memory).1;
        assert!(!has_pass(NET));
        let pooled = NET.replace(
            r#"type: "Convolution" bottom: "x" top: "b" convolution_param {
            num_output: 24 kernel_size: 1 stride: 2 weight_filler { type: "gaussian" } }"#,
            r#"type: "Pooling" bottom: "x" top: "b" pooling_param { kernel_size: 2 stride: 2 }"#,
        );
        assert!(pooled != NET && has_pass(&pooled), "a pooling in front of the last reader");
        let twice =
            NET.replace(r#"bottom: "x" bottom: "a" top: "sum""#, r#"bottom: "x" bottom: "x" bottom: "a" top: "sum""#);
        assert!(twice != NET && has_pass(&twice), "a reader of two tops");
    }
}
