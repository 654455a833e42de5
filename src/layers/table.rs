//! The table of all layer types: how many bottoms and tops each has, where it comes from, and how it is made.

use std::ops::RangeInclusive;

use super::{Layer, *};
use crate::{
    error::{Error, Result},
    proto::LayerParameter,
    prototxt::{forks, suggest},
};

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
    /// Whether gradients pass through the layer to its bottoms or parameters.
    pub gradient: bool,
    /// The fork of Caffe that made the type; `None` for Caffe 1.0's own.
    pub fork: Option<&'static str>,
    /// Reads and checks the options.
    pub new: Constructor,
}

/// Makes a layer from its message, reading and checking the options.
pub type Constructor = fn(&LayerParameter) -> Result<Box<dyn Layer>>;

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

use Tops::{AsBottoms, Automatic, Count};

/// No limit on bottoms or tops.
pub const ANY: usize = usize::MAX;

/// A type of Caffe 1.0 that passes gradients on.
const fn row(
    name: &'static str,
    bottoms: RangeInclusive<usize>,
    tops: Tops,
    summary: &'static str,
    new: Constructor,
) -> LayerType {
    LayerType { name, bottoms, tops, summary, gradient: true, fork: None, new }
}

impl LayerType {
    /// The type passes no gradients on.
    const fn without_gradient(mut self) -> Self {
        self.gradient = false;
        self
    }

    /// The type is not Caffe's own but this fork's.
    const fn of(mut self, fork: &'static str) -> Self {
        self.fork = Some(fork);
        self
    }
}

