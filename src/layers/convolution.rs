//! `Convolution`: each output position is a filter's weighted sum over a window of the bottom, plus a bias.
//!
//! | option (`convolution_param`) | default | meaning |
//! |---|---|---|
//! | `num_output` | | M, the number of filters |
//! | `kernel_size`, once or per axis; or `kernel_h` and `kernel_w` | | taps along each spatial axis |
//! | `stride`, once or per axis; or `stride_h` and `stride_w` | 1 | distance between outputs |
//! | `pad`, once or per axis; or `pad_h` and `pad_w` | 0 | zeros added at each side |
//! | `dilation`, once or per axis | 1 | distance between taps |
//! | `group` | 1 | channels and filters are cut into so many groups that do not see each other |
//! | `bias_term` | true | learn a bias per filter |
//! | `weight_filler`, `bias_filler` | constant 0 | initial values, drawn in this order |
//! | `axis` | 1 | the channel axis; all axes behind it are spatial |
//! | `engine` | `DEFAULT` | `CAFFE`: always the direct sum; else 3×3 filters of many channels go by Winograd's shorter way, with rounding of its own |
//! | `force_nd_im2col` | | accepted; it chooses Caffe's implementation, not the result |
//!
//! Bottoms: one or several of one shape (N×C×H×W, or any other number of spatial axes). Tops: one per bottom, N×M×H'×W'
//! with H' = ⌊(H + 2·pad − (dilation·(kernel − 1) + 1)) / stride⌋ + 1. Parameters, shared by all bottoms: weights
//! M×(C/group)×kernel_h×kernel_w, bias M.

use crate::{
    error::{Error, Result},
    layers::{Io, Layer, Setup, Work},
    ops::conv::{self, Axis, Geometry},
    proto::{ConvolutionParameter, LayerParameter, convolution_parameter::Engine},
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Convolution {
    options: Options,
    channel_axis: usize,
    windows: Vec<Window>,
    op: Option<conv::Convolution>,
}

impl Convolution {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When an option is missing, given twice, or cannot be right.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        let options = Options::new(layer)?;
        Ok(Box::new(Convolution { options, channel_axis: 0, windows: Vec::new(), op: None }))
    }

    fn geometry(&self, bottom: &Shape) -> Result<Geometry> {
        let spatial = &bottom.dims()[self.channel_axis + 1..];
        let mut axes = Vec::with_capacity(spatial.len());
        for (position, (&input, window)) in spatial.iter().zip(&self.windows).enumerate() {
            let axis = window.over(input);
            if axis.output().is_none() {
                let message = format!(
                    "a kernel of {} (dilated: {}) does not fit axis {} of the bottom ({bottom}), which is {} with padding",
                    axis.kernel,
                    axis.extent(),
                    self.channel_axis + 1 + position,
                    input + 2 * axis.pad,
                );
                return Err(Error::config("convolution_param.kernel_size", message));
            }
            axes.push(axis);
        }
        let images = bottom.count_before(self.channel_axis);
        let channels = bottom.dims()[self.channel_axis];
        Ok(Geometry { images, channels, outputs: self.options.outputs, groups: self.options.groups, axes })
    }

    fn op(&mut self) -> &mut conv::Convolution {
        self.op.as_mut().expect("reshape comes before the first run")
    }
}

