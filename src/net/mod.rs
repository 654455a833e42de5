//! Nets: the graph that a net file describes, and its runs forward and backward.
//!
//! `filter` picks the layers of a phase, `splits` gives every reader of a blob its own gradient, `graph` wires bottoms and
//! tops, `build` sets the layers up, `absorb` joins layers that can share a pass over memory, `branches` lets readers of a Split add up
//! their gradients, `gradients` finds what runs
//! backward, `parameters` holds what is learned, `run` computes, `replay` gives a GPU a whole pass
//! at once, `weights` carries trained values in and out, `state` what layers
//! carry from batch to batch, `device` says where. `sharing` puts blobs into the same memory, `memory` and `work` count.

mod absorb;
mod arrays;
mod branches;
mod build;
mod device;
mod filter;
mod gradients;
mod graph;
mod memory;
mod parameters;
mod replay;
mod run;
mod sharing;
mod splits;
mod state;
mod weights;
mod work;

pub(crate) use device::run_all_on;
pub(crate) use filter::filter;
pub use memory::BlobMemory;
pub use parameters::{Learnable, Parameters};
pub use work::{Cost, LayerCost};

use crate::{
    data::feed::Feed,
    error::{Error, Place, Result},
    layers::{Context, Layer},
    proto::{LayerParameter, Phase},
    tensor::Blob,
};

/// A net, set up and ready to run.
pub struct Net {
    name: String,
    nodes: Vec<Node>,
    blobs: Vec<Blob>,
    blob_names: Vec<String>,
    outputs: Vec<usize>,
    parameters: Parameters,
    context: Context,
    /// Log the mean magnitude of every blob and parameter as it is computed.
    pub debug_info: bool,
    /// Run every layer by itself. Otherwise a layer may do the work of those behind it that work in place, and leave the gradient
    /// of its top as it was before that work.
    pub every_layer: bool,
    /// Layers do the work that they absorbed in this pass; not while every layer's values are to be seen.
    absorbing: bool,
    /// For each learnable parameter, whether its gradient is old: the next one takes its place.
    old_gradients: Vec<bool>,
    /// A shape changed since the layers were last reshaped.
    stale: bool,
    /// Splits whose readers can add up their gradients.
    branches: branches::Branches,
    /// Blobs that are one memory by the work of a layer.
    views: sharing::Views,
    /// Blobs that are not needed at the same time share memory.
    shares_memory: bool,
    /// For each blob, whether its data are only there while the forward pass needs them.
    passing_data: Vec<bool>,
    /// Passes recorded for a GPU.
    replays: replay::Replays,
}

/// A layer in its place in the net.
struct Node {
    message: LayerParameter,
    place: Place,
    layer: Box<dyn Layer>,
    bottoms: Vec<usize>,
    tops: Vec<usize>,
    parameters: Vec<Blob>,
    loss_weights: Vec<f32>,
    runs_backward: bool,
    bottom_gradients: Vec<bool>,
    parameter_gradients: Vec<bool>,
    /// How many layers behind this one have their work done by it.
    absorbed: usize,
    /// Whether a layer in front does this layer's work.
    is_absorbed: bool,
}

impl Node {
    fn name(&self) -> &str {
        self.message.name()
    }
}

/// A named result of a net's forward pass.
pub struct Output<'a> {
    /// The blob's name.
    pub name: &'a str,
    /// Its values.
    pub blob: &'a Blob,
    /// Its weight in the loss; 0 when it is no loss.
    pub loss_weight: f32,
}

impl Net {
    /// The name that the net file gives.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// TRAIN or TEST.
    pub fn phase(&self) -> Phase {
        self.context.phase
    }

    /// The blob of this name. In a net that a solver trains, its gradient, and perhaps its data ([`holds_data`](Net::holds_data)), are
    /// there only while a pass needs them.
    pub fn blob(&self, name: &str) -> Option<&Blob> {
        self.blob_names.iter().rposition(|known| known == name).map(|index| &self.blobs[index])
    }

    /// The names of all blobs, in the order in which they are made.
    pub fn blob_names(&self) -> impl Iterator<Item = &str> {
        self.blob_names.iter().map(String::as_str)
    }

    /// The names of the layers, Splits included, in the order in which they run.
    pub fn layer_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(Node::name)
    }

    /// The type of the layer at this position.
    pub fn layer_type(&self, layer: usize) -> &str {
        self.nodes[layer].message.r#type()
    }

    /// The parameters of the layer at this position, shared ones included.
    pub fn layer_parameters(&self, layer: usize) -> &[Blob] {
        &self.nodes[layer].parameters
    }

    /// What the net file says of the layer at this position.
    pub(crate) fn layer_message(&self, layer: usize) -> &LayerParameter {
        &self.nodes[layer].message
    }

    /// The names of the blobs that the layer at this position reads.
    pub fn layer_bottoms(&self, layer: usize) -> impl Iterator<Item = &str> {
        self.nodes[layer].bottoms.iter().map(|&blob| self.blob_names[blob].as_str())
    }

    /// The names of the blobs that the layer at this position makes.
    pub fn layer_tops(&self, layer: usize) -> impl Iterator<Item = &str> {
        self.nodes[layer].tops.iter().map(|&blob| self.blob_names[blob].as_str())
    }

    /// The way into a MemoryData layer, by its name ([`Feed`] has an example).
    ///
    /// # Errors
    /// When the net has no MemoryData layer of that name; the message lists those it has.
    pub fn feed(&self, layer: &str) -> Result<Feed> {
        let found = self.nodes.iter().find(|node| node.name() == layer).and_then(|node| node.layer.feed());
        found.ok_or_else(|| {
            let fed = self.nodes.iter().filter(|node| node.layer.feed().is_some());
            let names = fed.map(|node| format!("{:?}", node.name())).collect::<Vec<_>>();
            let there = if names.is_empty() { "it has none".into() } else { format!("it has {}", names.join(", ")) };
            Error::config("name", format!("the net has no MemoryData layer {layer:?}; {there}"))
        })
    }

    /// What the net learns.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The blobs that no layer reads, in the order of their names.
    pub fn outputs(&self) -> impl Iterator<Item = Output<'_>> {
        self.outputs.iter().map(|&index| Output {
            name: &self.blob_names[index],
            blob: &self.blobs[index],
            loss_weight: self.loss_weight_of(index),
        })
    }

    fn loss_weight_of(&self, blob: usize) -> f32 {
        // The last layer that makes the blob decides, as in Caffe (an in-place layer may have a weight of its own).
        let makers = self.nodes.iter().rev().flat_map(|node| node.tops.iter().zip(&node.loss_weights));
        makers.into_iter().find(|&(&top, _)| top == blob).map_or(0.0, |(_, &weight)| weight)
    }
}

/// Where a layer stands, for messages.
pub(crate) fn place_of(layer: &LayerParameter, file: &str) -> Place {
    Place {
        file: (!file.is_empty()).then(|| file.to_string()),
        line: layer.source_line.map(|line| line as usize),
        layer: Some(format!("{:?} ({})", layer.name(), layer.r#type())),
    }
}
