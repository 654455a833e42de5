//! A net's runs: reshape where shapes changed, forward, backward.

use log::{error, info};

use super::{Net, Node};
use crate::{
    error::{Error, Result},
    layers::{Absorbed, Io, Layer},
    ops::{elementwise, reduce, threads},
    prototxt::number::stream,
    tensor::{Blob, Buffer, Shape},
};

/// Outputs of no more values than this are looked at after each pass on a GPU: losses and scores.
const SMALL: usize = 64;

/// Gradients of no more values than this are set to zero all at once on a GPU.
const CLEARED_AT_ONCE: usize = 1 << 23;

impl Net {
    /// Computes all blobs and returns the loss: the sum of all losses times their weights.
    ///
    /// # Errors
    /// When a layer cannot compute (data that ends or does not decode, a label out of range).
    pub fn forward(&mut self) -> Result<f32> {
        self.run_forward()?;
        self.checked_loss()
    }

    /// Computes all blobs, then the gradients, and returns the loss: [`forward`](Net::forward) and [`backward`](Net::backward), without waiting
    /// for a GPU between them.
    ///
    /// # Errors
    /// As those.
    pub fn forward_backward(&mut self) -> Result<f32> {
        self.run_forward()?;
        self.backward()?;
        self.checked_loss()
    }

    fn run_forward(&mut self) -> Result<()> {
        self.absorbing = !(self.debug_info || self.every_layer);
        // What the host does comes first, as far as shapes stay: then the rest may be replayed.
        let mut prepared = 0;
        while self.device().card().is_some() && !self.stale && prepared < self.nodes.len() {
            self.stale |= self.run(prepared, |layer, io| layer.prepare(io))?;
            prepared += 1;
        }
        if prepared == self.nodes.len() && !self.stale && self.replay_forward()? {
            return Ok(());
        }
        for index in 0..self.nodes.len() {
            if index >= prepared {
                self.prepare_layer(index)?;
            }
            self.compute_layer(index)?;
        }
        self.stale = false;
        Ok(())
    }

    /// Runs one layer forward and returns its part of the loss. Layers must be run in order.
    ///
    /// # Errors
    /// As [`forward`](Net::forward).
    pub fn forward_layer(&mut self, index: usize) -> Result<f32> {
        if index == 0 {
            self.absorbing = !(self.debug_info || self.every_layer);
        }
        self.prepare_layer(index)?;
        self.compute_layer(index)?;
        Ok(self.nodes[index].loss(&self.blobs))
    }

    /// A layer's shapes, where those before it changed, and its part on the host.
    fn prepare_layer(&mut self, index: usize) -> Result<()> {
        if self.stale {
            self.forget_passes();
            self.run(index, |layer, io| layer.reshape(io))?;
            self.nodes[index].fill_loss_diffs(&self.blobs);
        }
        self.stale |= self.run(index, |layer, io| layer.prepare(io))?;
        Ok(())
    }

    /// A layer's tops.
    pub(super) fn compute_layer(&mut self, index: usize) -> Result<()> {
        if !self.is_done(index) {
            self.stale |= self.run(index, |layer, io| layer.forward(io))?;
        }
        if self.debug_info {
            self.log_forward(index);
        }
        Ok(())
    }

    /// The loss; where it or another output is no number, layers say what they could not on a GPU.
    fn checked_loss(&mut self) -> Result<f32> {
        let loss = self.nodes.iter().map(|node| node.loss(&self.blobs)).sum::<f32>();
        let Some(card) = self.device().card() else { return Ok(loss) };
        card.check()?;
        let is_small = |blob: &&usize| self.blobs[**blob].count() <= SMALL;
        let outputs = || self.outputs.iter().filter(is_small).map(|&output| self.blobs[output].data().host());
        if loss.is_nan() || outputs().any(|values| values.iter().any(|value| value.is_nan())) {
            for index in 0..self.nodes.len() {
                self.run(index, |layer, io| layer.verify(io))?;
            }
        }
        Ok(loss)
    }

