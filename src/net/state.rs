//! What layers carry from batch to batch, in and out of a net.

use log::warn;

use super::Net;
use crate::proto::LayerState;

impl Net {
    /// The states of all layers that carry something from one batch to the next; `net` becomes their number of the net.
    pub fn states(&self, net: u32) -> impl Iterator<Item = LayerState> {
        self.nodes.iter().filter_map(move |node| {
            let state = node.layer.state()?;
            Some(LayerState { net: Some(net), layer: Some(node.name().to_owned()), ..state })
        })
    }

    /// Lets the layer of this name go on from a state. One that cannot is left as it is, which a warning says: the solver or its
    /// data may have been changed on purpose.
    pub fn restore_state(&mut self, state: &LayerState) {
        let Some(node) = self.nodes.iter_mut().find(|node| node.name() == state.layer()) else {
            warn!("the snapshot knows a layer {:?}, the net does not", state.layer());
            return;
        };
        if let Err(error) = node.layer.restore(state) {
            warn!("layer {:?} does not go on where the snapshot was made, but begins anew: {error}", state.layer());
        }
    }
}
