//! Trained values in and out of a net.

use log::info;

use super::Net;
use crate::{
    error::{Error, Result},
    proto::{BlobProto, LayerParameter, NetParameter},
    tensor::Blob,
};

impl Net {
    /// Copies the parameters of all layers that have the same name in `source`; `file` names it in messages.
    ///
    /// # Errors
    /// When a layer of the same name has other parameters; nothing has been copied of that layer then.
    pub fn copy_weights(&mut self, source: &NetParameter, file: &str) -> Result<()> {
        for layer in &source.layer {
            let Some(index) = self.nodes.iter().position(|node| node.name() == layer.name()) else {
                info!("Ignoring source layer {}", layer.name());
                continue;
            };
            self.copy_layer(index, layer, file)?;
        }
        Ok(())
    }

    fn copy_layer(&self, index: usize, layer: &LayerParameter, file: &str) -> Result<()> {
        let node = &self.nodes[index];
        // HDF5 files hold a shared parameter only where it is owned.
        let is_left_out = |position: usize| {
            !self.parameters.is_own(index, position) && layer.blobs.get(position).is_none_or(is_empty)
        };
        let count = node.parameters.len();
        if layer.blobs.len() > count || (layer.blobs.len()..count).any(|position| !is_left_out(position)) {
            let message = format!(
                "has {count} parameters, {file} has {}; is this the net the weights were trained with?",
                layer.blobs.len()
            );
            return Err(Error::shape(message).at(&node.place));
        }
        let held = layer.blobs.iter().zip(&node.parameters).enumerate();
        for (position, (message, blob)) in held.filter(|(position, _)| !is_left_out(*position)) {
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
        self.forget_passes();
        Ok(())
    }

    /// The net as a message with the values of all parameters (and their gradients if asked for), as Caffe's `.caffemodel`
    /// holds it.
    pub fn to_message(&self, with_diff: bool) -> NetParameter {
        self.message_of(|_, blob| blob.to_message(with_diff))
    }

    /// As [`to_message`](Net::to_message), but a shared parameter has its values only in the layer that owns it, as in Caffe's
    /// HDF5 files. Gradients are everywhere.
    pub fn to_message_of_owned(&self, with_diff: bool) -> NetParameter {
        self.message_of(|is_own, blob| {
            let message = blob.to_message(with_diff);
            if is_own { message } else { BlobProto { data: Vec::new(), ..message } }
        })
    }

    fn message_of(&self, blob_message: impl Fn(bool, &Blob) -> BlobProto) -> NetParameter {
        let layer = |(index, node): (usize, &super::Node)| {
            let blobs = node.parameters.iter().enumerate();
            let blobs = blobs.map(|(position, blob)| blob_message(self.parameters.is_own(index, position), blob));
            LayerParameter { blobs: blobs.collect(), source_line: None, ..node.message.clone() }
        };
        NetParameter {
            name: Some(self.name.clone()),
            layer: self.nodes.iter().enumerate().map(layer).collect(),
            ..NetParameter::default()
        }
    }
}

fn is_empty(blob: &BlobProto) -> bool {
    blob.data.is_empty() && blob.double_data.is_empty()
}
