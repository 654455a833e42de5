//! What a layer sees while it is set up: its message, the shapes of its bottoms, and what all layers of the net share.

use std::path::PathBuf;

use crate::{
    error::{Error, Result},
    proto::{FillerParameter, LayerParameter, ParamSpec, Phase},
    rng::{SharedRandom, fill},
    tensor::{Blob, Device, Room, Shape},
};

/// What all layers of a net share.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where ops run.
    pub device: Device,
    /// TRAIN or TEST.
    pub phase: Phase,
    /// Caffe's one random engine, which fillers, dropout and data layers draw from.
    pub random: SharedRandom,
    /// The memory that the net may take.
    pub room: Room,
    /// The folder of the file that describes the net; relative paths that do not exist from here mean that folder.
    pub base: Option<PathBuf>,
}

/// What a layer sees while it is set up.
pub struct Setup<'a> {
    /// The layer's message.
    pub layer: &'a LayerParameter,
    /// What all layers of the net share.
    pub context: &'a Context,
    /// The shapes of the bottoms.
    pub bottoms: Vec<Shape>,
    /// How many tops the layer has.
    pub tops: usize,
    parameters: Vec<Blob>,
    specs: Vec<ParamSpec>,
}

impl<'a> Setup<'a> {
    /// Begins the setup of a layer.
    pub fn new(layer: &'a LayerParameter, context: &'a Context, bottoms: Vec<Shape>, tops: usize) -> Self {
        Setup { layer, context, bottoms, tops, parameters: Vec::new(), specs: layer.param.clone() }
    }

    /// Makes the next parameter: from the message's `blobs` when it has any (Caffe then draws nothing), else by its filler.
    /// `field` names the filler in messages, for example `convolution_param.weight_filler`.
    ///
    /// # Errors
    /// When the filler does not exist or cannot fill this shape, the memory does not suffice, or the message's blob has another number of values.
    pub fn add_parameter(&mut self, shape: Shape, filler: &FillerParameter, field: &str) -> Result<()> {
        let index = self.parameters.len();
        let room = self.context.room;
        room.check(&shape).map_err(|why| Error::shape(format!("parameter {index} ({shape}): {why}")))?;
        let blob = Blob::new(shape);
        if self.layer.blobs.is_empty() {
            fill(filler, blob.shape(), &mut blob.data().host_mut(), &mut self.context.random.lock(), field)?;
        } else {
            let values = self.layer.blobs.get(index).map(|blob| blob.data.as_slice()).unwrap_or_default();
            if values.len() != blob.count() {
                let message =
                    format!("has {} values, the layer needs {} ({})", values.len(), blob.count(), blob.shape());
                return Err(Error::config(format!("blobs[{index}]"), message));
            }
            blob.data().host_mut().copy_from_slice(values);
        }
        self.parameters.push(blob);
        Ok(())
    }

    /// Declares that the parameter is moved by the layer itself: the solver leaves it alone (`lr_mult: 0`, `decay_mult: 0`).
    ///
    /// # Errors
    /// When the net file gives it another `lr_mult`.
    pub fn keep_from_solver(&mut self, index: usize) -> Result<()> {
        let frozen = ParamSpec { lr_mult: Some(0.0), decay_mult: Some(0.0), ..ParamSpec::default() };
        while self.specs.len() < index {
            self.specs.push(ParamSpec::default());
        }
        match self.specs.get(index) {
            None => self.specs.push(frozen),
            Some(spec) if spec.lr_mult() == 0.0 => {}
            Some(_) => {
                let message = "must be 0: the layer moves this statistic itself, the solver must not";
                return Err(Error::config(format!("param[{index}].lr_mult"), message));
            }
        }
        Ok(())
    }

    /// The parameters made, and their specs.
    pub fn finish(self) -> (Vec<Blob>, Vec<ParamSpec>) {
        (self.parameters, self.specs)
    }
}
