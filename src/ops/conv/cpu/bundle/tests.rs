//! Bundles against the usual plans.

use proptest::prelude::*;

use super::{
    super::{Workspace, backward_bottom, forward},
    *,
};
use crate::ops::{conv::geometry::Axis, gemm::operands::Epilogue};

fn noise(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// The results of both directions, with plans alone or with bundles for both.
fn results(kernel: &'static Kernel, geometry: &Geometry, bundled: bool) -> [Vec<f32>; 2] {
    let source = noise(geometry.images * geometry.channels * geometry.input_plane(), 1);
    let result = noise(geometry.images * geometry.outputs * geometry.output_plane(), 2);
    let weights = noise(geometry.outputs * geometry.fan_in(), 3);
    let biases = [geometry.outputs, geometry.channels].map(|count| noise(count, 4));
    // Plans add the bias to the last of several sums at some places, to their total at others.
    let is_cut = geometry.taps() * geometry.channels.max(geometry.outputs) / geometry.groups > 256;
    let [bias, bottom_bias] = biases.each_ref().map(|bias| Some(bias.as_slice()).filter(|_| !is_cut));
    let mut workspace = Workspace::new(kernel, geometry, false);
    workspace.depthwise = None;
    workspace.bundles = [Direction::Forward, Direction::Backward]
        .map(|direction| Bundle::new(kernel, geometry, direction, 1 << 30).filter(|_| bundled));
    assert!(workspace.bundles.iter().all(|bundle| bundle.is_some() == bundled));
    let (mut top, mut bottom_diff) = (vec![f32::NAN; result.len()], vec![f32::NAN; source.len()]);
    forward(&mut workspace, geometry, &source, &weights, bias, &mut top);
    backward_bottom(
        &mut workspace,
        geometry,
        &result,
        &weights,
        Epilogue { bias: bottom_bias, accumulate: false },
        &mut bottom_diff,
    );
    [top, bottom_diff]
}

fn check(geometry: &Geometry) {
    for kernel in Kernel::available().filter(|kernel| geometry.images >= 2 * kernel.lanes) {
        let [bundled, planned] = [true, false].map(|bundled| results(kernel, geometry, bundled));
        assert!(bundled == planned, "{}: {geometry:?}", kernel.name);
    }
}

#[test]
fn a_net_s_layer_has_the_bits_of_the_plans() {
    let axis = Axis { input: 12, kernel: 5, stride: 1, pad: 0, dilation: 1 };
    let geometry = Geometry { images: 64, channels: 20, outputs: 50, groups: 1, axes: vec![axis; 2] };
    check(&geometry);
    let computed = Workspace::new(Kernel::get(), &geometry, false).bundles.map(|bundle| bundle.is_some());
    assert_eq!(computed, [false, true], "only the gradient meets zeros");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_layer_has_the_bits_of_the_plans(
        images in 8_usize..70, channels in 1_usize..9, outputs in 1_usize..9, groups in 1_usize..3,
        sizes in prop::collection::vec((1_usize..9, 1_usize..5, 1_usize..4, 0_usize..4, 1_usize..3), 1..4),
    ) {
        let axes: Vec<Axis> = sizes
            .into_iter()
            .map(|(input, kernel, stride, pad, dilation)| Axis { input, kernel, stride, pad, dilation })
            .collect();
        prop_assume!(axes.iter().all(|axis| axis.output().is_some()));
        check(&Geometry { images, channels: channels * groups, outputs: outputs * groups, groups, axes });
    }
}
