//! How fast the ops are that nets spend their time in: each as a layer of its own, in the sizes that it has in the nets of `models/`.
//!
//! ```text
//! cargo bench --bench ops                    # everything
//! cargo bench --bench ops -- convolution     # what has "convolution" in its name
//! ```
//!
//! Elements per second are floating-point operations; other ops than products and convolutions show the bytes that must be read and
//! written once.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use rcaffe::{
    net::{Cost, Net},
    ops::{
        gemm::Gemm,
        update::{Parameters, Preparation, Regularization, Rule, Segment, Workspace, update},
    },
    prototxt::parse_net,
    rng::SharedRandom,
    tensor::{Buffer, Device},
};

/// Name; rows, columns and depth; whether A and B are transposed.
type Product = (&'static str, [usize; 3], [bool; 2]);

const PRODUCTS: &[Product] = &[
    ("square", [1024, 1024, 1024], [false, false]),
    ("cifar10_full ip1", [100, 10, 1024], [false, true]),
    ("lenet ip1", [64, 500, 800], [false, true]),
    ("lenet ip1 weights", [500, 800, 64], [true, false]),
    ("alexnet fc6 64", [64, 4096, 9216], [false, true]),
    ("alexnet fc6 10", [10, 4096, 9216], [false, true]),
    ("alexnet fc6 10 weights", [4096, 9216, 10], [true, false]),
    ("alexnet fc6 10 bottom", [10, 9216, 4096], [false, false]),
];

/// Name; images, channels, outputs, groups, extent, kernel, stride, pad.
type Convolution = (&'static str, [usize; 8]);

const CONVOLUTIONS: &[Convolution] = &[
    ("cifar10_full conv1", [100, 3, 32, 1, 32, 5, 1, 2]),
    ("cifar10_full conv2", [100, 32, 32, 1, 16, 5, 1, 2]),
    ("cifar10_full conv3", [100, 32, 64, 1, 8, 5, 1, 2]),
    ("alexnet conv1", [10, 3, 96, 1, 227, 11, 4, 0]),
    ("alexnet conv2", [10, 96, 256, 2, 27, 5, 1, 2]),
    ("alexnet conv3", [10, 256, 384, 1, 13, 3, 1, 1]),
    ("googlenet conv1", [10, 3, 64, 1, 224, 7, 2, 3]),
    ("googlenet conv2", [10, 64, 192, 1, 56, 3, 1, 1]),
    ("googlenet 3a 1x1", [10, 192, 64, 1, 28, 1, 1, 0]),
    ("googlenet 3a 5x5", [10, 16, 32, 1, 28, 5, 1, 2]),
    ("googlenet 5b 1x1", [10, 832, 384, 1, 7, 1, 1, 0]),
    ("depthwise 3x3", [10, 64, 64, 64, 56, 3, 1, 1]),
];

/// Name; the bottom; type and options.
type Other = (&'static str, &'static [usize], &'static str);

const OTHERS: &[Other] = &[
    ("pooling/max cifar10_full", &[100, 32, 32, 32], POOL_MAX),
    ("pooling/max googlenet", &[10, 64, 112, 112], POOL_MAX),
    (
        "pooling/max inception",
        &[10, 192, 28, 28],
        r#"type: "Pooling" pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 }"#,
    ),
    (
        "pooling/ave cifar10_full",
        &[100, 32, 16, 16],
        r#"type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 }"#,
    ),
    ("pooling/ave googlenet", &[10, 1024, 7, 7], r#"type: "Pooling" pooling_param { pool: AVE kernel_size: 7 }"#),
    ("lrn/across alexnet", &[10, 96, 55, 55], r#"type: "LRN" lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"#),
    (
        "lrn/within cifar10_full",
        &[100, 32, 16, 16],
        r#"type: "LRN" lrn_param { local_size: 3 alpha: 5e-5 beta: 0.75 norm_region: WITHIN_CHANNEL }"#,
    ),
    ("softmax/classes", &[64, 1000], r#"type: "Softmax""#),
    ("softmax/pixels", &[4, 21, 128, 128], r#"type: "Softmax""#),
    ("relu/alexnet", &[10, 96, 55, 55], r#"type: "ReLU""#),
    ("batch_norm/resnet20", &[128, 16, 32, 32], r#"type: "BatchNorm""#),
];

const POOL_MAX: &str = r#"type: "Pooling" pooling_param { pool: MAX kernel_size: 3 stride: 2 }"#;

criterion_group! {
    name = ops;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(300));
    targets = products, convolutions, others, updates
}
criterion_main!(ops);

fn products(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gemm");
    for &(name, [m, n, k], [transpose_a, transpose_b]) in PRODUCTS {
        let (a, b, c) = (values(m * k), values(k * n), values(m * n));
        let product = Gemm { transpose_a, transpose_b, ..Gemm::new(m, n, k) };
        group.throughput(Throughput::Elements((2 * m * n * k) as u64));
        group.bench_function(name, |bench| bench.iter(|| product.run(Device::default(), &a, &b, black_box(&c))));
    }
}

fn convolutions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("convolution");
    for &(name, [images, channels, outputs, groups, extent, kernel, stride, pad]) in CONVOLUTIONS {
        let options = |lr_mult: u32| {
            format!(
                r#"type: "Convolution" param {{ lr_mult: {lr_mult} }} param {{ lr_mult: {lr_mult} }}
                   convolution_param {{ num_output: {outputs} group: {groups} kernel_size: {kernel} stride: {stride} pad: {pad}
                   weight_filler {{ type: "xavier" }} }}"#
            )
        };
        let bottom = [images, channels, extent, extent];
        let mut net = one_layer(&bottom, &options(1), false);
        forward(&mut group, &format!("forward/{name}"), &mut net);
        backward(&mut group, &format!("weights/{name}"), &mut net);
        backward(&mut group, &format!("bottom/{name}"), &mut one_layer(&bottom, &options(0), true));
    }
}

fn others(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layer");
    for &(name, bottom, options) in OTHERS {
        let mut net = one_layer(bottom, options, true);
        forward(&mut group, &format!("{name} forward"), &mut net);
        backward(&mut group, &format!("{name} backward"), &mut net);
    }
}

/// The values of AlexNet in the segments of its layers, by and large.
fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("update");
    let count = 16 << 20;
    let (data, diff, histories) = (values(count), values(count), [values(count), values(count)]);
    let segments = [0, count / 4, count / 2].map(|start| Segment { start, count: 0, rate: 1e-9, decay: 5e-4 });
    let ends = [count / 4, count / 2, count];
    let segments: Vec<Segment> =
        segments.iter().zip(ends).map(|(segment, end)| Segment { count: end - segment.start, ..*segment }).collect();
    let preparation = Preparation { scale: 1.0, regularization: Regularization::L2 };
    let adam = Rule::Adam { beta1: 0.9, beta2: 0.999, delta: 1e-8, correction: 1.0 };
    group.throughput(Throughput::Elements(count as u64));
    for (name, rule) in [("sgd", Rule::Sgd { momentum: 0.9 }), ("adam", adam)] {
        let parameters =
            Parameters { data: &data, diff: &diff, histories: &histories[..rule.histories()], segments: &segments };
        let mut workspace = Workspace::default();
        group.bench_function(name, |bench| {
            bench.iter(|| update(Device::default(), rule, preparation, parameters, &mut workspace));
        });
    }
}

/// A net of a bottom and the layer. The layer learns what it has; the bottom's gradient is computed if wanted.
fn one_layer(bottom: &[usize], layer: &str, wants_gradient: bool) -> Net {
    let dims: String = bottom.iter().map(|dim| format!("dim: {dim} ")).collect();
    let text = format!(
        r#"layer {{ name: "bottom" type: "Parameter" top: "x" parameter_param {{ shape {{ {dims} }} }} }}
           layer {{ name: "layer" bottom: "x" top: "y" propagate_down: {wants_gradient} {layer} }}
           layer {{ name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }}"#
    );
    let document = parse_net(&text, "bench").expect("a net");
    let mut message = document.message;
    message.state.get_or_insert_default().phase = Some(rcaffe::proto::Phase::Train.into());
    let mut net = Net::new(&message, "bench", SharedRandom::new(1)).expect("a net");
    let x = net.layer_parameters(0)[0].data().clone();
    x.host_mut().copy_from_slice(&values(x.len()).host());
    net.forward().expect("a forward pass");
    net.backward().expect("a backward pass");
    net
}

fn forward(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, net: &mut Net) {
    let cost = net.layer_cost(1).expect("a cost").forward;
    group.throughput(throughput(cost));
    group.bench_function(name, |bench| bench.iter(|| black_box(net.forward_layer(1).expect("a forward pass"))));
}

fn backward(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, net: &mut Net) {
    let cost = net.layer_cost(1).expect("a cost").backward;
    group.throughput(throughput(cost));
    group.bench_function(name, |bench| bench.iter(|| net.backward_layer(1).expect("a backward pass")));
}

fn throughput(cost: Cost) -> Throughput {
    match cost.operations {
        0 => Throughput::Bytes(cost.bytes),
        operations => Throughput::Elements(operations),
    }
}

/// Values of both signs without a pattern.
fn values(count: usize) -> Buffer {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    Buffer::from(std::iter::repeat_with(next).take(count).collect::<Vec<_>>())
}
