//! `Deconvolution`: a convolution run backward; each bottom value adds a multiple of the kernel to a window of the top.
//!
//! Options (`convolution_param`) as those of [`Convolution`](super::convolution), read in the other direction: `stride` is the
//! distance between windows of the top, `pad` what is cut off at each side of it. `weight_filler { type: "bilinear" }` with
//! `group` = `num_output` = C, `kernel_size: 2·f − f mod 2`, `stride: f` and `pad: ⌈(f − 1) / 2⌉` enlarges by f.
//!
//! Bottoms: one or several of one shape (N×C×H×W, or any other number of spatial axes). Tops: one per bottom, N×M×H'×W' with
//! H' = stride·(H − 1) + dilation·(kernel − 1) + 1 − 2·pad and M = `num_output`. Parameters, shared by all bottoms: weights
//! C×(M/group)×kernel_h×kernel_w, bias M.

use crate::{
    error::{Error, Result},
    layers::{
        End, Io, Layer, Setup, Work,
        convolution::{check_bottoms, check_padding},
        convolution_options::{Options, Window, check_count},
    },
    ops::{
        broadcast::{self, Spans, Sums},
        conv::{Convolution, Geometry},
        elementwise,
    },
    proto::LayerParameter,
    tensor::Shape,
};

/// The layer; see the module's text.
pub struct Deconvolution {
    options: Options,
    channel_axis: usize,
    windows: Vec<Window>,
    /// The convolution of the top to the bottom.
    op: Option<Convolution>,
    /// How the bias lies along the top.
    spans: Spans,
    sums: Sums,
}

impl Deconvolution {
    /// Reads and checks the options.
    ///
    /// # Errors
    /// When an option is missing, given twice, or cannot be right.
    pub fn new_layer(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
        Ok(Box::new(Deconvolution {
            options: Options::new(layer)?,
            channel_axis: 0,
            windows: Vec::new(),
            op: None,
            spans: Spans::default(),
            sums: Sums::default(),
        }))
    }

    /// The top's dimensions for a bottom of this shape.
    fn top_dims(&self, bottom: &Shape) -> Result<Vec<usize>> {
        let mut dims = bottom.dims()[..self.channel_axis].to_vec();
        dims.push(self.options.outputs);
        for (window, &input) in self.windows.iter().zip(&bottom.dims()[self.channel_axis + 1..]) {
            dims.push(top_extent(*window, input).ok_or_else(|| {
                let Window { kernel, stride, pad, dilation } = *window;
                let message = format!(
                    "a kernel of {kernel} (stride {stride}, dilation {dilation}, pad {pad}) makes no top of a bottom \
                     with extent {input} ({bottom})"
                );
                Error::config("convolution_param.kernel_size", message)
            })?);
        }
        check_count(&dims, "the top")?;
        Ok(dims)
    }

    fn geometry(&self, bottom: &Shape, top: &[usize]) -> Geometry {
        let axes = self.windows.iter().zip(&top[self.channel_axis + 1..]);
        Geometry {
            images: bottom.count_before(self.channel_axis),
            channels: self.options.outputs,
            outputs: bottom.dims()[self.channel_axis],
            groups: self.options.groups,
            axes: axes.map(|(window, &extent)| window.over(extent)).collect(),
        }
    }

    fn op(&mut self) -> &mut Convolution {
        self.op.as_mut().expect("reshape comes before the first run")
    }
}

/// The extent of the top along an axis: none when padding cuts all of it off.
fn top_extent(window: Window, input: usize) -> Option<usize> {
    let Window { kernel, stride, pad, dilation } = window;
    let extent = dilation.checked_mul(kernel - 1)?.checked_add(1)?;
    let full = stride.checked_mul(input.checked_sub(1)?)?.checked_add(extent)?;
    full.checked_sub(pad.checked_mul(2)?).filter(|&extent| extent > 0)
}

