//! The options of `Convolution`, `Deconvolution` and `Im2col` (`convolution_param`), read and checked.

use crate::{
    error::{Error, Result},
    layers::Setup,
    ops::conv::{self, Axis, Geometry},
    proto::{ConvolutionParameter, LayerParameter, convolution_parameter::Engine},
    tensor::Shape,
};

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
