//! The layers: what a layer is, and the table of all layer types.
//!
//! A layer knows Caffe: options, shapes, which gradient goes where. Arithmetic is in [`crate::ops`]. One file per layer; to
//! add one, write the file, then a row in `table.rs`.

mod abs_val;
mod accuracy;
mod arg_max;
mod axpy;
mod batch_norm;
mod batch_reindex;
mod batches;
mod bias;
mod bnll;
mod clip;
mod concat;
mod contrastive_loss;
mod convolution;
mod crop;
mod crop_center;
mod cut;
mod data;
mod deconvolution;
mod depthwise;
mod detection_output;
mod dropout;
mod dummy_data;
mod eltwise;
mod elu;
mod embed;
mod euclidean_loss;
mod exp;
mod filter;
mod flatten;
mod hdf5_data;
mod hdf5_output;
mod hinge_loss;
mod im2col;
mod image_data;
mod infogain_loss;
mod inner_product;
mod input;
mod interp;
mod joints;
mod log;
mod loss;
mod lrn;
mod lstm;
mod lstm_unit;
mod memory_data;
mod multinomial_logistic_loss;
mod mvn;
mod neuron;
mod normalize;
mod parameter;
mod permute;
mod pooling;
mod power;
mod prelu;
mod prior_box;
mod psroi_pooling;
mod python;
mod recurrent;
mod reduction;
mod regions;
mod relu;
mod relu6;
mod reshape;
mod rnn;
mod roi_pooling;
mod scale;
mod shuffle_channel;
mod sigmoid;
mod sigmoid_cross_entropy_loss;
mod silence;
mod slice;
mod softmax;
mod softmax_with_loss;
mod spans;
mod split;
mod spp;
mod stochastic_depth;
mod swish;
mod table;
mod tanh;
#[cfg(test)]
#[allow(dead_code, reason = "each layer uses a part of it")]
mod testing;
mod threshold;
mod tile;
mod upsample;
mod window_data;
mod work;

use std::path::PathBuf;

pub use table::{ANY, Constructor, LayerType, TABLE, Tops, layer_type};
pub use work::Work;

use crate::{
    data::feed::Feed,
    error::{Error, Result},
    proto::{BlobShape, FillerParameter, LayerParameter, LayerState, ParamSpec, Phase},
    rng::{SharedRandom, fill},
    tensor::{Blob, Device, MOST_VALUES, Room, Shape},
};

/// One step of a net: computes tops from bottoms, and the gradients of bottoms and parameters from those of the tops.
///
/// The net calls [`setup`](Layer::setup) once, [`reshape`](Layer::reshape) when an input's shape changed and before the first
/// run, then [`forward`](Layer::forward) and [`backward`](Layer::backward). Backward *adds* to parameter gradients (the net clears
/// them, and a shared parameter collects from several layers) and *overwrites* bottom gradients.
pub trait Layer: Send {
    /// Checks bottoms against options and makes the parameters, drawing initial values in Caffe's order.
    ///
    /// # Errors
    /// When an option or a bottom's shape cannot be right.
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let _ = setup;
        Ok(())
    }

    /// Gives every top its shape, and scratch memory its size.
    ///
    /// # Errors
    /// When the bottoms' shapes do not fit.
    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()>;

    /// Computes the tops' data.
    ///
    /// # Errors
    /// When a value cannot be used (a label out of range, a record that does not decode).
    fn forward(&mut self, io: &mut Io<'_>) -> Result<()>;

    /// Computes the gradients that [`Io::wants_bottom_gradient`] and [`Io::wants_parameter_gradient`] ask for.
    ///
    /// # Errors
    /// When a gradient is asked for that does not exist (of a label, say).
    fn backward(&mut self, io: &mut Io<'_>) -> Result<()>;

    /// The operations of the layer's matrix products and convolutions, for measurements; none for layers that have no such.
    fn work(&self, io: &Io<'_>) -> Work {
        let _ = io;
        Work::default()
    }

    /// The loss weight of a top for which the net file gives none: 1 for a loss layer's first top, otherwise 0.
    fn default_loss_weight(&self, top: usize) -> f32 {
        let _ = top;
        0.0
    }

    /// The way in for data that the program makes (MemoryData).
    fn feed(&self) -> Option<Feed> {
        None
    }

    /// Where the layer is in its data or sequences, for a snapshot; `None` when it carries nothing from one batch to the next.
    fn state(&self) -> Option<LayerState> {
        None
    }

    /// Goes on from where such a layer was.
    ///
    /// # Errors
    /// When the state is one of other data or another shape; the layer goes on from where it is then.
    fn restore(&mut self, state: &LayerState) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// What the layer computes, if the layer in front of it may do its work: a net asks when this layer works in place.
    fn as_follower(&self) -> Option<Follower> {
        None
    }

    /// Takes over the work of the layer behind, which works in place, from now on; says whether it does. A run that is to do that
    /// work has [`Io::absorbed`].
    fn absorb(&mut self, follower: Follower) -> bool {
        let _ = follower;
        false
    }

    /// Whether backward heeds [`Io::replaces_gradients`]: for layers whose gradients are large enough that setting them to zero first
    /// takes time.
    fn can_replace_gradients(&self) -> bool {
        false
    }

    /// Whether `force_backward` may ask for the gradient of this bottom (not of labels).
    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        let _ = bottom;
        true
    }
}

/// What a layer computes value by value: the layer in front may do it in the same pass over memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follower {
    /// y = γ·x (+ β) for each channel; the parameters are γ and, perhaps, β.
    Scale,
    /// y = max(0, x).
    Relu,
}

