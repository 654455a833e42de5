//! Where a net runs.

use std::collections::BTreeSet;

use log::info;

use super::Net;
use crate::tensor::Device;

impl Net {
    /// From now on the net runs there: memory moves when a layer asks for it. Layers that have no code for a GPU run on the CPU, and a line of
    /// the log names them.
    pub fn run_on(&mut self, device: Device) {
        run_all_on(device, [self]);
    }

    /// Where the net runs.
    pub fn device(&self) -> Device {
        self.context.device
    }
}

/// From now on these nets run there; one line of the log for all of them names the layers that stay on the CPU.
pub(crate) fn run_all_on<'a>(device: Device, nets: impl IntoIterator<Item = &'a mut Net>) {
    let mut on_cpu = BTreeSet::new();
    for net in nets {
        net.context.device = device;
        net.forget_passes();
        if net.shares_memory {
            // What a layer can do in place depends on where it runs.
            net.share_memory();
        }
        let staying = net.nodes.iter().filter(|node| !node.layer.runs_on_device());
        on_cpu.extend(staying.map(|node| node.message.r#type().to_string()));
    }
    if let (Some(card), false) = (device.card(), on_cpu.is_empty()) {
        let kinds: Vec<String> = on_cpu.into_iter().collect();
        let name = &card.properties().name;
        info!("On the CPU, having no code for GPUs: layers of type {} (the rest: {name})", kinds.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use crate::{layers::layer_type, prototxt::parse_net};

    #[test]
    fn all_layers_of_the_models_run_on_a_gpu() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let mut left = BTreeSet::new();
        let mut layers = 0;
        for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.display().to_string();
            let net = parse_net(fs::read(&file).unwrap(), &name).unwrap().message;
            for message in &net.layer {
                layers += 1;
                let layer = (layer_type(message.r#type()).unwrap().new)(message).unwrap();
                if !layer.runs_on_device() {
                    left.insert(message.r#type().to_string());
                }
            }
        }
        assert!(layers > 300 && left.is_empty(), "{layers} layers, on the CPU: {left:?}");
    }
}