    /// Computes the gradients of everything that needs one. Parameter gradients add up until
    /// [`clear_gradients`](Net::clear_gradients).
    ///
    /// # Errors
    /// When a gradient is asked for that does not exist (of a label, say).
    pub fn backward(&mut self) -> Result<()> {
        if self.replay_backward()? {
            return Ok(());
        }
        for index in (0..self.nodes.len()).rev() {
            self.backward_layer(index)?;
        }
        if self.debug_info {
            self.log_norms();
        }
        Ok(())
    }

    /// Runs one layer backward, if it takes part. Layers must be run in reverse order.
    ///
    /// # Errors
    /// As [`backward`](Net::backward).
    pub fn backward_layer(&mut self, index: usize) -> Result<()> {
        if self.nodes[index].runs_backward && !self.is_done(index) && !self.is_added_up(index) {
            let replaces = self.make_way_for_gradients(index);
            let sum = self.sum_of_branches(index);
            self.run(index, |layer, io| {
                (io.replaces_gradients, io.sum) = (replaces, sum);
                layer.backward(io)
            })?;
            if self.debug_info {
                self.log_backward(index);
            }
        }
        if index == 0 {
            self.clear_old_gradients();
        }
        Ok(())
    }

    /// Whether another layer does the work of the layer at this position.
    pub(super) fn is_done(&self, index: usize) -> bool {
        self.absorbing && self.nodes[index].is_absorbed
    }

