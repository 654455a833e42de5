//! A small detector like MobileNet-SSD, from its text to its boxes.

use rcaffe::{net::Net, prototxt::parse_net, rng::SharedRandom, tensor::Blob};

/// Two images of 24 by 32 pixels; a pointwise-depthwise block to 6 by 8 positions and a strided one to 3 by 4; three classes.
/// A small single-shot detector.
pub const DETECTOR: &str = r#"
name: "small_detector"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 24 dim: 32 } } }
layer {
  name: "conv0" type: "Convolution" bottom: "data" top: "conv0"
  convolution_param { num_output: 8 kernel_size: 3 stride: 4 pad: 1 weight_filler { type: "msra" } }
}
layer { name: "relu0" type: "ReLU6" bottom: "conv0" top: "conv0" }
layer {
  name: "conv1/dw" type: "DepthwiseConvolution" bottom: "conv0" top: "conv1/dw"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 group: 8 engine: CAFFE weight_filler { type: "msra" } }
}
layer { name: "relu1/dw" type: "ReLU6" bottom: "conv1/dw" top: "conv1/dw" }
layer { name: "norm1" type: "Normalize" bottom: "conv1/dw" top: "norm1"
  norm_param { across_spatial: false channel_shared: false scale_filler { type: "constant" value: 20 } } }
layer {
  name: "conv2/dw" type: "ConvolutionDepthwise" bottom: "conv1/dw" top: "conv2/dw"
  convolution_param { kernel_size: 3 stride: 2 pad: 1 bias_term: false weight_filler { type: "msra" } }
}
layer { name: "shuffle2" type: "ShuffleChannel" bottom: "conv2/dw" top: "shuffle2" shuffle_channel_param { group: 2 } }

