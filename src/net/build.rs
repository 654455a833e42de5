//! From a net's message to layers that are set up.

use log::info;

use super::{
    Net, Node, absorb::absorb, branches::Branches, filter::filter, gradients, gradients::LayerFacts, graph::Graph,
    parameters::Parameters, place_of, replay::Replays, sharing::Views, splits::insert_splits,
};
use crate::{
    error::{Error, Result},
    layers::{Context, Io, Setup, layer_type},
    proto::{LayerParameter, NetParameter, ParamSpec, Phase},
    prototxt::{number::stream, print_net},
    rng::SharedRandom,
    tensor::{Blob, Buffer, Device, Room, Shape},
};

impl Net {
    /// Builds a net from its (upgraded) message; `file` names it in messages. The phase is that of `net.state`, TEST when it
    /// says none. Initial weights are drawn from `random`, layer by layer, as Caffe draws them.
    ///
    /// # Errors
    /// When a layer is unknown, wrongly wired, or its options or shapes cannot be right; the message names file, line and layer.
    pub fn new(net: &NetParameter, file: &str, random: SharedRandom) -> Result<Self> {
        Net::within(Room::of_this_machine(), net, file, random)
    }

    /// Builds a net that takes no more memory than this.
    ///
    /// # Errors
    /// As [`new`](Net::new).
    pub fn within(room: Room, net: &NetParameter, file: &str, random: SharedRandom) -> Result<Self> {
        let filtered = filter(net, file)?;
        let mut message = insert_splits(&filtered, file)?;
        let phase = message.state.as_ref().map_or(Phase::Test, |state| state.phase());
        for layer in &mut message.layer {
            layer.phase.get_or_insert(phase as i32);
        }
        info!("Initializing net from parameters: \n{}", print_net(&filtered));
        let graph = Graph::new(&message.layer, file)?;
        let context = Context { device: Device::default(), phase, random, room, base: base_of(file) };
        let mut builder = Builder {
            context,
            file,
            // Each of its own: clones of one blob would share its memory.
            blobs: graph.blobs.iter().map(|_| Blob::default()).collect(),
            parameters: Parameters::default(),
            bytes: 0,
            held: 0,
            nodes: Vec::new(),
        };
        for (layer, wires) in message.layer.iter().zip(&graph.layers) {
            builder.add(layer, wires.bottoms.clone(), wires.tops.clone(), &graph.blobs)?;
        }
        Ok(builder.finish(&message, graph))
    }
}

/// The folder of the file that describes the net: relative paths in it may mean this folder.
fn base_of(file: &str) -> Option<std::path::PathBuf> {
    std::path::Path::new(file).parent().map(|folder| folder.to_path_buf())
}

struct Builder<'a> {
    context: Context,
    file: &'a str,
    blobs: Vec<Blob>,
    parameters: Parameters,
    /// Bytes of all tops so far, as Caffe counts them.
    bytes: usize,
    /// Bytes of all blobs and parameters so far.
    held: usize,
    nodes: Vec<Node>,
}