impl Layer for Convolution {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let bottom = &setup.bottoms[0];
        self.channel_axis = self.options.channel_axis(bottom)?;
        let spatial = bottom.axes() - self.channel_axis - 1;
        self.windows = self.options.windows(spatial)?;
        let channels = bottom.dims()[self.channel_axis];
        self.options.check_groups(channels, bottom)?;
        let mut weights = vec![self.options.outputs, channels / self.options.groups];
        weights.extend(self.windows.iter().take(spatial).map(|window| window.kernel));
        self.options.add_parameters(setup, &Shape::new(weights))
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        let channels = io.parameter(0).dim(1) * self.options.groups;
        check_bottoms(io, channels, self.channel_axis, self.windows.len())?;
        let bottom = io.bottom(0).shape();
        let geometry = self.geometry(bottom)?;
        let mut top = bottom.dims()[..self.channel_axis].to_vec();
        top.push(geometry.outputs);
        top.extend(geometry.axes.iter().filter_map(Axis::output));
        check_count(&top, "the top")?;
        check_padding(io, &geometry)?;
        let top = Shape::new(top);
        for position in 0..io.tops.len() {
            io.set_top_shape(position, &top)?;
        }
        if self.op.as_ref().is_none_or(|op| *op.geometry() != geometry) {
            self.op = Some(self.options.op(geometry));
        }
        Ok(())
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let bias = self.options.bias.then(|| io.parameter(1).data());
        for position in 0..io.tops.len() {
            let (bottom, top) = (io.bottom(position).data(), io.top(position).data());
            self.op().forward(io.device(), bottom, io.parameter(0).data(), bias, top);
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let device = io.device();
        for position in 0..io.tops.len() {
            let (bottom, top) = (io.bottom(position), io.top(position));
            if self.options.bias && io.wants_parameter_gradient(1) {
                self.op().backward_bias(device, top.diff(), io.parameter(1).diff());
            }
            if io.wants_parameter_gradient(0) {
                self.op().backward_weights(device, bottom.data(), top.diff(), io.parameter(0).diff());
            }
            if io.wants_bottom_gradient(position) {
                self.op().backward_bottom(device, top.diff(), io.parameter(0).data(), None, bottom.diff());
            }
        }
        Ok(())
    }

    fn work(&self, io: &Io<'_>) -> Work {
        let taps = io.parameter(0).count() / self.options.outputs;
        (0..io.tops.len()).map(|position| Work::of_product(io, position, 0, io.top(position).count() * taps)).sum()
    }
}

/// The options of a convolution or a deconvolution that do not depend on the bottom, checked.
pub(super) struct Options {
    message: ConvolutionParameter,
    /// `num_output`.
    pub outputs: usize,
    /// `group`.
    pub groups: usize,
    /// `bias_term`.
    pub bias: bool,
}

/// The window along one spatial axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Taps.
    pub kernel: usize,
    /// Distance between outputs.
    pub stride: usize,
    /// Zeros at each side.
    pub pad: usize,
    /// Distance between taps.
    pub dilation: usize,
}

impl Window {
    /// The window over an axis of this extent.
    pub(super) fn over(self, input: usize) -> Axis {
        let Window { kernel, stride, pad, dilation } = self;
        Axis { input, kernel, stride, pad, dilation }
    }
}

impl Options {
    /// Reads the options.
    ///
    /// # Errors
    /// When one cannot be right whatever the bottom.
    pub(super) fn new(layer: &LayerParameter) -> Result<Self> {
        let message = layer.convolution_param.clone().unwrap_or_default();
        let at_least_one = |value: u32, option: &str| match value {
            0 => Err(Error::config(format!("convolution_param.{option}"), "must be at least 1")),
            value => Ok(value as usize),
        };
        let outputs = at_least_one(message.num_output(), "num_output")?;
        let groups = at_least_one(message.group(), "group")?;
        Ok(Options { outputs, groups, bias: message.bias_term(), message })
    }

    /// The convolution of these sizes, by the way that `engine` allows.
    pub(super) fn op(&self, geometry: Geometry) -> conv::Convolution {
        match self.message.engine() {
            Engine::Caffe => conv::Convolution::direct(geometry),
            Engine::Default | Engine::Cudnn => conv::Convolution::new(geometry),
        }
    }

    /// The channel axis of a bottom.
    ///
    /// # Errors
    /// When the bottom has no such axis.
    pub(super) fn channel_axis(&self, bottom: &Shape) -> Result<usize> {
        bottom.axis(self.message.axis(), "convolution_param.axis")
    }

