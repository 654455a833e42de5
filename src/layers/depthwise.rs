//! `DepthwiseConvolution` and `ConvolutionDepthwise`: a convolution whose every channel has filters of its own.
//!
//! Both are `Convolution` (see its options and shapes) with as many groups as channels; the parameters are those of such a
//! grouped Convolution, so weights go from one type to the other. They differ in what the net file may leave out:
//!
//! | option (`convolution_param`) | `DepthwiseConvolution` | `ConvolutionDepthwise` |
//! |---|---|---|
//! | `num_output` | as in Convolution | the channels; another number is an error |
//! | `group` | the channels, if not given | the channels; another number is an error |
//!
//! `DepthwiseConvolution` is the layer of the MobileNet port (yonghenglh6/DepthwiseConvolution), a Convolution that is fast when
//! there are as many groups as channels and filters. `ConvolutionDepthwise` is that of BVLC's pull request 5665, which takes the
//! number of filters from the bottom and does not look at `num_output` and `group`; here they must not say otherwise.

use crate::{
    error::{Error, Result},
    layers::{End, Io, Layer, Setup, Work, convolution::Convolution},
    proto::{ConvolutionParameter, LayerParameter},
};

/// Which of the two types.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    DepthwiseConvolution,
    ConvolutionDepthwise,
}

/// The layer; see the module's text.
pub struct Depthwise {
    kind: Kind,
    options: ConvolutionParameter,
    /// Made in setup, when the channels are known.
    convolution: Option<Box<dyn Layer>>,
}

/// Reads the options of a `DepthwiseConvolution`.
///
/// # Errors
/// None: they are checked against the bottom's shape.
pub fn depthwise_convolution(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    Depthwise::new_layer(layer, Kind::DepthwiseConvolution)
}

/// Reads the options of a `ConvolutionDepthwise`.
///
/// # Errors
/// None: they are checked against the bottom's shape.
pub fn convolution_depthwise(layer: &LayerParameter) -> Result<Box<dyn Layer>> {
    Depthwise::new_layer(layer, Kind::ConvolutionDepthwise)
}

impl Depthwise {
    fn new_layer(layer: &LayerParameter, kind: Kind) -> Result<Box<dyn Layer>> {
        let options = layer.convolution_param.clone().unwrap_or_default();
        Ok(Box::new(Depthwise { kind, options, convolution: None }))
    }

    /// The options of the grouped convolution over so many channels.
    fn grouped(&self, channels: usize) -> Result<ConvolutionParameter> {
        let channels = u32::try_from(channels).unwrap_or(u32::MAX);
        let mut options = self.options.clone();
        if self.kind == Kind::ConvolutionDepthwise {
            for (field, given) in [("num_output", options.num_output), ("group", options.group)] {
                if given.is_some_and(|given| given != channels) {
                    let message = format!("must be {channels}, the bottom's channels, or be left out");
                    return Err(Error::config(format!("convolution_param.{field}"), message));
                }
            }
            options.num_output = Some(channels);
        }
        options.group.get_or_insert(channels);
        Ok(options)
    }

    fn convolution(&mut self) -> &mut dyn Layer {
        self.convolution.as_mut().expect("setup comes first").as_mut()
    }
}

impl Layer for Depthwise {
    fn setup(&mut self, setup: &mut Setup<'_>) -> Result<()> {
        let bottom = &setup.bottoms[0];
        let channels = bottom.dims()[bottom.axis(self.options.axis(), "convolution_param.axis")?];
        let convolution_param = Some(self.grouped(channels)?);
        let mut convolution =
            Convolution::new_layer(&LayerParameter { convolution_param, ..LayerParameter::default() })?;
        convolution.setup(setup)?;
        self.convolution = Some(convolution);
        Ok(())
    }

    fn reshape(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.convolution().reshape(io)
    }

    fn forward(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.convolution().forward(io)
    }

    fn backward(&mut self, io: &mut Io<'_>) -> Result<()> {
        self.convolution().backward(io)
    }

    fn backward_reads(&self, data: End) -> bool {
        self.convolution.as_ref().is_none_or(|convolution| convolution.backward_reads(data))
    }

    fn runs_on_device(&self) -> bool {
        self.convolution.as_ref().is_none_or(|convolution| convolution.runs_on_device())
    }

    fn work(&self, io: &Io<'_>) -> Work {
        self.convolution.as_ref().map_or_else(Work::default, |convolution| convolution.work(io))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        layers::testing::{GradientCheck, Trial, assert_close, values},
        proto::{BlobProto, ConvolutionParameter, LayerParameter},
    };

