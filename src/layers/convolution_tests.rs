//! Tests of the Convolution layer: options, shapes, gradients.

use super::*;
use crate::{
    layers::testing::{GradientCheck, Trial, values},
    ops::gemm::Kernel,
    proto::{BlobProto, ConvolutionParameter, convolution_parameter::Engine},
};

fn message(options: ConvolutionParameter, blobs: &[Vec<f32>]) -> LayerParameter {
    LayerParameter {
        r#type: Some("Convolution".into()),
        convolution_param: Some(options),
        blobs: blobs.iter().map(|data| BlobProto { data: data.clone(), ..Default::default() }).collect(),
        ..Default::default()
    }
}

fn options(outputs: u32, kernel: u32) -> ConvolutionParameter {
    ConvolutionParameter { num_output: Some(outputs), kernel_size: vec![kernel], ..Default::default() }
}

fn failure(options: ConvolutionParameter, shape: &[usize]) -> String {
    let count = shape.iter().product();
    let result = Trial::of(&message(options, &[])).bottom(shape, values(count, 1)).run();
    result.err().expect("the options are impossible").to_string()
}

#[test]
fn sums_windows() {
    let message = message(options(1, 2), &[vec![1.0, 2.0, 3.0, 4.0], vec![0.5]]);
    let trial = Trial::of(&message).bottom([1, 1, 2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).run().unwrap();
    assert_eq!((trial.top_shape(0), trial.top(0)), (vec![1, 1, 1, 2], vec![37.5, 47.5]));
}

#[test]
fn shapes_follow_the_options() {
    let rectangular = ConvolutionParameter {
        num_output: Some(4),
        kernel_h: Some(3),
        kernel_w: Some(5),
        stride_h: Some(2),
        stride_w: Some(1),
        pad_h: Some(1),
        ..Default::default()
    };
    let blobs = [vec![0.0; 4 * 2 * 15], vec![0.0; 4]];
    let trial = Trial::of(&message(rectangular, &blobs)).bottom([2, 2, 7, 9], [0.0; 252]).run().unwrap();
    assert_eq!(trial.top_shape(0), [2, 4, 4, 5]);
    assert_eq!(trial.parameter(0).shape().dims(), [4, 2, 3, 5]);

    let volume = ConvolutionParameter {
        num_output: Some(2),
        kernel_size: vec![1, 2, 3],
        stride: vec![1],
        dilation: vec![1, 2, 1],
        bias_term: Some(false),
        ..Default::default()
    };
    let trial = Trial::of(&message(volume, &[vec![0.0; 12]])).bottom([1, 1, 3, 4, 5], [0.0; 60]).run().unwrap();
    assert_eq!(trial.top_shape(0), [1, 2, 3, 2, 3]);

    let blobs = [vec![2.0; 6], vec![0.0; 2]];
    let trial = Trial::of(&message(options(2, 1), &blobs)).bottom([2, 3], [1.0; 6]).run().unwrap();
    assert_eq!((trial.top_shape(0), trial.top(0)), (vec![2, 2], vec![6.0; 4]));
}

#[test]
fn gradients() {
    let cases = [
        ConvolutionParameter { pad: vec![1], ..options(2, 3) },
        ConvolutionParameter { stride: vec![2], group: Some(2), ..options(4, 2) },
        ConvolutionParameter { dilation: vec![2], pad: vec![2], bias_term: Some(false), ..options(2, 2) },
    ];
    for options in cases {
        let weights = options.num_output() * 2 / options.group() * options.kernel_size[0].pow(2);
        let blobs = [values(weights as usize, 1), values(options.num_output() as usize, 2)];
        let count = 1 + usize::from(options.bias_term());
        let message = message(options, &blobs[..count]);
        let builder = Trial::of(&message).bottom([2, 2, 4, 3], values(48, 3)).bottom([2, 2, 4, 3], values(48, 4));
        let mut trial = builder.tops(2).run().unwrap();
        GradientCheck::default().run(&mut trial);
    }
}

/// Winograd's way rounds otherwise than the direct sum, which `engine: CAFFE` asks for.
#[test]
fn engine_chooses_the_direct_sum() {
    let blobs = [values(32 * 32 * 9, 1), values(32, 2)];
    let top = |engine| {
        let options = ConvolutionParameter { pad: vec![1], engine: Some(engine as i32), ..options(32, 3) };
        let message = message(options, &blobs);
        Trial::of(&message).bottom([8, 32, 8, 8], values(8 * 32 * 64, 3)).run().unwrap().top(0)
    };
    let (direct, default) = (top(Engine::Caffe), top(Engine::Default));
    let largest = direct.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    assert!(direct.iter().zip(&default).all(|(a, b)| (a - b).abs() <= 1e-5 * largest));
    // Without fused multiplication all goes by the direct sum.
    assert_eq!(direct == default, Kernel::get().name == "portable");
}

#[test]
fn impossible_options_are_named() {
    let starts = |text: String, start: &str| assert!(text.starts_with(start), "{text}");
    let image = [1, 3, 5, 5];
    starts(failure(options(0, 3), &image), "convolution_param.num_output: must be at least 1");
    starts(failure(options(2, 0), &image), "convolution_param.kernel_size: must be at least 1");
    let missing = ConvolutionParameter { num_output: Some(2), ..Default::default() };
    starts(failure(missing, &image), "convolution_param.kernel_size: is missing: give kernel_size, or kernel_h");
    let both = ConvolutionParameter { kernel_h: Some(3), kernel_w: Some(3), ..options(2, 3) };
    starts(failure(both, &image), "convolution_param.kernel_size: is given together with kernel_h");
    let half = ConvolutionParameter { kernel_size: vec![], kernel_h: Some(3), ..options(2, 3) };
    starts(failure(half, &image), "convolution_param.kernel_w: is missing");
    starts(
        failure(options(2, 6), &image),
        "convolution_param.kernel_size: a kernel of 6 (dilated: 6) does not fit axis 2",
    );
    let groups = ConvolutionParameter { group: Some(2), ..options(2, 3) };
    starts(
        failure(groups, &image),
        "convolution_param.group: 2 groups do not divide the bottom's 3 channels (1×3×5×5)",
    );
    let groups = ConvolutionParameter { group: Some(3), ..options(2, 3) };
    starts(failure(groups, &image), "convolution_param.group: 3 groups do not divide num_output 2");
    let stride = ConvolutionParameter { stride: vec![0], ..options(2, 3) };
    starts(failure(stride, &image), "convolution_param.stride: must be at least 1");
    let pads = ConvolutionParameter { pad: vec![1, 1, 1], ..options(2, 3) };
    starts(failure(pads, &image), "convolution_param.pad: has 3 values for a bottom with 2 spatial axes");
    let pair = ConvolutionParameter { pad_h: Some(1), ..options(2, 3) };
    starts(failure(pair, &[1, 3, 5]), "convolution_param.pad_h: pad_h and pad_w are for two spatial axes");
    let huge = ConvolutionParameter { pad: vec![u32::MAX], ..options(2, 3) };
    starts(failure(huge, &image), "convolution_param: the top would be");
    starts(failure(ConvolutionParameter { axis: Some(4), ..options(2, 3) }, &image), "convolution_param.axis: axis 4");
}

#[test]
fn bottoms_must_have_one_shape() {
    let message = message(options(1, 1), &[vec![1.0; 2], vec![0.0]]);
    let builder = Trial::of(&message).bottom([1, 2, 2, 2], [0.0; 8]).bottom([1, 2, 1, 2], [0.0; 4]);
    let error = builder.tops(2).run().err().unwrap();
    assert_eq!(error.to_string(), "bottoms must have one shape: bottom 0 is 1×2×2×2, bottom 1 is 1×2×1×2");
}
