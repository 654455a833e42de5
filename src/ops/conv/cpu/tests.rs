//! All directions against the definition, for every instruction set; the same bits for any number of threads.

use proptest::prelude::*;

use super::{super::geometry::Axis, *};

/// Values between -1 and 1 without a pattern: with one, sums of products swell and cancel, and rounding shows.
fn noise(count: usize, seed: usize) -> Vec<f32> {
    let value = |place: usize| {
        let mixed = (place as u64 + ((seed as u64) << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(value).collect()
}

/// Calls `visit(output, weight, input)` with the flat indices of every product of the convolution.
fn definition(geometry: &Geometry, mut visit: impl FnMut(usize, usize, usize)) {
    let Geometry { images, channels, outputs, groups, axes } = geometry;
    let (inputs, results, taps) = (geometry.input_plane(), geometry.output_plane(), geometry.taps());
    for position in 0..results {
        for tap in 0..taps {
            let (mut rest, mut tap_rest, mut input, mut scale, mut inside) = (position, tap, 0, 1, true);
            for axis in axes.iter().rev() {
                let extent = axis.output().unwrap();
                let place =
                    (rest % extent * axis.stride + tap_rest % axis.kernel * axis.dilation) as isize - axis.pad as isize;
                inside &= (0..axis.input as isize).contains(&place);
                input += place * scale;
                scale *= axis.input as isize;
                rest /= extent;
                tap_rest /= axis.kernel;
            }
            if !inside {
                continue;
            }
            for image in 0..*images {
                for output in 0..*outputs {
                    let first = output / (outputs / groups) * (channels / groups);
                    for local in 0..channels / groups {
                        visit(
                            (image * outputs + output) * results + position,
                            (output * (channels / groups) + local) * taps + tap,
                            (image * channels + first + local) * inputs + input as usize,
                        );
                    }
                }
            }
        }
    }
}

fn assert_near(got: &[f32], want: &[f64], what: &str) {
    let largest = want.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*got) - want).abs() <= 1e-5 + 1e-5 * largest, "{what}[{index}]: {got} for {want}");
    }
}

fn check(geometry: &Geometry) {
    check_with(Kernel::available(), geometry);
}