    /// Runs a step of a layer; says whether a top changed its shape.
    pub(super) fn run(
        &mut self,
        index: usize,
        step: impl FnOnce(&mut dyn Layer, &mut Io<'_>) -> Result<()>,
    ) -> Result<bool> {
        if self.context.device.card().is_none() {
            threads::stay_awake();
        }
        let (front, behind) = self.nodes.split_at_mut(index + 1);
        let node = &mut front[index];
        let absorbed = (self.absorbing && node.absorbed > 0).then(|| absorbed(&behind[..node.absorbed]));
        let mut io = Io {
            blobs: &mut self.blobs,
            bottoms: &node.bottoms,
            tops: &node.tops,
            parameters: &node.parameters,
            bottom_gradients: &node.bottom_gradients,
            parameter_gradients: &node.parameter_gradients,
            context: &self.context,
            absorbed,
            sum: None,
            replaces_gradients: false,
            reshaped: false,
        };
        let done = step(node.layer.as_mut(), &mut io).and_then(|()| match self.context.device.card() {
            Some(card) => card.check(),
            None => Ok(()),
        });
        done.map(|()| io.reshaped).map_err(|error| error.at(&node.place))
    }

    /// Sets the gradients of all parameters to zero.
    pub fn clear_gradients(&mut self) {
        elementwise::fill(self.context.device, 0.0, self.parameters.diff());
        self.old_gradients.fill(false);
    }

    /// The same for a backward pass that follows: its gradients take the place of those that are there. Until it ends, gradients
    /// mean nothing.
    pub fn replace_gradients(&mut self) {
        // On a card a call for every parameter takes longer than a few million values do.
        if self.device().card().is_some() && self.parameters.diff().len() <= CLEARED_AT_ONCE {
            self.clear_gradients();
        } else {
            self.old_gradients.fill(true);
        }
    }

    /// Sets to zero what no layer wrote in a pass whose gradients replace old ones.
    fn clear_old_gradients(&mut self) {
        for (learnable, is_old) in self.parameters.learnable().iter().zip(&mut self.old_gradients) {
            if std::mem::take(is_old) {
                elementwise::fill(self.context.device, 0.0, learnable.blob.diff());
            }
        }
    }

    /// Sets old gradients of a layer to zero, and of those whose work it does; says whether it is to write over them instead.
    fn make_way_for_gradients(&mut self, index: usize) -> bool {
        let absorbed = if self.absorbing { self.nodes[index].absorbed } else { 0 };
        let replaces = absorbed == 0 && self.can_replace_gradients(index);
        for (layer, node) in self.nodes.iter().enumerate().skip(index).take(1 + absorbed) {
            for (position, parameter) in node.parameters.iter().enumerate() {
                let is_old = &mut self.old_gradients[self.parameters.id(layer, position)];
                if node.parameter_gradients[position] && std::mem::take(is_old) && !replaces {
                    elementwise::fill(self.context.device, 0.0, parameter.diff());
                }
            }
        }
        replaces
    }

    /// Whether a layer can write over its gradients, and no other has added to them before.
    fn can_replace_gradients(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let mut ids = (0..node.parameters.len()).map(|position| self.parameters.id(index, position));
        let mut wanted = ids.clone().zip(&node.parameter_gradients).filter(|(_, wanted)| **wanted);
        let first = ids.next();
        node.layer.can_replace_gradients()
            && wanted.all(|(id, _)| self.old_gradients[id])
            && ids.all(|id| Some(id) != first)
    }

    /// Gives an input blob (a top of an Input layer) another shape; the layers behind it follow at the next forward run.
    ///
    /// # Errors
    /// When the net has no blob of that name.
    pub fn reshape_input(&mut self, name: &str, shape: &Shape) -> Result<()> {
        let index = self.blob_names.iter().position(|known| known == name);
        let index = index.ok_or_else(|| Error::shape(format!("the net has no blob {name:?}")))?;
        self.blobs[index].reshape(shape);
        self.stale = true;
        Ok(())
    }

    /// The first layer, in running order, with a top that holds a value that is not finite; of the tops whose data are still there.
    pub fn first_non_finite(&self) -> Option<String> {
        let is_finite = |top: usize| self.blobs[top].data().host().iter().all(|value| value.is_finite());
        let is_bad = |&&top: &&usize| !self.passing_data[top] && !is_finite(top);
        self.nodes.iter().find_map(|node| {
            let top = node.tops.iter().find(is_bad)?;
            Some(format!("blob {:?} of layer {:?}", self.blob_names[*top], node.name()))
        })
    }

    fn log_forward(&self, index: usize) {
        let node = &self.nodes[index];
        for &top in &node.tops {
            let mean = mean_magnitude(self.blobs[top].data());
            info!("    [Forward] Layer {}, top blob {} data: {}", node.name(), self.blob_names[top], stream(mean));
        }
        for (position, parameter) in node.parameters.iter().enumerate() {
            let mean = mean_magnitude(parameter.data());
            info!("    [Forward] Layer {}, param blob {position} data: {}", node.name(), stream(mean));
        }
    }

    fn log_backward(&self, index: usize) {
        let node = &self.nodes[index];
        for (&bottom, _) in node.bottoms.iter().zip(&node.bottom_gradients).filter(|(_, wanted)| **wanted) {
            let mean = mean_magnitude(self.blobs[bottom].diff());
            info!(
                "    [Backward] Layer {}, bottom blob {} diff: {}",
                node.name(),
                self.blob_names[bottom],
                stream(mean)
            );
        }
        let learning = node.parameters.iter().zip(&node.parameter_gradients).enumerate();
        for (position, (parameter, _)) in learning.filter(|(_, (_, wanted))| **wanted) {
            let mean = mean_magnitude(parameter.diff());
            info!("    [Backward] Layer {}, param blob {position} diff: {}", node.name(), stream(mean));
        }
    }

    fn log_norms(&self) {
        let (data, diff) = (self.parameters.data().host(), self.parameters.diff().host());
        let (data_sum, diff_sum) = (reduce::absolute_sum(&data), reduce::absolute_sum(&diff));
        let (data_norm, diff_norm) = (reduce::sum_of_squares(&data).sqrt(), reduce::sum_of_squares(&diff).sqrt());
        let [data_sum, diff_sum, data_norm, diff_norm] = [data_sum, diff_sum, data_norm, diff_norm].map(stream);
        error!(
            "    [Backward] All net params (data, diff): L1 norm = ({data_sum}, {diff_sum}); L2 norm = ({data_norm}, {diff_norm})"
        );
    }
}

/// The parameters of layers of which no more than one has any.
fn absorbed(nodes: &[Node]) -> Absorbed<'_> {
    let node = nodes.iter().find(|node| !node.parameters.is_empty());
    let (parameters, parameter_gradients) =
        node.map_or((&[][..], &[][..]), |node| (&node.parameters, &node.parameter_gradients));
    Absorbed { parameters, parameter_gradients }
}