    /// The window along each of so many spatial axes.
    ///
    /// # Errors
    /// When an option is missing, is 0, is given in both ways, or has another number of values.
    pub(super) fn windows(&self, spatial: usize) -> Result<Vec<Window>> {
        let message = &self.message;
        let pair =
            |height: Option<u32>, width: Option<u32>| (height.is_some() || width.is_some()).then_some([height, width]);
        let kernel = PerAxis {
            option: "kernel",
            listed: ("kernel_size", &message.kernel_size),
            pair: pair(message.kernel_h, message.kernel_w),
            default: None,
            least: 1,
        };
        let stride = PerAxis {
            option: "stride",
            listed: ("stride", &message.stride),
            pair: pair(message.stride_h, message.stride_w),
            default: Some(1),
            least: 1,
        };
        let pad = PerAxis {
            option: "pad",
            listed: ("pad", &message.pad),
            pair: pair(message.pad_h, message.pad_w).map(|pair| pair.map(|pad| pad.or(Some(0)))),
            default: Some(0),
            least: 0,
        };
        let dilation = PerAxis {
            option: "dilation",
            listed: ("dilation", &message.dilation),
            pair: None,
            default: Some(1),
            least: 1,
        };
        let all = [kernel, stride, pad, dilation].map(|option| option.values(spatial));
        let [kernel, stride, pad, dilation] = all;
        let (kernel, stride, pad, dilation) = (kernel?, stride?, pad?, dilation?);
        let window =
            |axis| Window { kernel: kernel[axis], stride: stride[axis], pad: pad[axis], dilation: dilation[axis] };
        Ok((0..spatial).map(window).collect())
    }

    /// Checks that the groups divide channels and outputs.
    ///
    /// # Errors
    /// When they do not.
    pub(super) fn check_groups(&self, channels: usize, bottom: &Shape) -> Result<()> {
        let groups = self.groups;
        let message = if channels == 0 || !channels.is_multiple_of(groups) {
            format!("{groups} groups do not divide the bottom's {channels} channels ({bottom})")
        } else if !self.outputs.is_multiple_of(groups) {
            format!("{groups} groups do not divide num_output {}", self.outputs)
        } else {
            return Ok(());
        };
        Err(Error::config("convolution_param.group", message))
    }

    /// Makes the weights of this shape, then the bias.
    ///
    /// # Errors
    /// When a filler cannot fill them.
    pub(super) fn add_parameters(&self, setup: &mut Setup<'_>, weights: &Shape) -> Result<()> {
        check_count(weights.dims(), "the weights")?;
        let weight_filler = self.message.weight_filler.clone().unwrap_or_default();
        setup.add_parameter(weights.clone(), &weight_filler, "convolution_param.weight_filler")?;
        if self.bias {
            let bias_filler = self.message.bias_filler.clone().unwrap_or_default();
            setup.add_parameter(Shape::from([self.outputs]), &bias_filler, "convolution_param.bias_filler")?;
        }
        Ok(())
    }
}

/// Checks that all bottoms have one shape, with values, for which the weights are made: `channels` on their axis and behind it so
/// many spatial axes.
///
/// # Errors
/// When they have not.
pub(super) fn check_bottoms(io: &Io<'_>, channels: usize, channel_axis: usize, spatial: usize) -> Result<()> {
    let first = io.bottom(0).shape();
    for position in 1..io.bottoms.len() {
        let shape = io.bottom(position).shape();
        if shape != first {
            let message = format!("bottoms must have one shape: bottom 0 is {first}, bottom {position} is {shape}");
            return Err(Error::shape(message));
        }
    }
    let axes = channel_axis + 1 + spatial;
    if first.axes() != axes || first.dims()[channel_axis] != channels {
        let message = format!(
            "bottom 0 is {first}; the weights ({}) are for {channels} channels on axis {channel_axis} of {axes}",
            io.parameter(0).shape(),
        );
        return Err(Error::shape(message));
    }
    if first.count() == 0 {
        return Err(Error::shape(format!("the bottom has no values: {first}")));
    }
    Ok(())
}