fn check_with(kernels: impl IntoIterator<Item = &'static Kernel>, geometry: &Geometry) {
    let bottom = noise(geometry.images * geometry.channels * geometry.input_plane(), 1);
    let weights = noise(geometry.outputs * geometry.fan_in(), 2);
    let (bias, other_bias) = (noise(geometry.outputs, 3), noise(geometry.channels, 4));
    let top_diff = noise(geometry.images * geometry.outputs * geometry.output_plane(), 5);
    let result_of = |output: usize| output / geometry.output_plane() % geometry.outputs;
    let channel_of = |input: usize| input / geometry.input_plane() % geometry.channels;
    // In f64: a sum whose terms cancel is off by more in f32 than what is tested may be.
    let mut top: Vec<f64> = (0..top_diff.len()).map(|output| f64::from(bias[result_of(output)])).collect();
    let bias_of = |input: usize| f64::from(other_bias[channel_of(input)]);
    let mut bottom_diff: Vec<f64> = (0..bottom.len()).map(bias_of).collect();
    let mut weights_diff: Vec<f64> = weights.iter().copied().map(f64::from).collect();
    let mut bias_diff: Vec<f64> = bias.iter().copied().map(f64::from).collect();
    let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
    definition(geometry, |output, weight, input| {
        top[output] += product(weights[weight], bottom[input]);
        bottom_diff[input] += product(weights[weight], top_diff[output]);
        weights_diff[weight] += product(top_diff[output], bottom[input]);
    });
    let bottom_sum: Vec<f64> = bottom_diff.iter().zip(&bottom).map(|(diff, there)| diff + f64::from(*there)).collect();
    top_diff.iter().enumerate().for_each(|(output, diff)| bias_diff[result_of(output)] += f64::from(*diff));
    for kernel in kernels {
        let mut workspace = Workspace::new(kernel, geometry, true);
        let what = |what: &str| format!("{} {what} of {geometry:?}", kernel.name);
        let mut result = vec![f32::NAN; top.len()];
        forward(&mut workspace, geometry, &bottom, &weights, Some(&bias), &mut result);
        assert_near(&result, &top, &what("top"));
        let mut result = vec![f32::NAN; bottom.len()];
        let epilogue = Epilogue { bias: Some(&other_bias), accumulate: false };
        backward_bottom(&mut workspace, geometry, &top_diff, &weights, epilogue, &mut result);
        assert_near(&result, &bottom_diff, &what("bottom gradient"));
        if workspace.adds_to_bottom() {
            let mut sum = bottom.clone();
            let epilogue = Epilogue { bias: Some(&other_bias), accumulate: true };
            backward_bottom(&mut workspace, geometry, &top_diff, &weights, epilogue, &mut sum);
            assert_near(&sum, &bottom_sum, &what("bottom gradient that is added"));
            let want: Vec<f64> = bottom_sum.iter().enumerate().map(|(input, sum)| sum - bias_of(input)).collect();
            let mut sum = bottom.clone();
            let epilogue = Epilogue { bias: None, accumulate: true };
            backward_bottom(&mut workspace, geometry, &top_diff, &weights, epilogue, &mut sum);
            assert_near(&sum, &want, &what("bottom gradient without a bias that is added"));
        }
        let mut result = weights.clone();
        backward_weights(&mut workspace, geometry, &bottom, &top_diff, &mut result, false);
        assert_near(&result, &weights_diff, &what("weight gradient"));
        let mut bias_alone = bias.clone();
        backward_bias(geometry, &top_diff, &mut bias_alone);
        assert_near(&bias_alone, &bias_diff, &what("bias gradient"));
        let mut both = (weights.clone(), bias.clone());
        backward_weights(&mut workspace, geometry, &bottom, &top_diff, &mut both.0, true);
        backward_bias_behind(&mut workspace, geometry, &top_diff, &mut both.1);
        assert!(both == (result, bias_alone), "{}", what("both gradients"));
    }
}

fn axes(count: usize, largest: usize) -> impl Strategy<Value = Vec<Axis>> {
    let axis = (1..=largest, 1usize..5, 1usize..4, 0usize..4, 1usize..3)
        .prop_map(|(input, kernel, stride, pad, dilation)| Axis { input, kernel, stride, pad, dilation })
        .prop_filter("the kernel fits", |axis| axis.output().is_some());
    prop::collection::vec(axis, count)
}

fn geometries() -> impl Strategy<Value = Geometry> {
    let axes = prop_oneof![axes(1, 60), axes(2, 20), axes(3, 7)];
    (1usize..5, 1usize..5, 1usize..20, 1usize..4, axes).prop_map(|(images, channels, outputs, groups, axes)| Geometry {
        images,
        channels: channels * groups,
        outputs: outputs * groups,
        groups,
        axes,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_directions_agree_with_the_definition(geometry in geometries()) {
        check(&geometry);
    }
}

fn square(images: usize, channels: usize, outputs: usize, axis: Axis) -> Geometry {
    Geometry { images, channels, outputs, groups: 1, axes: vec![axis; 2] }
}

/// Sizes of real nets: bands of a large plane, many images in a task, many channels, reductions longer than a block.
#[test]
fn sizes_of_real_nets() {
    check(&square(1, 3, 8, Axis { input: 81, kernel: 11, stride: 4, pad: 0, dilation: 1 }));
    check(&square(1, 2, 5, Axis { input: 60, kernel: 3, stride: 1, pad: 1, dilation: 1 }));
    check(&square(70, 3, 4, Axis { input: 7, kernel: 3, stride: 1, pad: 1, dilation: 1 }));
    check(&square(2, 300, 20, Axis { input: 5, kernel: 1, stride: 1, pad: 0, dilation: 1 }));
    check(&square(2, 140, 9, Axis { input: 4, kernel: 3, stride: 2, pad: 1, dilation: 1 }));
    let depthwise = square(2, 6, 6, Axis { input: 9, kernel: 3, stride: 1, pad: 1, dilation: 1 });
    check(&Geometry { groups: 6, ..depthwise });
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let geometry = square(9, 5, 20, Axis { input: 33, kernel: 3, stride: 1, pad: 1, dilation: 1 });
    let bottom = noise(geometry.images * geometry.channels * geometry.input_plane(), 1);
    let weights = noise(geometry.outputs * geometry.fan_in(), 2);
    let top_diff = noise(geometry.images * geometry.outputs * geometry.output_plane(), 5);
    let run = |threads| {
        let mut results = [vec![0.0; top_diff.len()], vec![0.0; bottom.len()], weights.clone(), vec![0.0; 20]];
        let [top, bottom_diff, weights_diff, bias_diff] = &mut results;
        let mut workspace = Workspace::new(Kernel::get(), &geometry, true);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            forward(&mut workspace, &geometry, &bottom, &weights, None, top);
            backward_bottom(&mut workspace, &geometry, &top_diff, &weights, Epilogue::default(), bottom_diff);
            backward_weights(&mut workspace, &geometry, &bottom, &top_diff, weights_diff, false);
            backward_bias(&geometry, &top_diff, bias_diff);
        });
        results
    };
    let one = run(1);
    assert!(one == run(2) && one == run(5));
}

