//! Convolution on the host: the shared core of [`crate::ops::gemm`] with packers that read images.

mod arrange;
mod bias;
mod bundle;
mod correlate;
mod depthwise;
mod plan;
mod weights;
mod winograd;

pub(super) use bias::bias_gradient as backward_bias;
use bundle::{Bundle, Direction};
use correlate::{Correlation, correlate};
use depthwise::Depthwise;
use plan::Plan;
use weights::WeightGradient;
use winograd::Winograd;

use super::geometry::{self, Geometry};
use crate::ops::gemm::{Kernel, operands::Epilogue};
use rayon::prelude::*;

/// The plans of all directions, and memory for what they keep between tasks.
#[derive(Debug)]
pub(super) struct Workspace {
    kernel: &'static Kernel,
    forward: Plan,
    backward: Plan,
    /// Weights as the backward direction reads them, phase after phase.
    turned: Vec<f32>,
    gradient: WeightGradient,
    /// Go before the plans where planes are small and images many: forward and backward.
    bundles: [Option<Bundle>; 2],
    /// Goes before all of these where every channel has a filter of its own.
    depthwise: Option<Depthwise>,
    /// Goes before those above where filters are 3×3 or 5×5 and channels many.
    winograd: Option<Winograd>,
}

impl Workspace {
    pub fn new(kernel: &'static Kernel, geometry: &Geometry, any_way: bool) -> Self {
        let (grid, phase) = geometry::forward(geometry);
        let forward = Plan::new(geometry.images, geometry.channels / geometry.groups, grid, vec![phase]);
        let (grid, phases) = geometry::backward(geometry);
        let backward = Plan::new(geometry.images, geometry.outputs / geometry.groups, grid, phases);
        let gradient = WeightGradient::new(kernel, geometry, &forward);
        let bundles = [(&forward, Direction::Forward), (&backward, Direction::Backward)]
            .map(|(plan, direction)| Bundle::new(kernel, geometry, direction, plan.products()));
        let depthwise = Depthwise::new(geometry);
        let winograd = if any_way { Winograd::new(kernel, geometry) } else { None };
        Workspace { kernel, forward, backward, turned: Vec::new(), gradient, bundles, depthwise, winograd }
    }

    /// Whether [`backward_bottom`] can add to what is there.
    pub fn adds_to_bottom(&self) -> bool {
        let is_planned = self.depthwise.is_none() && self.bundles[Direction::Backward as usize].is_none();
        self.winograd.is_some() || is_planned
    }
}

/// `top = bottom ∗ weights (+ bias)`.
pub(super) fn forward(
    workspace: &mut Workspace,
    geometry: &Geometry,
    bottom: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    top: &mut [f32],
) {
    if let Some(depthwise) = &workspace.depthwise {
        return depthwise.forward(bottom, weights, bias, top);
    }
    let epilogue = Epilogue { bias, accumulate: false };
    if let Some(winograd) = &workspace.winograd {
        return winograd.forward(bottom, weights, epilogue, top);
    }
    let Geometry { channels, outputs, groups, .. } = *geometry;
    let sizes = Correlation { source_channels: channels, result_channels: outputs, groups };
    if let Some(bundle) = &mut workspace.bundles[Direction::Forward as usize] {
        return bundle.correlate(sizes, bottom, weights, bias, top);
    }
    correlate(workspace.kernel, &workspace.forward, sizes, bottom, &[weights], epilogue, top);
}

