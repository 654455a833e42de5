//! Trained values in and out of a net.

use log::info;

use super::Net;
use crate::{
    error::{Error, Result},
    proto::{LayerParameter, NetParameter},
};

impl Net {
    /// Copies the parameters of all layers that have the same name in `source`; `file` names it in messages.
    ///
    /// # Errors
    /// When a layer of the same name has other parameters; nothing has been copied of that layer then.
    pub fn copy_weights(&mut self, source: &NetParameter, file: &str) -> Result<()> {
        for layer in &source.layer {
            let Some(node) = self.nodes.iter().find(|node| node.name() == layer.name()) else {
                info!("Ignoring source layer {}", layer.name());
                continue;
            };
            if layer.blobs.is_empty() && node.parameters.is_empty() {
                continue;
            }
            if layer.blobs.len() != node.parameters.len() {
                let message = format!(
                    "has {} parameters, {file} has {}; is this the net the weights were trained with?",
                    node.parameters.len(),
                    layer.blobs.len()
                );
                return Err(Error::shape(message).at(&node.place));
            }
            for (position, (message, blob)) in layer.blobs.iter().zip(&node.parameters).enumerate() {
                let values = message.values();
                if !message.fits(blob.shape()) || values.len() != blob.count() {
                    let message = format!(
                        "parameter {position} has shape {}, {file} has {} with {} values; is this the net the weights were \
                         trained with? To learn this layer from scratch, give it another name",
                        blob.shape(),
                        message.dims(),
                        values.len()
                    );
                    return Err(Error::shape(message).at(&node.place));
                }
                blob.data().host_mut().copy_from_slice(&values);
            }
        }
        Ok(())
    }

    /// Makes the parameters of layers of the same name those of `other`: what one net learns, the other uses.
    ///
    /// # Errors
    /// When a layer of the same name has other parameters.
    pub fn share_weights_with(&mut self, other: &Net) -> Result<()> {
        for source in &other.nodes {
            let Some(node) = self.nodes.iter_mut().find(|node| node.name() == source.name()) else {
                info!("Ignoring source layer {}", source.name());
                continue;
            };
            let same = node.parameters.len() == source.parameters.len()
                && node.parameters.iter().zip(&source.parameters).all(|(mine, theirs)| mine.shape() == theirs.shape());
            if !same {
                let message = "the test net's parameters differ in number or shape from the training net's";
                return Err(Error::shape(message).at(&node.place));
            }
            for (mine, theirs) in node.parameters.iter_mut().zip(&source.parameters) {
                mine.share_data(theirs);
            }
        }
        Ok(())
    }

    /// The net as a message with the values of all parameters (and their gradients if asked for), as Caffe's `.caffemodel`
    /// holds it.
    pub fn to_message(&self, with_diff: bool) -> NetParameter {
        let layer = |node: &super::Node| LayerParameter {
            blobs: node.parameters.iter().map(|blob| blob.to_message(with_diff)).collect(),
            source_line: None,
            ..node.message.clone()
        };
        NetParameter {
            name: Some(self.name.clone()),
            layer: self.nodes.iter().map(layer).collect(),
            ..NetParameter::default()
        }
    }
}
