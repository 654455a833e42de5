//! The layers: what a layer is, and the table of all layer types.
//!
//! A layer knows Caffe: options, shapes, which gradient goes where. Arithmetic is in [`crate::ops`]. One file per layer; to
//! add one, write the file, then a row in `TABLE`.

mod abs_val;
mod accuracy;
mod arg_max;
mod batch_norm;
mod batch_reindex;
mod bias;
mod bnll;
mod clip;
mod concat;
mod contrastive_loss;
mod convolution;
mod crop;
mod data;
mod dropout;
mod dummy_data;
mod eltwise;
mod elu;
mod embed;
mod euclidean_loss;
mod exp;
mod filter;
mod flatten;
mod hinge_loss;
mod im2col;
mod infogain_loss;
mod inner_product;
mod input;
mod joints;
mod log;
mod loss;
mod lrn;
mod multinomial_logistic_loss;
mod mvn;
mod neuron;
mod parameter;
mod pooling;
mod power;
mod prelu;
mod reduction;
mod relu;
mod reshape;
mod scale;
mod sigmoid;
mod sigmoid_cross_entropy_loss;
mod silence;
mod slice;
mod softmax;
mod softmax_with_loss;
mod spans;
mod split;
mod swish;
mod tanh;
#[cfg(test)]
#[allow(dead_code, reason = "each layer uses a part of it")]
mod testing;
mod threshold;
mod tile;

use std::{ops::RangeInclusive, path::PathBuf};

use crate::{
    error::{Error, Result},
    proto::{BlobShape, FillerParameter, LayerParameter, ParamSpec, Phase},
    prototxt::suggest,
    rng::{SharedRandom, fill},
    tensor::{Blob, Device, Shape},
};

/// One step of a net: computes tops from bottoms, and the gradients of bottoms and parameters from those of the tops.
///
/// The net calls [`setup`](Layer::setup) once, [`reshape`](Layer::reshape) when an input's shape changed and before the first
/// run, then [`forward`](Layer::forward) and [`backward`](Layer::backward). Backward *adds* to parameter gradients (they are
/// cleared by the solver, and a shared parameter collects from several layers) and *overwrites* bottom gradients.
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

    /// The loss weight of a top for which the net file gives none: 1 for a loss layer's first top, otherwise 0.
    fn default_loss_weight(&self, top: usize) -> f32 {
        let _ = top;
        0.0
    }

    /// Whether `force_backward` may ask for the gradient of this bottom (not of labels).
    fn allows_forced_gradient(&self, bottom: usize) -> bool {
        let _ = bottom;
        true
    }
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
    /// When the filler does not exist or cannot fill this shape, or the message's blob has another number of values.
    pub fn add_parameter(&mut self, shape: Shape, filler: &FillerParameter, field: &str) -> Result<()> {
        let index = self.parameters.len();
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
    pub fn set_top_shape(&mut self, position: usize, shape: &Shape) {
        let top = &mut self.blobs[self.tops[position]];
        if top.shape() != shape {
            top.reshape(shape);
            self.reshaped = true;
        }
    }

    /// Gives a top the shape of a bottom.
    pub fn set_top_shape_like(&mut self, position: usize, bottom: usize) {
        let shape = self.bottom(bottom).shape().clone();
        self.set_top_shape(position, &shape);
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
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    match count {
        Some(count) if count <= MOST_VALUES => Ok(Shape::new(dims)),
        _ => Err(Error::config(field, format!("{} has more than {MOST_VALUES} values", Shape::new(dims)))),
    }
}

/// Values of the largest blob that Caffe allows.
const MOST_VALUES: usize = i32::MAX as usize;

/// One row of the table of layer types.
pub struct LayerType {
    /// The type as net files write it.
    pub name: &'static str,
    /// How many bottoms the layer takes.
    pub bottoms: RangeInclusive<usize>,
    /// How many tops the layer makes.
    pub tops: Tops,
    /// One line for `rcaffe layers`.
    pub summary: &'static str,
    /// Reads and checks the options.
    pub new: fn(&LayerParameter) -> Result<Box<dyn Layer>>,
}

/// How many tops a layer makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tops {
    /// A number in this range.
    Count(RangeInclusive<usize>),
    /// As many as it has bottoms (Convolution).
    AsBottoms,
    /// A number in this range; tops that the net file leaves out are made without a name (losses).
    Automatic(RangeInclusive<usize>),
}

