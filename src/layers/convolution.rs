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
//! | `engine` | `DEFAULT` | `CAFFE`: always the direct sum, on a GPU by our own kernels; else 3×3 and 5×5 filters of many channels go by Winograd's shorter way, with rounding of its own |
//! | `force_nd_im2col` | | accepted; it chooses Caffe's implementation, not the result |
//!
//! Bottoms: one or several of one shape (N×C×H×W, or any other number of spatial axes). Tops: one per bottom, N×M×H'×W'
//! with H' = ⌊(H + 2·pad − (dilation·(kernel − 1) + 1)) / stride⌋ + 1. Parameters, shared by all bottoms: weights
//! M×(C/group)×kernel_h×kernel_w, bias M.

use super::convolution_options::{Options, Window, check_count};
use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, Setup, Work},
    ops::conv::{self, Axis, Geometry},
    proto::LayerParameter,
    tensor::{Device, Shape},
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
            let wants = [io.wants_parameter_gradient(0), self.options.bias && io.wants_parameter_gradient(1)];
            let (bottom_data, weights) = (bottom.data(), io.parameter(0));
            match wants {
                [true, true] => {
                    let bias = io.parameter(1).diff();
                    self.op().backward_parameters(device, bottom_data, top.diff(), weights.diff(), bias);
                }
                [true, false] => self.op().backward_weights(device, bottom_data, top.diff(), weights.diff()),
                [false, true] => self.op().backward_bias(device, top.diff(), io.parameter(1).diff()),
                [false, false] => {}
            }
            match io.gradient_sum() {
                Some(sum) => self.op().add_to_bottom(top.diff(), weights.data(), sum),
                None if io.wants_bottom_gradient(position) => {
                    self.op().backward_bottom(device, top.diff(), weights.data(), None, bottom.diff());
                }
                None => {}
            }
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Bottom(_))
    }

    fn adds_gradient(&self, device: Device) -> bool {
        self.op.as_ref().is_some_and(|op| op.adds_to_bottom(device))
    }

    fn runs_on_device(&self) -> bool {
        self.op.as_ref().is_none_or(|op| op.runs_on_device())
    }

    fn work(&self, io: &Io<'_>) -> Work {
        let taps = io.parameter(0).count() / self.options.outputs;
        (0..io.tops.len()).map(|position| Work::of_product(io, position, 0, io.top(position).count() * taps)).sum()
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

#[cfg(test)]
#[path = "convolution_tests.rs"]
mod tests;
