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
mod convolution_options;
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
mod io;
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
mod setup;
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

pub use io::{Absorbed, Io};
pub use setup::{Context, Setup};
pub use table::{ANY, Constructor, LayerType, TABLE, Tops, layer_type};
pub use work::Work;

use crate::{
    data::feed::Feed,
    error::{Error, Result},
    proto::{BlobShape, LayerState},
    tensor::{Device, MOST_VALUES, Shape},
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

    /// Does on the host what every pass needs before [`forward`](Layer::forward): loads a batch, draws random numbers. The net calls it
    /// for each pass, right before forward, or, where the passes of all layers are one captured graph, layer by layer before that.
    ///
    /// # Errors
    /// When data cannot be had (a record that does not decode).
    fn prepare(&mut self, io: &mut Io<'_>) -> Result<()> {
        let _ = io;
        Ok(())
    }

    /// Computes the tops' data.
    ///
    /// # Errors
    /// When a value cannot be used (a label out of range).
    fn forward(&mut self, io: &mut Io<'_>) -> Result<()>;

    /// Computes the gradients that [`Io::wants_bottom_gradient`] and [`Io::wants_parameter_gradient`] ask for.
    ///
    /// # Errors
    /// When a gradient is asked for that does not exist (of a label, say).
    fn backward(&mut self, io: &mut Io<'_>) -> Result<()>;

    /// Whether backward reads the data of this bottom or top, on any device. Where no backward pass reads a blob's data, a net may keep it
    /// only as long as its forward pass needs it ([`Net::share_memory`](crate::net::Net::share_memory)): a layer that says no of a top
    /// writes all of that top in every forward pass, or makes it a view of a bottom.
    fn backward_reads(&self, data: End) -> bool {
        let _ = data;
        true
    }

    /// The top whose gradient may lie where backward writes that of this bottom: backward reads each value there before it writes over it, and
    /// there is no other such bottom. None where it needs both.
    fn gradient_in_place(&self, bottom: usize, device: Device) -> Option<usize> {
        let _ = (bottom, device);
        None
    }

    /// Whether backward can add the gradient of its only bottom to [another](Io::gradient_sum) in place of writing it.
    fn adds_gradient(&self, device: Device) -> bool {
        let _ = device;
        false
    }

    /// Whether, on a GPU, forward and backward are made of ops that run there, and change nothing on the host from one pass to the next: such
    /// passes are captured once and replayed. A layer whose passes have nothing to do says so too.
    fn runs_on_device(&self) -> bool {
        false
    }

    /// Looks for what forward cannot report from a GPU, where a bad label makes a loss that is not a number: called when the net has computed
    /// such a value.
    ///
    /// # Errors
    /// What forward would have said on the CPU.
    fn verify(&self, io: &Io<'_>) -> Result<()> {
        let _ = io;
        Ok(())
    }

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

/// A bottom or a top of a layer, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// What the layer reads.
    Bottom(usize),
    /// What it makes.
    Top(usize),
}

/// What a layer computes value by value: the layer in front may do it in the same pass over memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follower {
    /// y = γ·x (+ β) for each channel; the parameters are γ and, perhaps, β.
    Scale,
    /// y = max(0, x).
    Relu,
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