/// All layer types, by name. A fork's type ends in `.of("FORK")`.
#[rustfmt::skip]
pub static TABLE: &[LayerType] = &[
    row("AbsVal", 1..=1, Count(1..=1), "absolute value", abs_val::new_layer),
    row("Accuracy", 2..=2, Count(1..=2), "part of labels whose score is among the best", accuracy::Accuracy::new_layer).without_gradient(),
    row("ArgMax", 1..=1, Count(1..=1), "largest values and where they are", arg_max::ArgMax::new_layer).without_gradient(),
    row("Axpy", 3..=3, Count(1..=1), "a·x + y, a for each channel", axpy::Axpy::new_layer).of("SENet Caffe"),
    row("BatchNorm", 1..=1, Count(1..=1), "mean 0 and variance 1 for each channel", batch_norm::BatchNorm::new_layer),
    row("BatchReindex", 2..=2, Count(1..=1), "images in another order", batch_reindex::BatchReindex::new_layer),
    row("Bias", 1..=2, Count(1..=1), "x + β along some axes", bias::Bias::new_layer),
    row("BNLL", 1..=1, Count(1..=1), "ln(1 + eˣ)", bnll::new_layer),
    row("Clip", 1..=1, Count(1..=1), "x, held between two bounds", clip::new_layer),
    row("Concat", 1..=ANY, Count(1..=1), "several blobs one behind the other along an axis", concat::Concat::new_layer),
    row("ContrastiveLoss", 3..=3, Automatic(1..=1), "similar pairs together, others apart", contrastive_loss::ContrastiveLoss::new_layer),
    row("Convolution", 1..=ANY, AsBottoms, "filters over the spatial axes", convolution::Convolution::new_layer),
    row("ConvolutionDepthwise", 1..=1, Count(1..=1), "one filter for each channel", depthwise::convolution_depthwise).of("BVLC pull request 5665"),
    row("Crop", 2..=2, Count(1..=1), "cuts a blob to the size of another", crop::Crop::new_layer),
    row("CropCenter", 1..=1, Count(1..=1), "the middle of a blob", crop_center::CropCenter::new_layer).of("lltcggie Caffe"),
    row("Data", 0..=0, Count(1..=2), "images and labels from a database", data::Data::new_layer).without_gradient(),
    row("Deconvolution", 1..=ANY, AsBottoms, "a convolution run backward", deconvolution::Deconvolution::new_layer),
    row("DepthwiseConvolution", 1..=ANY, AsBottoms, "filters for each channel", depthwise::depthwise_convolution).of("MobileNet Caffe"),
    row("DetectionOutput", 3..=4, Count(1..=1), "scores and offsets into a list of boxes", detection_output::DetectionOutput::new_layer).without_gradient().of("SSD Caffe"),
    row("Dropout", 1..=1, Count(1..=1), "drops random values while training", dropout::Dropout::new_layer),
    row("DummyData", 0..=0, Count(1..=ANY), "blobs filled by fillers", dummy_data::DummyData::new_layer).without_gradient(),
    row("Eltwise", 2..=ANY, Count(1..=1), "product, weighted sum or maximum of several blobs", eltwise::Eltwise::new_layer),
    row("ELU", 1..=1, Count(1..=1), "x, or alpha·(eˣ − 1) below 0", elu::new_layer),
    row("Embed", 1..=1, Count(1..=1), "a learned vector for each number", embed::Embed::new_layer),
    row("EuclideanLoss", 2..=2, Automatic(1..=1), "half the mean squared distance", euclidean_loss::EuclideanLoss::new_layer),
    row("Exp", 1..=1, Count(1..=1), "base^(shift + scale·x)", exp::new_layer),
    row("Filter", 2..=ANY, Count(1..=ANY), "passes on the images that a selector picks", filter::Filter::new_layer),
    row("Flatten", 1..=1, Count(1..=1), "several axes become one", flatten::Flatten::new_layer),
    row("HDF5Data", 0..=0, Count(1..=ANY), "rows of arrays from HDF5 files", hdf5_data::Hdf5Data::new_layer).without_gradient(),
    row("HDF5Output", 2..=2, Count(0..=0), "writes two blobs to an HDF5 file", hdf5_output::Hdf5Output::new_layer).without_gradient(),
    row("HingeLoss", 2..=2, Automatic(1..=1), "margins of one class against all", hinge_loss::HingeLoss::new_layer),
    row("Im2col", 1..=1, Count(1..=1), "windows of a convolution as columns", im2col::Im2col::new_layer),
    row("ImageData", 0..=0, Count(2..=2), "pictures from files and their labels", image_data::ImageData::new_layer).without_gradient(),
    row("InfogainLoss", 2..=3, Automatic(1..=2), "cross entropy weighted by a matrix", infogain_loss::InfogainLoss::new_layer),
    row("InnerProduct", 1..=1, Count(1..=1), "a fully connected layer", inner_product::InnerProduct::new_layer),
    row("Input", 0..=0, Count(1..=ANY), "blobs that the caller fills", input::Input::new_layer).without_gradient(),
    row("Interp", 1..=2, Count(1..=1), "bilinear resizing, corners on corners", interp::Interp::new_layer).of("DeepLab Caffe"),
    row("Log", 1..=1, Count(1..=1), "logarithm of shift + scale·x", log::new_layer),
    row("LRN", 1..=1, Count(1..=1), "x divided by a power of the mean square around it", lrn::Lrn::new_layer),
    row("LSTM", 2..=5, Count(1..=3), "sequences through long short-term memory cells", lstm::Lstm::new_layer),
    row("LSTMUnit", 3..=3, Count(2..=2), "one step of an LSTM's cells", lstm_unit::LstmUnit::new_layer),
    row("MemoryData", 0..=0, Count(2..=2), "images and labels that the program gives", memory_data::MemoryData::new_layer).without_gradient(),
    row("MultinomialLogisticLoss", 2..=2, Automatic(1..=1), "cross entropy of given probabilities", multinomial_logistic_loss::MultinomialLogisticLoss::new_layer),
    row("MVN", 1..=1, Count(1..=1), "mean-variance normalization", mvn::Mvn::new_layer),
    row("Normalize", 1..=1, Count(1..=1), "γ·x over the length of x", normalize::Normalize::new_layer).of("SSD Caffe"),
    row("Parameter", 0..=0, Count(1..=1), "a learned blob", parameter::Parameter::new_layer),
    row("Permute", 1..=1, Count(1..=1), "axes in another order", permute::Permute::new_layer).of("SSD Caffe"),
    row("Pooling", 1..=1, Count(1..=2), "largest or mean value of each window", pooling::Pooling::new_layer),
    row("Power", 1..=1, Count(1..=1), "(shift + scale·x)^power", power::new_layer),
    row("PReLU", 1..=1, Count(1..=1), "x, or a learned slope below 0", prelu::Prelu::new_layer),
    row("PriorBox", 2..=2, Count(1..=1), "default boxes around each position", prior_box::PriorBox::new_layer).without_gradient().of("SSD Caffe"),
    row("PSROIPooling", 2..=2, Count(1..=1), "mean value of each bin of regions, a channel for each bin", psroi_pooling::PsRoiPooling::new_layer).of("R-FCN Caffe"),
    row("Python", 0..=ANY, Count(0..=ANY), "ends in an error: there is no Python in this program", python::new_layer).without_gradient(),
    row("Reduction", 1..=1, Count(1..=1), "each row of values into one", reduction::Reduction::new_layer),
    row("ReLU", 1..=1, Count(1..=1), "max(x, 0), or leaky", relu::new_layer),
    row("ReLU6", 1..=1, Count(1..=1), "min(max(x, 0), 6)", relu6::new_layer).of("MobileNet Caffe"),
    row("Reshape", 1..=1, Count(1..=1), "the same values in another shape", reshape::Reshape::new_layer),
    row("RNN", 2..=4, Count(1..=2), "sequences through a plain recurrent layer", rnn::Rnn::new_layer),
    row("ROIPooling", 2..=2, Count(1..=1), "largest value of each bin of regions", roi_pooling::RoiPooling::new_layer).of("Fast R-CNN Caffe"),
    row("Scale", 1..=2, Count(1..=1), "γ·x (+ β) along some axes", scale::Scale::new_layer),
    row("ShuffleChannel", 1..=1, Count(1..=1), "channels of all groups mixed", shuffle_channel::ShuffleChannel::new_layer).of("ShuffleNet Caffe"),
    row("Sigmoid", 1..=1, Count(1..=1), "1 / (1 + e⁻ˣ)", sigmoid::new_layer),
    row("SigmoidCrossEntropyLoss", 2..=2, Automatic(1..=1), "cross entropy of independent probabilities", sigmoid_cross_entropy_loss::SigmoidCrossEntropyLoss::new_layer),
    row("Silence", 1..=ANY, Count(0..=0), "takes blobs that nobody reads", silence::Silence::new_layer).without_gradient(),
    row("Slice", 1..=1, Count(1..=ANY), "cuts a blob along an axis", slice::Slice::new_layer),
    row("Softmax", 1..=1, Count(1..=1), "eˣ / Σ eˣ over an axis", softmax::Softmax::new_layer),
    row("SoftmaxWithLoss", 2..=2, Automatic(1..=2), "cross entropy of classes", softmax_with_loss::SoftmaxWithLoss::new_layer),
    row("Split", 1..=1, Count(1..=ANY), "one blob for several readers", split::Split::new_layer),
    row("SPP", 1..=1, Count(1..=1), "pooling over a pyramid of grids", spp::Spp::new_layer),
    row("StochasticDepth", 1..=1, Count(1..=1), "drops a residual branch at random while training", stochastic_depth::StochasticDepth::new_layer).of("rcaffe"),
    row("Swish", 1..=1, Count(1..=1), "x · sigmoid(beta·x)", swish::Swish::new_layer),
    row("TanH", 1..=1, Count(1..=1), "hyperbolic tangent", tanh::new_layer),
    row("Threshold", 1..=1, Count(1..=1), "1 above a threshold, 0 elsewhere", threshold::new_layer).without_gradient(),
    row("Tile", 1..=1, Count(1..=1), "a blob several times over", tile::Tile::new_layer),
    row("Upsample", 1..=2, Count(1..=1), "larger planes, by repeating values or by a mask", upsample::Upsample::new_layer).of("SegNet Caffe"),
    row("WindowData", 0..=0, Count(2..=2), "windows of pictures, on objects and beside them", window_data::WindowData::new_layer).without_gradient(),
];

/// The row of a layer type.
///
/// # Errors
/// When there is no such layer; the message names the fork that has it or the nearest type.
pub fn layer_type(name: &str) -> Result<&'static LayerType> {
    TABLE.iter().find(|row| row.name == name).ok_or_else(|| {
        let near = suggest::nearest(name, TABLE.iter().map(|row| row.name.to_string()));
        let message = match (forks::layer_type(name), near) {
            (Some(fork), near) => {
                let near = near.map_or(String::new(), |near| format!("the nearest type here is {near:?}; "));
                format!("{name:?} is a layer of {fork}; {near}`rcaffe layers` lists what there is")
            }
            (None, Some(near)) => format!("unknown layer type {name:?}; did you mean {near:?}?"),
            (None, None) => format!("unknown layer type {name:?}; `rcaffe layers` lists what there is"),
        };
        Error::config("type", message)
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
        let error = layer_type("MultiBoxLoss").err().unwrap().to_string();
        assert!(error.contains("a layer of SSD Caffe"), "{error}");
        assert!(!layer_type("Teleport").err().unwrap().to_string().contains("did you mean"));
    }
}