impl Layer for Deconvolution {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let bottom = &setup.bottoms[0];
        self.channel_axis = self.options.channel_axis(bottom)?;
        self.windows = self.options.windows(bottom.axes() - self.channel_axis - 1)?;
        let channels = bottom.dims()[self.channel_axis];
        self.options.check_groups(channels, bottom)?;
        let mut weights = vec![channels, self.options.outputs / self.options.groups];
        let spatial = bottom.axes() - self.channel_axis - 1;
        self.windows.truncate(spatial);
        weights.extend(self.windows.iter().map(|window| window.kernel));
        self.options.add_parameters(setup, &Shape::new(weights))
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        io.refuse_in_place()?;
        check_bottoms(io, io.parameter(0).dim(0), self.channel_axis, self.windows.len())?;
        let bottom = io.bottom(0).shape();
        let top = self.top_dims(bottom)?;
        let geometry = self.geometry(bottom, &top);
        check_padding(io, &geometry)?;
        self.spans = Spans { outer: geometry.images, dim: geometry.channels, inner: geometry.input_plane() };
        self.sums.resize(geometry.channels);
        for position in 0..io.tops.len() {
            io.set_top_shape(position, &Shape::from(&top[..]))?;
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
            self.op().backward_bottom(io.device(), bottom, io.parameter(0).data(), bias, top);
        }
        Ok(())
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        let device = io.device();
        for position in 0..io.tops.len() {
            let (bottom, top) = (io.bottom(position), io.top(position));
            if self.options.bias && io.wants_parameter_gradient(1) {
                broadcast::sums(device, self.spans, top.diff(), None, &self.sums);
                elementwise::add_scaled(device, 1.0, &self.sums.plain, io.parameter(1).diff());
            }
            if io.wants_parameter_gradient(0) {
                self.op().backward_weights(device, top.diff(), bottom.data(), io.parameter(0).diff());
            }
            if io.wants_bottom_gradient(position) {
                self.op().forward(device, top.diff(), io.parameter(0).data(), None, bottom.diff());
            }
        }
        Ok(())
    }

    fn backward_reads(&self, data: End) -> bool {
        matches!(data, End::Bottom(_))
    }

    fn runs_on_device(&self) -> bool {
        self.op.as_ref().is_none_or(|op| op.runs_on_device())
    }

    fn work(&self, io: &Io<'_>) -> Work {
        let taps = io.parameter(0).shape().count_from(1);
        (0..io.tops.len()).map(|position| Work::of_product(io, position, 0, io.bottom(position).count() * taps)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{BlobProto, ConvolutionParameter, FillerParameter},
    };

    fn message(options: ConvolutionParameter) -> LayerParameter {
        LayerParameter { r#type: Some("Deconvolution".into()), convolution_param: Some(options), ..Default::default() }
    }

    fn uniform() -> Option<FillerParameter> {
        Some(FillerParameter { r#type: Some("uniform".into()), min: Some(-1.0), max: Some(1.0), ..Default::default() })
    }

    fn options(outputs: u32, kernel: &[u32], stride: u32, pad: u32) -> ConvolutionParameter {
        ConvolutionParameter {
            num_output: Some(outputs),
            kernel_size: kernel.to_vec(),
            stride: vec![stride],
            pad: vec![pad],
            weight_filler: uniform(),
            bias_filler: uniform(),
            ..Default::default()
        }
    }

    #[test]
    fn each_value_spreads_the_kernel() {
        let mut layer = message(options(1, &[2], 2, 0));
        layer.blobs = [vec![1.0, 2.0, 3.0, 4.0], vec![0.5]].map(|data| BlobProto { data, ..Default::default() }).into();
        let trial = Trial::of(&layer).bottom([1, 1, 1, 2], [1.0, 10.0]).run().unwrap();
        assert_eq!(trial.top_shape(0), [1, 1, 2, 4]);
        assert_eq!(trial.top(0), [1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5]);
    }

    #[test]
    fn shapes_invert_those_of_convolution() {
        let shape = |options, bottom: [usize; 4]| {
            let count = bottom.iter().product();
            Trial::of(&message(options)).bottom(bottom, values(count, 1)).build().unwrap().top_shape(0)
        };
        assert_eq!(shape(options(4, &[4], 2, 1), [2, 3, 5, 6]), [2, 4, 10, 12]);
        assert_eq!(shape(options(4, &[1, 5], 3, 0), [1, 3, 2, 2]), [1, 4, 4, 8]);
        let dilated = ConvolutionParameter { dilation: vec![2], ..options(2, &[3], 1, 0) };
        assert_eq!(shape(dilated, [1, 1, 4, 4]), [1, 2, 8, 8]);
    }

    #[test]
    fn a_bilinear_kernel_enlarges() {
        let bilinear = Some(FillerParameter { r#type: Some("bilinear".into()), ..Default::default() });
        let options = ConvolutionParameter {
            group: Some(2),
            bias_term: Some(false),
            weight_filler: bilinear,
            ..options(2, &[4], 2, 1)
        };
        let trial = Trial::of(&message(options)).bottom([1, 2, 3, 3], [7.0; 18]).run().unwrap();
        let top = trial.top(0);
        let inner: Vec<f32> = (1..5).flat_map(|row| top[row * 6 + 1..row * 6 + 5].to_vec()).collect();
        assert_close(&inner, &[7.0; 16]);
    }

    #[test]
    fn gradients() {
        let grouped = ConvolutionParameter { group: Some(2), ..options(4, &[3, 2], 2, 1) };
        let volume = ConvolutionParameter { dilation: vec![2], ..options(2, &[2], 1, 0) };
        let unbiased = ConvolutionParameter { bias_term: Some(false), ..options(3, &[1], 1, 0) };
        for (options, shape) in
            [(grouped, vec![2, 2, 3, 4]), (volume, vec![1, 2, 2, 3, 2]), (unbiased, vec![2, 2, 2, 2])]
        {
            let count = shape.iter().product();
            let mut trial = Trial::of(&message(options)).bottom(Shape::new(shape), values(count, 3)).run().unwrap();
            GradientCheck::default().run(&mut trial);
        }
    }

    #[test]
    fn options_that_cannot_be_right() {
        let error = |options| {
            let trial = Trial::of(&message(options)).bottom([1, 3, 2, 2], values(12, 1)).build();
            trial.err().unwrap().to_string()
        };
        assert!(error(options(0, &[3], 1, 0)).starts_with("convolution_param.num_output"));
        assert!(error(options(2, &[0], 1, 0)).starts_with("convolution_param.kernel_size"));
        assert!(error(options(2, &[], 1, 0)).starts_with("convolution_param.kernel_size: is missing"));
        assert!(error(options(2, &[3], 1, 9)).contains("makes no top"));
        assert!(error(options(2, &[3], u32::MAX, 0)).contains("more than 2147483647 values"));
        let grouped = ConvolutionParameter { group: Some(2), ..options(2, &[3], 1, 0) };
        assert!(error(grouped).starts_with("convolution_param.group"));
    }
}