impl Builder<'_> {
    fn add(&mut self, message: &LayerParameter, bottoms: Vec<usize>, tops: Vec<usize>, names: &[String]) -> Result<()> {
        let place = place_of(message, self.file);
        self.add_at(message, bottoms, tops, names).map_err(|error| error.at(&place))
    }

    fn add_at(
        &mut self,
        message: &LayerParameter,
        bottoms: Vec<usize>,
        tops: Vec<usize>,
        names: &[String],
    ) -> Result<()> {
        let name = message.name();
        info!("Creating layer {name}");
        info!("Creating Layer {name}");
        log_wires(message, &bottoms, &tops, names);
        let mut layer = (layer_type(message.r#type())?.new)(message)?;
        let shapes = bottoms.iter().map(|&bottom| self.blobs[bottom].shape().clone()).collect();
        let mut setup = Setup::new(message, &self.context, shapes, tops.len());
        layer.setup(&mut setup)?;
        let (parameters, specs) = setup.finish();
        let loss_weights = loss_weights(message, &tops, |top| layer.default_loss_weight(top))?;
        let mut node = Node {
            place: place_of(message, self.file),
            message: message.clone(),
            layer,
            bottom_gradients: vec![false; bottoms.len()],
            parameter_gradients: learning(&parameters, &message.param),
            bottoms,
            tops,
            parameters,
            loss_weights,
            runs_backward: false,
            absorbed: 0,
            is_absorbed: false,
        };
        let mut io = node_io(&node.bottoms, &node.tops, &node.parameters, &mut self.blobs, &self.context);
        node.layer.reshape(&mut io)?;
        self.hold(&node)?;
        info!("Setting up {name}");
        self.log_shapes(&node);
        self.parameters.add_layer(name, node.parameters.clone(), &specs)?;
        node.fill_loss_diffs(&self.blobs);
        self.nodes.push(node);
        Ok(())
    }

    /// Counts the memory of a layer's parameters and tops, those that share a bottom's memory left out.
    fn hold(&mut self, node: &Node) -> Result<()> {
        let bottoms = || node.bottoms.iter().map(|&bottom| &self.blobs[bottom]);
        let own = |mine: &Buffer, of: fn(&Blob) -> &Buffer| {
            if bottoms().any(|bottom| of(bottom).is_same(mine)) { 0 } else { mine.len() }
        };
        let tops = node.tops.iter().map(|&top| &self.blobs[top]);
        let values: usize = tops.map(|top| own(top.data(), Blob::data) + own(top.diff(), Blob::diff)).sum();
        let parameters: usize = node.parameters.iter().map(|blob| 2 * blob.count()).sum();
        self.held += (values + parameters) * size_of::<f32>();
        let why =
            |why| Error::shape(format!("the net up to this layer is too large: {why}; a smaller batch takes less"));
        self.context.room.check_bytes(self.held).map_err(why)
    }

    fn log_shapes(&mut self, node: &Node) {
        for (&top, &weight) in node.tops.iter().zip(&node.loss_weights) {
            let shape = self.blobs[top].shape();
            info!("Top shape: {}({})", spaced(shape), shape.count());
            if weight != 0.0 {
                info!("    with loss weight {}", stream(weight));
            }
            self.bytes += shape.count() * size_of::<f32>();
        }
        info!("Memory required for data: {}", self.bytes);
    }

    fn finish(self, message: &NetParameter, graph: Graph) -> Net {
        let Builder { mut nodes, mut parameters, blobs, context, .. } = self;
        let facts: Vec<_> = nodes
            .iter()
            .zip(&graph.layers)
            .map(|(node, wires)| LayerFacts {
                wires,
                learns: node.parameter_gradients.contains(&true),
                losses: node.loss_weights.iter().map(|&weight| weight != 0.0).collect(),
                propagate_down: &node.message.propagate_down,
            })
            .collect();
        let flow = gradients::flow(&facts, blobs.len());
        parameters.pack();
        for (index, node) in nodes.iter_mut().enumerate() {
            let shapes: Vec<Shape> = node.parameters.iter().map(|blob| blob.shape().clone()).collect();
            node.parameters = parameters.of_layer(index, &shapes);
            node.runs_backward = flow.layers[index];
            node.bottom_gradients.clone_from(&flow.bottoms[index]);
        }
        for node in nodes.iter().rev() {
            let verb = if node.runs_backward { "needs" } else { "does not need" };
            info!("{} {verb} backward computation.", node.name());
        }
        if message.force_backward() {
            force_backward(&mut nodes);
        }
        absorb(&mut nodes);
        for &output in &graph.outputs {
            info!("This network produces output {}", graph.blobs[output]);
        }
        info!("Network initialization done.");
        let old_gradients = vec![false; parameters.learnable().len()];
        let branches = Branches::of(&nodes);
        let (views, passing_data) = (Views::of(&nodes, &blobs), vec![false; blobs.len()]);
        Net {
            name: message.name().to_string(),
            nodes,
            blobs,
            blob_names: graph.blobs,
            outputs: graph.outputs,
            parameters,
            context,
            debug_info: message.debug_info(),
            every_layer: false,
            absorbing: true,
            old_gradients,
            stale: false,
            branches,
            views,
            passing_data,
            shares_memory: false,
            replays: Replays::default(),
        }
    }
}

/// A layer's view of the net while the net is being built: nothing runs backward yet.
fn node_io<'a>(
    bottoms: &'a [usize],
    tops: &'a [usize],
    parameters: &'a [Blob],
    blobs: &'a mut [Blob],
    context: &'a Context,
) -> Io<'a> {
    Io {
        blobs,
        bottoms,
        tops,
        parameters,
        bottom_gradients: &[],
        parameter_gradients: &[],
        context,
        absorbed: None,
        sum: None,
        replaces_gradients: false,
        reshaped: false,
    }
}

fn force_backward(nodes: &mut [Node]) {
    for node in nodes {
        node.runs_backward = true;
        for position in 0..node.bottoms.len() {
            node.bottom_gradients[position] |= node.layer.allows_forced_gradient(position);
        }
        node.parameter_gradients.fill(true);
    }
}

fn learning(parameters: &[Blob], specs: &[ParamSpec]) -> Vec<bool> {
    (0..parameters.len()).map(|index| specs.get(index).is_none_or(|spec| spec.lr_mult() != 0.0)).collect()
}

fn loss_weights(message: &LayerParameter, tops: &[usize], default: impl Fn(usize) -> f32) -> Result<Vec<f32>> {
    let given = &message.loss_weight;
    if given.is_empty() {
        return Ok((0..tops.len()).map(default).collect());
    }
    if given.len() != tops.len() {
        let text = format!("is given {} times for {} tops; give it once for each or not", given.len(), tops.len());
        return Err(Error::config("loss_weight", text));
    }
    Ok(given.clone())
}

fn log_wires(message: &LayerParameter, bottoms: &[usize], tops: &[usize], names: &[String]) {
    let name = message.name();
    for &bottom in bottoms {
        info!("{name} <- {}", names[bottom]);
    }
    for (position, &top) in tops.iter().enumerate() {
        let in_place = if bottoms.get(position) == Some(&top) { " (in-place)" } else { "" };
        info!("{name} -> {}{in_place}", names[top]);
    }
}

/// The dimensions as Caffe's logs write them: each followed by a blank.
fn spaced(shape: &Shape) -> String {
    shape.dims().iter().map(|dim| format!("{dim} ")).collect()
}