/// The gradient of the bottom from that of the top; as an operation of its own, the transposed convolution (+ bias). It is added to what
/// is there only where the workspace [can](Workspace::adds_to_bottom).
pub(super) fn backward_bottom(
    workspace: &mut Workspace,
    geometry: &Geometry,
    top_diff: &[f32],
    weights: &[f32],
    epilogue: Epilogue<'_>,
    bottom_diff: &mut [f32],
) {
    assert!(!epilogue.accumulate || workspace.adds_to_bottom(), "a way that does not add");
    if let Some(depthwise) = &workspace.depthwise {
        return depthwise.backward_bottom(top_diff, weights, epilogue.bias, bottom_diff);
    }
    if let Some(winograd) = &workspace.winograd {
        return winograd.backward_bottom(top_diff, weights, epilogue, bottom_diff);
    }
    let Geometry { channels, outputs, groups, .. } = *geometry;
    let Workspace { kernel, backward, turned, bundles, .. } = workspace;
    let sizes = Correlation { source_channels: outputs, result_channels: channels, groups };
    turned.resize(weights.len(), 0.0);
    if let Some(bundle) = &mut bundles[Direction::Backward as usize] {
        turn(geometry, &bundle.taps, weights, turned);
        return bundle.correlate(sizes, top_diff, turned, epilogue.bias, bottom_diff);
    }
    let mut parts = Vec::with_capacity(backward.phases.len());
    let mut rest = turned.as_mut_slice();
    for phase in &backward.phases {
        let (part, next) = rest.split_at_mut(channels * (outputs / groups) * phase.taps.len());
        rest = next;
        turn(geometry, &phase.taps, weights, part);
        parts.push(&*part);
    }
    correlate(kernel, backward, sizes, top_diff, &parts, epilogue, bottom_diff);
}

/// The weights of some taps as the backward direction reads them: group × channel × output of the group × tap.
fn turn(geometry: &Geometry, taps: &[usize], weights: &[f32], turned: &mut [f32]) {
    // So many channels at a time: the filters are read in stretches, and written to as many places.
    const CHANNELS: usize = 16;
    let (channels, outputs) = (geometry.channels / geometry.groups, geometry.outputs / geometry.groups);
    let (kernel, row) = (geometry.taps(), outputs * taps.len());
    if row == 0 {
        return;
    }
    turned.par_chunks_mut(channels * row).enumerate().for_each(|(group, turned)| {
        turned.par_chunks_mut(CHANNELS * row).enumerate().for_each(|(block, turned)| {
            for output in 0..outputs {
                let filter = (group * outputs + output) * channels + block * CHANNELS;
                let filters = weights[filter * kernel..].chunks_exact(kernel);
                for (filter, turned) in filters.zip(turned.chunks_exact_mut(row)) {
                    let turned = &mut turned[output * taps.len()..(output + 1) * taps.len()];
                    if taps.len() == kernel {
                        turned.iter_mut().zip(filter).for_each(|(value, weight)| *value = *weight);
                    } else {
                        turned.iter_mut().zip(taps).for_each(|(value, tap)| *value = filter[*tap]);
                    }
                }
            }
        });
    });
}

/// Adds the gradient of the weights; where the bias follows, this is the place to sum up planes for it.
pub(super) fn backward_weights(
    workspace: &mut Workspace,
    geometry: &Geometry,
    bottom: &[f32],
    top_diff: &[f32],
    weights_diff: &mut [f32],
    bias_follows: bool,
) {
    if let Some(depthwise) = &mut workspace.depthwise {
        return depthwise.backward_weights(bottom, top_diff, weights_diff);
    }
    if let Some(winograd) = &workspace.winograd {
        return winograd.backward_weights(bottom, top_diff, weights_diff);
    }
    workspace.gradient.add(&workspace.forward, geometry, bottom, top_diff, weights_diff, bias_follows);
}

/// Adds the gradient of the bias that follows.
pub(super) fn backward_bias_behind(
    workspace: &mut Workspace,
    geometry: &Geometry,
    top_diff: &[f32],
    bias_diff: &mut [f32],
) {
    if workspace.depthwise.is_some() || workspace.winograd.is_some() {
        return backward_bias(geometry, top_diff, bias_diff);
    }
    workspace.gradient.add_bias(geometry, bias_diff);
}

#[cfg(test)]
mod tests;