/// Checks that the padded source, of which images are copied while running, has room.
pub(super) fn check_padding(io: &Io<'_>, geometry: &Geometry) -> Result<()> {
    let mut padded: Vec<usize> = geometry.axes.iter().map(|axis| axis.input + 2 * axis.pad + axis.extent()).collect();
    padded.push(geometry.channels);
    io.check_room(&padded, "convolution_param.pad")
}

/// Checks that a blob's values can be counted as Caffe counts them, in 31 bits.
pub(super) fn check_count(dims: &[usize], blob: &str) -> Result<()> {
    let count = dims.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim));
    match count {
        Some(count) if count <= i32::MAX as usize => Ok(()),
        _ => {
            let message = format!("{blob} would be {}, more than 2147483647 values", Shape::from(dims));
            Err(Error::config("convolution_param", message))
        }
    }
}

/// An option with a value per spatial axis.
struct PerAxis<'a> {
    option: &'static str,
    /// The form that lists values, and its name.
    listed: (&'static str, &'a [u32]),
    /// The form of two options `_h` and `_w`, when either is given.
    pair: Option<[Option<u32>; 2]>,
    default: Option<u32>,
    least: u32,
}

impl PerAxis<'_> {
    fn values(&self, spatial: usize) -> Result<Vec<usize>> {
        let (name, listed) = self.listed;
        let field = format!("convolution_param.{name}");
        let values = match self.pair {
            Some(pair) => self.pair(pair, spatial)?,
            None if listed.len() == 1 || listed.is_empty() && self.default.is_some() => {
                let value = listed.first().copied().or(self.default).unwrap_or(0);
                vec![value; spatial.max(1)]
            }
            None if listed.len() == spatial => listed.to_vec(),
            None if listed.is_empty() => {
                return Err(Error::config(field, format!("is missing: give {}", self.forms(spatial))));
            }
            None => {
                let message = format!(
                    "has {} values for a bottom with {spatial} spatial axes: give one, or one per axis",
                    listed.len()
                );
                return Err(Error::config(field, message));
            }
        };
        if values.iter().any(|&value| value < self.least) {
            return Err(Error::config(field, format!("must be at least {}", self.least)));
        }
        Ok(values.into_iter().map(|value| value as usize).collect())
    }

    fn forms(&self, spatial: usize) -> String {
        let (name, option) = (self.listed.0, self.option);
        if spatial == 2 { format!("{name}, or {option}_h and {option}_w") } else { name.to_string() }
    }

    fn pair(&self, pair: [Option<u32>; 2], spatial: usize) -> Result<Vec<u32>> {
        let (name, listed) = self.listed;
        let option = self.option;
        if spatial != 2 {
            let message =
                format!("{option}_h and {option}_w are for two spatial axes, the bottom has {spatial}; use {name}");
            return Err(Error::config(format!("convolution_param.{option}_h"), message));
        }
        if !listed.is_empty() {
            let message = format!("is given together with {option}_h or {option}_w: give one form only");
            return Err(Error::config(format!("convolution_param.{name}"), message));
        }
        let mut values = Vec::with_capacity(2);
        for (value, suffix) in pair.into_iter().zip(["h", "w"]) {
            match value {
                Some(value) if value >= self.least => values.push(value),
                Some(_) => {
                    let message = format!("must be at least {}", self.least);
                    return Err(Error::config(format!("convolution_param.{option}_{suffix}"), message));
                }
                None => {
                    let message = format!("is missing: {option}_h and {option}_w go together");
                    return Err(Error::config(format!("convolution_param.{option}_{suffix}"), message));
                }
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
#[path = "convolution_tests.rs"]
mod tests;