/// The work of layers behind that a layer does: theirs is none in this run.
#[derive(Clone, Copy)]
pub struct Absorbed<'a> {
    /// The parameters of those layers.
    pub parameters: &'a [Blob],
    /// Which of them need their gradient.
    pub parameter_gradients: &'a [bool],
}

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

/// A layer's view of the net while it reshapes or runs: its bottoms, tops and parameters by position.
pub struct Io<'a> {
    /// All blobs of the net.
    pub blobs: &'a mut [Blob],
    /// The layer's bottoms, as indices into `blobs`.
    pub bottoms: &'a [usize],
    /// The layer's tops, as indices into `blobs`.
    pub tops: &'a [usize],
    /// The layer's parameters.
    pub parameters: &'a [Blob],
    /// Which bottoms need their gradient.
    pub bottom_gradients: &'a [bool],
    /// Which parameters need their gradient.
    pub parameter_gradients: &'a [bool],
    /// What all layers of the net share.
    pub context: &'a Context,
    /// The work of layers behind, where this layer does it in this run; see [`Layer::absorb`].
    pub absorbed: Option<Absorbed<'a>>,
    /// Whether backward is to write its parameters' gradients over what is there instead of adding to it; only for layers that can.
    pub replaces_gradients: bool,
    /// Set when a top changed its shape; the net then reshapes the layers behind it.
    pub reshaped: bool,
}

impl Io<'_> {
    /// The bottom at this position.
    pub fn bottom(&self, position: usize) -> &Blob {
        &self.blobs[self.bottoms[position]]
    }

    /// The top at this position.
    pub fn top(&self, position: usize) -> &Blob {
        &self.blobs[self.tops[position]]
    }

    /// The parameter at this position.
    pub fn parameter(&self, position: usize) -> &Blob {
        &self.parameters[position]
    }

    /// Whether the gradient of this bottom is needed.
    pub fn wants_bottom_gradient(&self, position: usize) -> bool {
        self.bottom_gradients[position]
    }

    /// Whether the gradient of this parameter is needed.
    pub fn wants_parameter_gradient(&self, position: usize) -> bool {
        self.parameter_gradients[position]
    }

    /// Where ops run.
    pub fn device(&self) -> Device {
        self.context.device
    }

    /// TRAIN or TEST.
    pub fn phase(&self) -> Phase {
        self.context.phase
    }

    /// For layers that cannot overwrite what they read.
    ///
    /// # Errors
    /// When a top is also a bottom.
    pub fn refuse_in_place(&self) -> Result<()> {
        if self.tops.iter().any(|top| self.bottoms.contains(top)) {
            let message = "this layer does not work in place; give the top another name than the bottom";
            return Err(Error::config("top", message));
        }
        Ok(())
    }

    /// Gives a top its shape.
    ///
    /// # Errors
    /// When a blob of this shape cannot be.
    pub fn set_top_shape(&mut self, position: usize, shape: &Shape) -> Result<()> {
        let top = &mut self.blobs[self.tops[position]];
        if top.shape() != shape {
            self.context.room.check(shape).map_err(|why| Error::shape(format!("top {position} ({shape}): {why}")))?;
            top.reshape(shape);
            self.reshaped = true;
        }
        Ok(())
    }

    /// For layers that work in memory that grows with an option's value: checks that so many values have room.
    ///
    /// # Errors
    /// When they have not; `field` names the option.
    pub fn check_room(&self, dims: &[usize], field: &str) -> Result<()> {
        self.context.room.check(&Shape::from(dims)).map_err(|why| Error::config(field, why))
    }

    /// Gives a top the shape of a bottom.
    ///
    /// # Errors
    /// When a blob of this shape cannot be.
    pub fn set_top_shape_like(&mut self, position: usize, bottom: usize) -> Result<()> {
        let shape = self.bottom(bottom).shape().clone();
        self.set_top_shape(position, &shape)
    }

    /// Makes the top's data the bottom's memory (Split, Flatten, Reshape): nothing is copied, forward has nothing to do.
    /// The top's shape must be set first and hold as many values.
    pub fn share_data(&mut self, top: usize, bottom: usize) {
        let source = self.bottom(bottom).clone();
        self.blobs[self.tops[top]].share_data(&source);
    }

    /// Makes the top's diff the bottom's memory.
    pub fn share_diff(&mut self, top: usize, bottom: usize) {
        let source = self.bottom(bottom).clone();
        self.blobs[self.tops[top]].share_diff(&source);
    }
}

/// A shape as an option gives it.
///
/// # Errors
/// When a dimension is negative or the blob is larger than Caffe allows; `field` names the option.
fn dims_of(shape: &BlobShape, field: &str) -> Result<Shape> {
    let dim =
        |&dim: &i64| usize::try_from(dim).map_err(|_| Error::config(field, format!("must not be negative, is {dim}")));
    let dims = shape.dim.iter().map(dim).collect::<Result<Vec<_>>>()?;
    shape_within(dims, field)
}

/// A shape, if a blob may have it.
///
/// # Errors
/// When the blob would be larger than Caffe allows; `field` names the options that lead to it.
fn shape_within(dims: Vec<usize>, field: &str) -> Result<Shape> {
    let shape = Shape::new(dims);
    match shape.is_countable() {
        true => Ok(shape),
        false => Err(Error::config(field, format!("{shape} has more than {MOST_VALUES} values"))),
    }
}
