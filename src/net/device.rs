//! Where a net runs.

use log::info;

use super::Net;
use crate::tensor::Device;

impl Net {
    /// From now on the net runs there: memory moves when a layer asks for it. Layers that have no code for a GPU run on the CPU, and a line of
    /// the log names them.
    pub fn run_on(&mut self, device: Device) {
        self.context.device = device;
        self.forget_passes();
        let Some(card) = device.card() else { return };
        let mut kinds: Vec<&str> =
            self.nodes.iter().filter(|node| !node.layer.runs_on_device()).map(|node| node.message.r#type()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if !kinds.is_empty() {
            info!(
                "On the CPU, having no code for GPUs: layers of type {} (the rest: {})",
                kinds.join(", "),
                card.properties().name
            );
        }
    }

    /// Where the net runs.
    pub fn device(&self) -> Device {
        self.context.device
    }
}
