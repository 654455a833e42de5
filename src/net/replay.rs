//! Passes on a GPU that are recorded once and replayed: a net of fixed shapes launches the same kernels in every pass, and one call that
//! launches them all takes less of the host's time than a call for each.
//!
//! A pass is run once as it is, which compiles kernels and finds memory, recorded when it comes a second time, and replayed from then on. What
//! the host does for every pass (a batch, a dropout mask) it does before, in [`Layer::prepare`](crate::layers::Layer::prepare).

use std::collections::HashMap;

use super::Net;
use crate::{
    cuda::{Card, Graph},
    error::Result,
    tensor::{Blob, Buffer},
};

/// What a recorded pass depends on beside the shapes: another of these is another pass.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Pass {
    /// Forward.
    Forward,
    /// Backward, with which gradients are old before it.
    Backward(Vec<bool>),
}

/// How far a pass has come.
#[derive(Debug)]
enum Stage {
    /// It ran once.
    Seen,
    Recorded(Graph),
}

/// The passes of a net.
#[derive(Debug, Default)]
pub(super) struct Replays {
    passes: HashMap<Pass, Stage>,
    /// Whether the passes were run with layers doing the work of those behind them.
    absorbing: bool,
}

impl Net {
    /// Forgets recorded passes: memory may have moved.
    pub(super) fn forget_passes(&mut self) {
        self.replays.passes.clear();
    }

    /// The card, if passes on it can be replayed: every layer runs there, and nothing is to be seen of single layers.
    fn replaying_card(&mut self) -> Option<&'static Card> {
        let card = self.context.device.card()?;
        let can = !self.stale && !self.debug_info && self.nodes.iter().all(|node| node.layer.runs_on_device());
        if !can || self.replays.absorbing != self.absorbing {
            self.forget_passes();
        }
        self.replays.absorbing = self.absorbing;
        can.then_some(card)
    }

    /// Runs all layers forward, their part on the host done before; says whether it could, all at once.
    pub(super) fn replay_forward(&mut self) -> Result<bool> {
        let Some(card) = self.replaying_card() else { return Ok(false) };
        self.bring_to_card(card, Blob::data);
        let done = self
            .replay(card, Pass::Forward, |net| (0..net.nodes.len()).try_for_each(|index| net.compute_layer(index)))?;
        if done {
            for &top in self.nodes.iter().flat_map(|node| &node.tops) {
                self.blobs[top].data().device_mut(card);
            }
        }
        Ok(done)
    }

    /// Runs all layers backward; says whether it could, all at once.
    pub(super) fn replay_backward(&mut self) -> Result<bool> {
        let Some(card) = self.replaying_card() else { return Ok(false) };
        self.bring_to_card(card, Blob::diff);
        let pass = Pass::Backward(self.old_gradients.clone());
        let done =
            self.replay(card, pass, |net| (0..net.nodes.len()).rev().try_for_each(|index| net.backward_layer(index)))?;
        if done {
            self.old_gradients.fill(false);
            for node in self.nodes.iter().filter(|node| node.runs_backward) {
                for (&bottom, _) in node.bottoms.iter().zip(&node.bottom_gradients).filter(|(_, wanted)| **wanted) {
                    self.blobs[bottom].diff().device_mut(card);
                }
            }
            self.parameters.diff().device_mut(card);
        }
        Ok(done)
    }

    /// Replays a pass, recording it first when it comes for the second time; false when it has yet to run as it is.
    fn replay(&mut self, card: &'static Card, pass: Pass, run: impl FnOnce(&mut Net) -> Result<()>) -> Result<bool> {
        match self.replays.passes.get(&pass) {
            None => {
                self.replays.passes.insert(pass, Stage::Seen);
                return Ok(false);
            }
            Some(Stage::Recorded(graph)) => graph.replay(),
            Some(Stage::Seen) => {
                let mut result = Ok(());
                let graph = card.capture(|| result = run(self));
                result?;
                card.check()?;
                if let Some(graph) = graph {
                    graph.replay();
                    self.replays.passes.insert(pass, Stage::Recorded(graph));
                }
            }
        }
        card.check()?;
        Ok(true)
    }

    /// Copies to the card what the host wrote since the last pass: a recorded pass does not look.
    fn bring_to_card(&self, card: &'static Card, of: fn(&Blob) -> &Buffer) {
        let parameters = self.nodes.iter().flat_map(|node| &node.parameters);
        for blob in self.blobs.iter().chain(parameters) {
            of(blob).device(card);
        }
    }
}