fn depthwise(images: usize, channels: usize, axes: Vec<Axis>) -> Geometry {
    Geometry { images, channels, outputs: channels, groups: channels, axes }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_for_each_channel_agrees_with_the_definition(images in 1usize..7, channels in 1usize..6, axes in axes(2, 20)) {
        check(&depthwise(images, channels, axes));
    }
}

/// Grids that would be much larger than the source take the general way.
#[test]
fn only_grids_near_the_source_are_laid_out() {
    let axis = Axis { input: 8, kernel: 3, stride: 1, pad: 1, dilation: 1 };
    let near = |axis| Depthwise::new(&depthwise(1, 2, vec![axis; 2])).is_some();
    assert!(near(axis) && near(Axis { stride: 2, ..axis }) && near(Axis { input: 1, ..axis }));
    assert!(
        !near(Axis { pad: 1 << 40, stride: 1 << 40, ..axis })
            && !near(Axis { dilation: 1 << 30, pad: 1 << 30, ..axis })
    );
    assert!(Depthwise::new(&square(1, 2, 2, axis)).is_none());
}

#[test]
fn any_number_of_threads_gives_the_same_bits_with_a_filter_for_each_channel() {
    let geometry = depthwise(9, 20, vec![Axis { input: 33, kernel: 3, stride: 1, pad: 1, dilation: 1 }; 2]);
    let bottom = noise(geometry.images * geometry.channels * geometry.input_plane(), 1);
    let run = |threads| {
        let mut workspace = Workspace::new(Kernel::get(), &geometry, true);
        let (mut top, mut weights) = (vec![0.0; bottom.len()], noise(geometry.outputs * 9, 2));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            forward(&mut workspace, &geometry, &bottom, &weights, None, &mut top);
            backward_weights(&mut workspace, &geometry, &bottom, &top, &mut weights, false);
            backward_bottom(&mut workspace, &geometry, &top.clone(), &weights, Epilogue::default(), &mut top);
        });
        (top, weights)
    };
    let one = run(1);
    assert!(one == run(2) && one == run(5));
}

#[test]
fn strides_far_beyond_the_source_cost_nothing() {
    let axis = Axis { input: 5, kernel: 3, stride: 1 << 40, pad: 1, dilation: 1 };
    check(&square(2, 3, 4, axis));
    check(&depthwise(2, 3, vec![axis; 2]));
}

/// Images, height and width for filters of many channels.
fn planes(kernel: usize) -> impl Strategy<Value = (usize, usize, usize)> {
    // Along one axis of Winograd's tiles, and how many of them make a block.
    let (tile, block) = (6 + 1 - kernel, 112);
    // Planes that fill a block, or a block and the row of tiles below it.
    let of_one_block = (1..3usize, 5..16usize, 0..tile, 0..tile).prop_map(move |(images, rows, height, width)| {
        (images, rows * tile - height, (block / rows + 1) * tile - width)
    });
    prop_oneof![2 => (0..6usize, 5..17usize, 5..17usize), 1 => (1..3usize, 5..61usize, 5..61usize), 1 => of_one_block]
}