/// No limit on bottoms or tops.
pub const ANY: usize = usize::MAX;

/// All layer types, by name.
#[rustfmt::skip]
pub static TABLE: &[LayerType] = &[
    LayerType { name: "AbsVal", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "absolute value", new: abs_val::new_layer },
    LayerType { name: "Accuracy", bottoms: 2..=2, tops: Tops::Count(1..=2), summary: "part of labels whose score is among the best", new: accuracy::Accuracy::new_layer },
    LayerType { name: "ArgMax", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "largest values and where they are", new: arg_max::ArgMax::new_layer },
    LayerType { name: "BatchNorm", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "mean 0 and variance 1 for each channel", new: batch_norm::BatchNorm::new_layer },
    LayerType { name: "BatchReindex", bottoms: 2..=2, tops: Tops::Count(1..=1), summary: "images in another order", new: batch_reindex::BatchReindex::new_layer },
    LayerType { name: "Bias", bottoms: 1..=2, tops: Tops::Count(1..=1), summary: "x + β along some axes", new: bias::Bias::new_layer },
    LayerType { name: "BNLL", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "ln(1 + eˣ)", new: bnll::new_layer },
    LayerType { name: "Clip", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "x, held between two bounds", new: clip::new_layer },
    LayerType { name: "Concat", bottoms: 1..=ANY, tops: Tops::Count(1..=1), summary: "several blobs one behind the other along an axis", new: concat::Concat::new_layer },
    LayerType { name: "ContrastiveLoss", bottoms: 3..=3, tops: Tops::Automatic(1..=1), summary: "similar pairs together, others apart", new: contrastive_loss::ContrastiveLoss::new_layer },
    LayerType { name: "Convolution", bottoms: 1..=ANY, tops: Tops::AsBottoms, summary: "filters over the spatial axes", new: convolution::Convolution::new_layer },
    LayerType { name: "Crop", bottoms: 2..=2, tops: Tops::Count(1..=1), summary: "cuts a blob to the size of another", new: crop::Crop::new_layer },
    LayerType { name: "Data", bottoms: 0..=0, tops: Tops::Count(1..=2), summary: "images and labels from a database", new: data::Data::new_layer },
    LayerType { name: "Dropout", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "drops random values while training", new: dropout::Dropout::new_layer },
    LayerType { name: "DummyData", bottoms: 0..=0, tops: Tops::Count(1..=ANY), summary: "blobs filled by fillers", new: dummy_data::DummyData::new_layer },
    LayerType { name: "Eltwise", bottoms: 2..=ANY, tops: Tops::Count(1..=1), summary: "product, weighted sum or maximum of several blobs", new: eltwise::Eltwise::new_layer },
    LayerType { name: "ELU", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "x, or alpha·(eˣ − 1) below 0", new: elu::new_layer },
    LayerType { name: "Embed", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "a learned vector for each number", new: embed::Embed::new_layer },
    LayerType { name: "EuclideanLoss", bottoms: 2..=2, tops: Tops::Automatic(1..=1), summary: "half the mean squared distance", new: euclidean_loss::EuclideanLoss::new_layer },
    LayerType { name: "Exp", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "base^(shift + scale·x)", new: exp::new_layer },
    LayerType { name: "Filter", bottoms: 2..=ANY, tops: Tops::Count(1..=ANY), summary: "passes on the images that a selector picks", new: filter::Filter::new_layer },
    LayerType { name: "Flatten", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "several axes become one", new: flatten::Flatten::new_layer },
    LayerType { name: "HingeLoss", bottoms: 2..=2, tops: Tops::Automatic(1..=1), summary: "margins of one class against all", new: hinge_loss::HingeLoss::new_layer },
    LayerType { name: "Im2col", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "windows of a convolution as columns", new: im2col::Im2col::new_layer },
    LayerType { name: "InfogainLoss", bottoms: 2..=3, tops: Tops::Automatic(1..=2), summary: "cross entropy weighted by a matrix", new: infogain_loss::InfogainLoss::new_layer },
    LayerType { name: "InnerProduct", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "a fully connected layer", new: inner_product::InnerProduct::new_layer },
    LayerType { name: "Input", bottoms: 0..=0, tops: Tops::Count(1..=ANY), summary: "blobs that the caller fills", new: input::Input::new_layer },
    LayerType { name: "Log", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "logarithm of shift + scale·x", new: log::new_layer },
    LayerType { name: "LRN", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "x divided by a power of the mean square around it", new: lrn::Lrn::new_layer },
    LayerType { name: "MultinomialLogisticLoss", bottoms: 2..=2, tops: Tops::Automatic(1..=1), summary: "cross entropy of given probabilities", new: multinomial_logistic_loss::MultinomialLogisticLoss::new_layer },
    LayerType { name: "MVN", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "mean-variance normalization", new: mvn::Mvn::new_layer },
    LayerType { name: "Parameter", bottoms: 0..=0, tops: Tops::Count(1..=1), summary: "a learned blob", new: parameter::Parameter::new_layer },
    LayerType { name: "Pooling", bottoms: 1..=1, tops: Tops::Count(1..=2), summary: "largest or mean value of each window", new: pooling::Pooling::new_layer },
    LayerType { name: "Power", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "(shift + scale·x)^power", new: power::new_layer },
    LayerType { name: "PReLU", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "x, or a learned slope below 0", new: prelu::Prelu::new_layer },
    LayerType { name: "Reduction", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "each row of values into one", new: reduction::Reduction::new_layer },
    LayerType { name: "ReLU", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "max(x, 0), or leaky", new: relu::new_layer },
    LayerType { name: "Reshape", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "the same values in another shape", new: reshape::Reshape::new_layer },
    LayerType { name: "Scale", bottoms: 1..=2, tops: Tops::Count(1..=1), summary: "γ·x (+ β) along some axes", new: scale::Scale::new_layer },
    LayerType { name: "Sigmoid", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "1 / (1 + e⁻ˣ)", new: sigmoid::new_layer },
    LayerType { name: "SigmoidCrossEntropyLoss", bottoms: 2..=2, tops: Tops::Automatic(1..=1), summary: "cross entropy of independent probabilities", new: sigmoid_cross_entropy_loss::SigmoidCrossEntropyLoss::new_layer },
    LayerType { name: "Silence", bottoms: 1..=ANY, tops: Tops::Count(0..=0), summary: "takes blobs that nobody reads", new: silence::Silence::new_layer },
    LayerType { name: "Slice", bottoms: 1..=1, tops: Tops::Count(1..=ANY), summary: "cuts a blob along an axis", new: slice::Slice::new_layer },
    LayerType { name: "Softmax", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "eˣ / Σ eˣ over an axis", new: softmax::Softmax::new_layer },
    LayerType { name: "SoftmaxWithLoss", bottoms: 2..=2, tops: Tops::Automatic(1..=2), summary: "cross entropy of classes", new: softmax_with_loss::SoftmaxWithLoss::new_layer },
    LayerType { name: "Split", bottoms: 1..=1, tops: Tops::Count(1..=ANY), summary: "one blob for several readers", new: split::Split::new_layer },
    LayerType { name: "Swish", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "x · sigmoid(beta·x)", new: swish::Swish::new_layer },
    LayerType { name: "TanH", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "hyperbolic tangent", new: tanh::new_layer },
    LayerType { name: "Threshold", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "1 above a threshold, 0 elsewhere", new: threshold::new_layer },
    LayerType { name: "Tile", bottoms: 1..=1, tops: Tops::Count(1..=1), summary: "a blob several times over", new: tile::Tile::new_layer },
];

/// The row of a layer type.
///
/// # Errors
/// When there is no such layer; the message names the nearest type.
pub fn layer_type(name: &str) -> Result<&'static LayerType> {
    TABLE.iter().find(|row| row.name == name).ok_or_else(|| {
        let hint = match suggest::nearest(name, TABLE.iter().map(|row| row.name.to_string())) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "README.md lists the types that there are".to_string(),
        };
        Error::config("type", format!("unknown layer type {name:?}; {hint}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_finds_what_was_meant() {
        assert!(TABLE.is_sorted_by_key(|row| row.name.to_lowercase()));
        assert_eq!(layer_type("ReLU").unwrap().name, "ReLU");
        let error = layer_type("Relu").err().unwrap().to_string();
        assert_eq!(error, "type: unknown layer type \"Relu\"; did you mean \"ReLU\"?");
        assert!(!layer_type("Teleport").err().unwrap().to_string().contains("did you mean"));
    }
}