impl Node {
    /// The gradient of a loss is its weight; backward starts from it.
    pub(super) fn fill_loss_diffs(&self, blobs: &[Blob]) {
        for (&top, &weight) in self.tops.iter().zip(&self.loss_weights) {
            if weight != 0.0 {
                blobs[top].diff().host_mut().fill(weight);
            }
        }
    }

    fn loss(&self, blobs: &[Blob]) -> f32 {
        let weighted = self.tops.iter().zip(&self.loss_weights).filter(|(_, weight)| **weight != 0.0);
        weighted.map(|(&top, _)| reduce::dot(&blobs[top].data().host(), &blobs[top].diff().host())).sum()
    }
}

fn mean_magnitude(buffer: &Buffer) -> f32 {
    reduce::absolute_sum(&buffer.host()) / buffer.len() as f32
}

#[cfg(test)]
mod tests {
    use crate::{net::Net, prototxt::parse_net, rng::SharedRandom};

    /// Two products that share their weights, one that has its own, and a parameter that no gradient reaches.
    const NET: &str = r#"
        layer { name: "data" type: "DummyData" top: "data" dummy_data_param {
            shape { dim: 4 dim: 3 } data_filler { type: "gaussian" } } }
        layer { name: "one" type: "InnerProduct" bottom: "data" top: "one" param { name: "w" } inner_product_param {
            num_output: 3 weight_filler { type: "gaussian" } } }
        layer { name: "two" type: "InnerProduct" bottom: "one" top: "two" param { name: "w" } inner_product_param {
            num_output: 3 weight_filler { type: "gaussian" } } }
        layer { name: "three" type: "InnerProduct" bottom: "two" top: "three" inner_product_param {
            num_output: 2 weight_filler { type: "gaussian" } } }
        layer { name: "factor" type: "Scale" bottom: "three" top: "factor" }
        layer { name: "frozen" type: "InnerProduct" bottom: "factor" top: "frozen" param { lr_mult: 0 }
            inner_product_param { num_output: 2 weight_filler { type: "gaussian" } } }
        layer { name: "aside" type: "InnerProduct" bottom: "data" top: "aside" inner_product_param {
            num_output: 2 weight_filler { type: "gaussian" } } }
        layer { name: "loss" type: "Reduction" bottom: "frozen" top: "loss" loss_weight: 1
            reduction_param { operation: SUMSQ } }
    "#;

    #[test]
    fn gradients_that_replace_old_ones_are_those_added_to_zero() {
        let gradients = |prepare: fn(&mut Net)| {
            let message = parse_net(NET, "net").unwrap().message;
            let mut net = Net::new(&message, "", SharedRandom::new(3)).unwrap();
            net.parameters().diff().host_mut().fill(7.0);
            prepare(&mut net);
            // As many passes as an `iter_size` of 2 has.
            for _ in 0..2 {
                net.forward().unwrap();
                net.backward().unwrap();
            }
            net.parameters().diff().host().to_vec()
        };
        let cleared = gradients(Net::clear_gradients);
        assert!(cleared.iter().any(|&diff| diff != 0.0));
        assert_eq!(gradients(Net::replace_gradients), cleared);
    }
}