fn many_channels() -> impl Strategy<Value = Geometry> {
    let planes = prop_oneof![Just(3), Just(5)].prop_flat_map(|kernel| (Just(kernel), planes(kernel)));
    (planes, 16usize..40, 16usize..50, 1usize..3, (0usize..5, 0usize..5)).prop_map(
        |((kernel, (images, height, width)), channels, outputs, groups, pads)| {
            let axis = |input, pad: usize| Axis { input, kernel, stride: 1, pad: pad.min(kernel - 1), dilation: 1 };
            let axes = vec![axis(height, pads.0), axis(width, pads.1)];
            Geometry { images, channels: channels * groups, outputs: outputs * groups, groups, axes }
        },
    )
}

proptest! {
    // An eighth of the usual 256 cases.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 8, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn small_filters_of_many_channels_agree_with_the_definition(geometry in many_channels()) {
        let mut kernels: Vec<_> = Kernel::available().filter(|kernel| Winograd::new(kernel, &geometry).is_some()).collect();
        if kernels.is_empty() {
            kernels.push(Kernel::get());
        }
        check_with(kernels, &geometry);
    }
}

/// Planes cut into bands, many images in a block, channels in several pieces, chunks of the weights' gradient.
#[test]
fn small_filters_of_many_channels_in_sizes_of_real_nets() {
    let axis = |input| Axis { input, kernel: 3, stride: 1, pad: 1, dilation: 1 };
    let large = |input| Axis { input, kernel: 5, stride: 1, pad: 2, dilation: 1 };
    let sizes = [
        Geometry { images: 1, channels: 16, outputs: 17, groups: 1, axes: vec![axis(8), axis(301)] },
        Geometry { images: 2, channels: 18, outputs: 16, groups: 1, axes: vec![axis(90), axis(41)] },
        square(70, 16, 16, axis(8)),
        square(3, 33, 35, axis(30)),
        square(8, 150, 140, axis(7)),
        Geometry { images: 1, channels: 32, outputs: 32, groups: 1, axes: vec![large(8), large(301)] },
        square(70, 32, 32, large(8)),
        Geometry { groups: 2, ..square(3, 96, 128, large(27)) },
        square(8, 150, 140, large(7)),
    ];
    for geometry in sizes {
        assert!(Winograd::new(Kernel::get(), &geometry).is_some() || Kernel::get().name == "portable");
        check(&geometry);
    }
}

/// Without padding one band can hold all rows of tiles with results, and still have rows of the source below it.
#[test]
fn results_of_one_band_need_the_source_below_it() {
    for (input, kernel) in [(41, 3), (22, 5)] {
        let geometry = square(2, 32, 32, Axis { input, kernel, stride: 1, pad: 0, dilation: 1 });
        assert!(Winograd::new(Kernel::get(), &geometry).is_some() || Kernel::get().name == "portable");
        check(&geometry);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits_with_small_filters_of_many_channels() {
    let geometry = square(40, 20, 70, Axis { input: 16, kernel: 3, stride: 1, pad: 1, dilation: 1 });
    let bottom = noise(geometry.images * geometry.channels * geometry.input_plane(), 1);
    let weights = noise(geometry.outputs * geometry.fan_in(), 2);
    let run = |threads| {
        let mut workspace = Workspace::new(Kernel::get(), &geometry, true);
        let mut top = vec![0.0; geometry.images * geometry.outputs * geometry.output_plane()];
        let (mut bottom_diff, mut weights_diff) = (vec![0.0; bottom.len()], vec![0.0; weights.len()]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            forward(&mut workspace, &geometry, &bottom, &weights, None, &mut top);
            backward_weights(&mut workspace, &geometry, &bottom, &top, &mut weights_diff, false);
            backward_bottom(&mut workspace, &geometry, &top, &weights, Epilogue::default(), &mut bottom_diff);
        });
        (top, weights_diff, bottom_diff)
    };
    let one = run(1);
    assert!(one == run(2) && one == run(5));
}