    fn message(name: &str, num_output: Option<u32>, group: Option<u32>) -> LayerParameter {
        let convolution_param =
            ConvolutionParameter { num_output, group, kernel_size: vec![3], pad: vec![1], ..Default::default() };
        LayerParameter { r#type: Some(name.into()), convolution_param: Some(convolution_param), ..Default::default() }
    }

    fn with_blobs(message: LayerParameter) -> LayerParameter {
        let blob = |values: Vec<f32>| BlobProto { data: values, ..Default::default() };
        LayerParameter { blobs: vec![blob(values(27, 5)), blob(values(3, 6))], ..message }
    }

    /// y\[n\]\[c\]\[h\]\[w\] = bias\[c\] + Σ weights\[c\]\[i\]\[j\] · x\[n\]\[c\]\[h+i−1\]\[w+j−1\], zeros outside.
    fn expected(x: &[f32], [images, height, width]: [usize; 3]) -> Vec<f32> {
        let (weights, bias) = (values(27, 5), values(3, 6));
        let at = |plane: usize, row: usize, column: usize| -> f32 {
            let inside = (1..=height).contains(&row) && (1..=width).contains(&column);
            if inside { x[(plane * height + row - 1) * width + column - 1] } else { 0.0 }
        };
        let mut y = Vec::new();
        for plane in 0..images * 3 {
            for row in 0..height {
                for column in 0..width {
                    let taps =
                        (0..9).map(|tap| weights[plane % 3 * 9 + tap] * at(plane, row + tap / 3, column + tap % 3));
                    y.push(bias[plane % 3] + taps.sum::<f32>());
                }
            }
        }
        y
    }

    #[test]
    fn each_channel_sees_its_filter() {
        let x = values(2 * 3 * 4 * 5, 1);
        for (name, num_output, group) in [
            ("DepthwiseConvolution", Some(3), Some(3)),
            ("DepthwiseConvolution", Some(3), None),
            ("ConvolutionDepthwise", Some(3), None),
            ("ConvolutionDepthwise", None, None),
            ("Convolution", Some(3), Some(3)),
        ] {
            let message = with_blobs(message(name, num_output, group));
            let trial = Trial::of(&message).bottom([2, 3, 4, 5], x.clone()).run().unwrap();
            assert_eq!(trial.parameter(0).shape().dims(), [3, 1, 3, 3]);
            assert_close(&trial.top(0), &expected(&x, [2, 4, 5]));
        }
    }

    #[test]
    fn a_channel_may_have_several_filters() {
        let message = message("DepthwiseConvolution", Some(6), None);
        let trial = Trial::of(&message).bottom([2, 3, 4, 5], values(120, 1)).run().unwrap();
        assert_eq!((trial.top_shape(0)[1], trial.parameter(0).shape().dims()), (6, &[6, 1, 3, 3][..]));
    }

    #[test]
    fn gradients() {
        for (name, stride, dilation) in
            [("DepthwiseConvolution", 1, 1), ("ConvolutionDepthwise", 2, 1), ("ConvolutionDepthwise", 1, 2)]
        {
            let mut message = with_blobs(message(name, Some(3), None));
            let options = message.convolution_param.as_mut().unwrap();
            (options.stride, options.dilation) = (vec![stride], vec![dilation]);
            let mut trial = Trial::of(&message).bottom([1, 3, 4, 3], values(36, 1)).run().unwrap();
            GradientCheck::default().run_each(&mut trial);
        }
    }

    #[test]
    fn numbers_that_contradict_the_channels_are_named() {
        let error = |message: &LayerParameter| {
            Trial::of(message).bottom([2, 3, 4, 5], values(120, 1)).build().err().unwrap().to_string()
        };
        let conflict = error(&message("ConvolutionDepthwise", Some(4), None));
        assert!(conflict.contains("convolution_param.num_output: must be 3"), "{conflict}");
        let conflict = error(&message("ConvolutionDepthwise", None, Some(1)));
        assert!(conflict.contains("convolution_param.group: must be 3"), "{conflict}");
        let missing = error(&message("DepthwiseConvolution", None, None));
        assert!(missing.contains("convolution_param.num_output"), "{missing}");
        let uneven = error(&message("DepthwiseConvolution", Some(4), None));
        assert!(uneven.contains("convolution_param.group"), "{uneven}");
    }
}
