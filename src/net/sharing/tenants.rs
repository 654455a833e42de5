//! What needs memory in a net, and when.
//!
//! A pass is a row of steps: with n layers, layer i runs forward in step i and backward in step 2n − 1 − i.

use super::super::{Net, Node};
use crate::{
    layers::End,
    tensor::{Blob, Buffer},
};

/// Which of a blob's two buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Side {
    /// The values.
    Data,
    /// Their gradient.
    Gradient,
}

impl Side {
    /// The buffer of a blob.
    pub(in crate::net) fn of(self, blob: &Blob) -> &Buffer {
        match self {
            Side::Data => blob.data(),
            Side::Gradient => blob.diff(),
        }
    }
}

/// For each blob, the first one whose data, or gradient, are the same memory by the work of a layer (Split, Flatten, Reshape).
#[derive(Debug, Clone)]
pub(in crate::net) struct Views {
    data: Vec<usize>,
    gradients: Vec<usize>,
}

impl Views {
    /// Those of a net whose blobs share nothing else yet.
    pub(in crate::net) fn of(nodes: &[Node], blobs: &[Blob]) -> Self {
        let firsts = |side: Side| {
            let mut firsts: Vec<usize> = (0..blobs.len()).collect();
            for node in nodes {
                for &top in node.tops.iter().filter(|top| !node.bottoms.contains(top)) {
                    let is_same = |bottom: &&usize| side.of(&blobs[**bottom]).is_same(side.of(&blobs[top]));
                    if let Some(&bottom) = node.bottoms.iter().find(is_same) {
                        firsts[top] = firsts[bottom];
                    }
                }
            }
            firsts
        };
        Views { data: firsts(Side::Data), gradients: firsts(Side::Gradient) }
    }

    /// Whether these of two blobs are the same memory.
    pub(in crate::net) fn are_one(&self, side: Side, blobs: [usize; 2]) -> bool {
        let [first, second] = blobs.map(|blob| self.first(side, blob));
        first == second
    }

    fn first(&self, side: Side, blob: usize) -> usize {
        match side {
            Side::Data => self.data[blob],
            Side::Gradient => self.gradients[blob],
        }
    }
}

/// Values that need memory for a part of a pass: data or gradient of one blob, or of several that are one memory (Split, Flatten,
/// Reshape).
#[derive(Debug)]
pub(super) struct Tenant {
    pub side: Side,
    pub blobs: Vec<usize>,
    /// Values of the largest blob.
    pub count: usize,
    /// The first step that needs the memory: it writes all of it.
    pub from: usize,
    /// The last step that needs it.
    pub until: usize,
    /// Whether no one needs the values in another step.
    pub is_free: bool,
}

impl Tenant {
    /// Whether both need memory in one step.
    pub(super) fn meets(&self, other: &Tenant) -> bool {
        self.from <= other.until && other.from <= self.until
    }
}

/// The tenants of one side, and which of them each blob belongs to.
struct Tenants {
    side: Side,
    all: Vec<Tenant>,
    of_blob: Vec<usize>,
}

impl Tenants {
    fn new(net: &Net, side: Side) -> Self {
        Tenants { side, all: Vec::new(), of_blob: vec![usize::MAX; net.blobs.len()] }
    }

    fn of(&mut self, blob: usize) -> &mut Tenant {
        &mut self.all[self.of_blob[blob]]
    }

    fn is_known(&self, blob: usize) -> bool {
        self.of_blob[blob] != usize::MAX
    }

    /// Takes in a blob that a layer makes at this step: memory of its own, or a view.
    fn add(&mut self, net: &Net, top: usize, step: usize) {
        let side = self.side;
        let first = net.views.first(side, top);
        if first == top {
            self.of_blob[top] = self.all.len();
            self.all.push(Tenant { side, blobs: Vec::new(), count: 0, from: step, until: step, is_free: true });
        } else {
            self.of_blob[top] = self.of_blob[first];
        }
        let tenant = self.of(top);
        tenant.blobs.push(top);
        tenant.count = tenant.count.max(net.blobs[top].count());
    }

    /// Lets a bottom's gradient take the place of a top's, in the step that needs that for the last time and writes the bottom's.
    fn join(&mut self, bottom: usize, top: usize, step: usize) {
        let (from, to) = (self.of_blob[bottom], self.of_blob[top]);
        let (first, second) = (&self.all[to], &self.all[from]);
        if from == to || !(first.is_free && second.is_free && first.until == step && second.from == step) {
            return;
        }
        let Tenant { blobs, count, until, .. } = &mut self.all[from];
        let (blobs, count, until) = (std::mem::take(blobs), *count, *until);
        self.all[from].is_free = false;
        for &blob in &blobs {
            self.of_blob[blob] = to;
        }
        let joined = &mut self.all[to];
        joined.blobs.extend(blobs);
        (joined.count, joined.until) = (joined.count.max(count), until);
    }

    /// Losses are read after the pass, with the weights in their gradients.
    fn keep_losses(&mut self, net: &Net) {
        for node in &net.nodes {
            for (&top, _) in node.tops.iter().zip(&node.loss_weights).filter(|(_, weight)| **weight != 0.0) {
                self.of(top).is_free = false;
            }
        }
    }
}

/// The data of all blobs: free when no layer reads them backward and they are no results of the net. They are needed from the layer that
/// makes them to the last that reads them.
pub(super) fn data(net: &Net) -> Vec<Tenant> {
    let mut tenants = Tenants::new(net, Side::Data);
    for (step, node) in net.nodes.iter().enumerate() {
        for (position, &bottom) in node.bottoms.iter().enumerate() {
            let tenant = tenants.of(bottom);
            tenant.until = step;
            tenant.is_free &= !node.layer.backward_reads(End::Bottom(position));
        }
        for (position, &top) in node.tops.iter().enumerate() {
            if !tenants.is_known(top) {
                tenants.add(net, top, step);
            }
            let tenant = tenants.of(top);
            tenant.until = step;
            // Who has no bottoms may have written in another way than by a forward pass.
            tenant.is_free &= !node.bottoms.is_empty() && !node.layer.backward_reads(End::Top(position));
        }
    }
    tenants.keep_losses(net);
    for &output in &net.outputs {
        tenants.of(output).is_free = false;
    }
    tenants.all
}

/// The gradients of all blobs: free when every backward pass writes them. They are needed from the layer that writes them, the last that
/// reads the blob, down to the layer that makes the blob.
pub(super) fn gradients(net: &Net) -> Vec<Tenant> {
    let mut tenants = Tenants::new(net, Side::Gradient);
    let backward = |index: usize| 2 * net.nodes.len() - 1 - index;
    for (index, node) in net.nodes.iter().enumerate() {
        for (&bottom, &wanted) in node.bottoms.iter().zip(&node.bottom_gradients) {
            let tenant = tenants.of(bottom);
            // The last layer decides: it is the first to write.
            tenant.from = backward(index);
            tenant.is_free = wanted && node.runs_backward;
        }
        for &top in &node.tops {
            if !tenants.is_known(top) {
                tenants.add(net, top, backward(index));
            }
            // Also in place: the layer behind writes the gradient, if there is one.
            tenants.of(top).is_free = false;
        }
    }
    tenants.keep_losses(net);
    for (index, node) in net.nodes.iter().enumerate() {
        for (position, &bottom) in node.bottoms.iter().enumerate() {
            let top = node.layer.gradient_in_place(position, net.device()).map(|top| node.tops[top]);
            for top in net.place_of_sum(index).into_iter().chain(top) {
                tenants.join(bottom, top, backward(index));
            }
        }
    }
    tenants.all
}