layer {
  name: "loc1" type: "Convolution" bottom: "norm1" top: "loc1"
  convolution_param { num_output: 16 kernel_size: 1 weight_filler { type: "xavier" } }
}
layer { name: "loc1/perm" type: "Permute" bottom: "loc1" top: "loc1/perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc1/flat" type: "Flatten" bottom: "loc1/perm" top: "loc1/flat" }
layer {
  name: "conf1" type: "Convolution" bottom: "norm1" top: "conf1"
  convolution_param { num_output: 12 kernel_size: 1 weight_filler { type: "xavier" } }
}
layer { name: "conf1/perm" type: "Permute" bottom: "conf1" top: "conf1/perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf1/flat" type: "Flatten" bottom: "conf1/perm" top: "conf1/flat" }
layer { name: "prior1" type: "PriorBox" bottom: "norm1" bottom: "data" top: "prior1"
  prior_box_param { min_size: 6 max_size: 12 aspect_ratio: 2 flip: true
    variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }

layer {
  name: "loc2" type: "Convolution" bottom: "shuffle2" top: "loc2"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } }
}
layer { name: "loc2/perm" type: "Permute" bottom: "loc2" top: "loc2/perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc2/flat" type: "Flatten" bottom: "loc2/perm" top: "loc2/flat" }
layer {
  name: "conf2" type: "Convolution" bottom: "shuffle2" top: "conf2"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } }
}
layer { name: "conf2/perm" type: "Permute" bottom: "conf2" top: "conf2/perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf2/flat" type: "Flatten" bottom: "conf2/perm" top: "conf2/flat" }
layer { name: "prior2" type: "PriorBox" bottom: "shuffle2" bottom: "data" top: "prior2"
  prior_box_param { min_size: 12 variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }

layer { name: "loc" type: "Concat" bottom: "loc1/flat" bottom: "loc2/flat" top: "loc" concat_param { axis: 1 } }
layer { name: "conf" type: "Concat" bottom: "conf1/flat" bottom: "conf2/flat" top: "conf" concat_param { axis: 1 } }
layer { name: "prior" type: "Concat" bottom: "prior1" bottom: "prior2" top: "prior" concat_param { axis: 2 } }
layer { name: "conf/rows" type: "Reshape" bottom: "conf" top: "conf/rows"
  reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "conf/soft" type: "Softmax" bottom: "conf/rows" top: "conf/soft" softmax_param { axis: 2 } }
layer { name: "scores" type: "Flatten" bottom: "conf/soft" top: "scores" flatten_param { axis: 1 } }
layer {
  name: "found" type: "DetectionOutput" bottom: "loc" bottom: "scores" bottom: "prior" top: "found"
  include { phase: TEST }
  detection_output_param {
    num_classes: 3 share_location: true background_label_id: 0 code_type: CENTER_SIZE
    nms_param { nms_threshold: 0.45 top_k: 100 } keep_top_k: 20 confidence_threshold: 0.25
  }
}
"#;

/// Positions times boxes of both planes.
const PRIORS: usize = 6 * 8 * 4 + 3 * 4;

fn run(text: &str) -> Net {
    let mut net = Net::new(&parse_net(text, "detector.prototxt").unwrap().message, "", SharedRandom::new(7)).unwrap();
    let pixels = net.blob("data").unwrap().data().clone();
    pixels.host_mut().iter_mut().enumerate().for_each(|(place, pixel)| *pixel = (place * 37 % 101) as f32 / 50.0 - 1.0);
    net.forward().unwrap();
    net
}

fn values(net: &Net, blob: &str) -> Vec<f32> {
    net.blob(blob).map(Blob::data).unwrap().host().to_vec()
}

#[test]
fn a_detector_runs_from_its_text_to_its_boxes() {
    let net = run(DETECTOR);
    assert_eq!(net.blob("prior").unwrap().shape().dims(), [1, 2, PRIORS * 4]);
    let (offsets, scores, priors) = (values(&net, "loc"), values(&net, "scores"), values(&net, "prior"));
    assert_eq!((offsets.len(), scores.len()), (2 * PRIORS * 4, 2 * PRIORS * 3));
    let found = values(&net, "found");
    let rows: Vec<&[f32]> = found.chunks(7).collect();
    assert_eq!(net.blob("found").unwrap().shape().dims(), [1, 1, rows.len(), 7]);
    for image in [0.0, 1.0] {
        let count = rows.iter().filter(|row| row[0] == image).count();
        assert!((1..=20).contains(&count), "{count} boxes");
    }
    for row in &rows {
        // The score says which prior the box is of.
        let (image, class) = (row[0] as usize, row[1] as usize);
        let score = |prior: usize| scores[(image * PRIORS + prior) * 3 + class];
        let is_box = |prior: usize| {
            let (p, o) = (&priors[4 * prior..][..4], &offsets[(image * PRIORS + prior) * 4..][..4]);
            let (width, height) = (p[2] - p[0], p[3] - p[1]);
            let (x, y) = (p[0] + width / 2.0 + 0.1 * o[0] * width, p[1] + height / 2.0 + 0.1 * o[1] * height);
            let (width, height) = (width * (0.2 * o[2]).exp(), height * (0.2 * o[3]).exp());
            let expected = [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0];
            row[3..].iter().zip(expected).all(|(corner, expected)| (corner - expected).abs() < 1e-4)
        };
        assert!(row[2] > 0.25 && class > 0);
        assert!((0..PRIORS).any(|prior| score(prior) == row[2] && is_box(prior)), "{row:?} is no box of a prior");
    }
    let area = |row: &[f32]| (row[5] - row[3]) * (row[6] - row[4]);
    for (index, a) in rows.iter().enumerate() {
        for b in rows[..index].iter().filter(|b| b[..2] == a[..2]) {
            let both = (a[5].min(b[5]) - a[3].max(b[3])).max(0.0) * (a[6].min(b[6]) - a[4].max(b[4])).max(0.0);
            assert!(both / (area(a) + area(b) - both) <= 0.45 + 1e-5, "{a:?} and {b:?} overlap");
            assert!(a[2] <= b[2], "the better box comes first");
        }
    }
}

#[test]
fn depthwise_weights_are_those_of_a_grouped_convolution() {
    let grouped = DETECTOR.replace("DepthwiseConvolution", "Convolution").replace(
        r#"type: "ConvolutionDepthwise" bottom: "conv1/dw" top: "conv2/dw"
  convolution_param {"#,
        r#"type: "Convolution" bottom: "conv1/dw" top: "conv2/dw"
  convolution_param { num_output: 8 group: 8"#,
    );
    assert!(!grouped.contains("Depthwise"));
    let (depthwise, mut grouped) = (run(DETECTOR), run(&grouped));
    assert_eq!(values(&depthwise, "found"), values(&grouped, "found"));
    grouped.copy_weights(&depthwise.to_message(false), "").unwrap();
    grouped.forward().unwrap();
    assert_eq!(values(&depthwise, "found"), values(&grouped, "found"));
}
