//! Convolution of N×C×(spatial axes), any number of axes, with groups, stride, padding and dilation.
//!
//! `top[n][m][o] = Σ_{c,k} weights[m][c][k] · bottom[n][c][o·stride + k·dilation - pad] (+ bias[m])`, zeros outside the
//! bottom, c over the channels of m's group. The im2col matrix that this is a product with is never written: the packer of
//! the matrix product reads the image at the matrix's places (see `geometry.rs`).

mod cpu;
mod cuda;
mod geometry;
mod rival;

pub use geometry::{Axis, Geometry};

use rival::{Operands, Rival};

use crate::{
    cuda::{Card, Direction},
    ops::gemm::{Kernel, operands::Epilogue},
    tensor::{Buffer, Device},
};

/// A convolution of fixed sizes: its geometry, and the memory it works in.
#[derive(Debug)]
pub struct Convolution {
    geometry: Geometry,
    /// The same, with what does not matter made small.
    planned: Geometry,
    cpu: cpu::Workspace,
    /// None where kernels cannot do it: then the host does.
    cuda: Option<cuda::Workspace>,
    rival: Rival,
}

impl Convolution {
    /// Plans a convolution, by whichever way is shortest.
    ///
    /// # Panics
    /// When a kernel does not fit its axis, an extent, stride or dilation is 0, or groups do not divide the channels.
    pub fn new(geometry: Geometry) -> Self {
        Convolution::by(geometry, true)
    }

    /// Plans a convolution by the direct sum, whose rounding is that of a product with the im2col matrix.
    ///
    /// # Panics
    /// As [`new`](Convolution::new).
    pub fn direct(geometry: Geometry) -> Self {
        Convolution::by(geometry, false)
    }

    fn by(geometry: Geometry, any_way: bool) -> Self {
        let mut planned = geometry.clone();
        if planned.axes.is_empty() {
            planned.axes.push(Axis { input: 1, kernel: 1, stride: 1, pad: 0, dilation: 1 });
        }
        for axis in &mut planned.axes {
            assert!(axis.kernel > 0 && axis.stride > 0 && axis.dilation > 0, "{axis:?}");
            assert!(axis.output().is_some(), "the kernel does not fit {axis:?}");
            axis.shorten();
        }
        let Geometry { channels, outputs, groups, .. } = planned;
        assert!(groups > 0 && channels % groups == 0 && outputs % groups == 0, "{groups} groups of {channels}");
        let cpu = cpu::Workspace::new(Kernel::get(), &planned, any_way);
        let cuda = cuda::Workspace::new(&planned);
        let rival = Rival::new(&planned, any_way);
        Convolution { geometry, planned, cpu, cuda, rival }
    }

    /// The sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Whether a card has code for it; else the host does it there too.
    pub fn runs_on_device(&self) -> bool {
        self.cuda.is_some()
    }

    /// On a card, cuts products into the tiles of this number (any: they are counted round) instead of the fastest. For checks of the
    /// kernels.
    pub fn use_tile(&mut self, number: usize) {
        self.cuda = cuda::Workspace::with_tile(&self.planned, number);
        self.rival = Rival::new(&self.planned, false);
    }

    /// On a card, lets cuDNN do what it can, where there is cuDNN. For checks.
    pub fn use_cudnn(&mut self) {
        self.rival = Rival::always(&self.planned);
    }

    /// The card, the plans for it, and cuDNN's.
    fn on_card(&mut self, device: Device) -> Option<(&'static Card, &mut cuda::Workspace, &mut Rival)> {
        Some((device.card()?, self.cuda.as_mut()?, &mut self.rival))
    }

    /// `top = bottom ∗ weights (+ bias)`; bottom N×C×..., weights M×C/groups×..., bias M, top N×M×....
    pub fn forward(&mut self, device: Device, bottom: &Buffer, weights: &Buffer, bias: Option<&Buffer>, top: &Buffer) {
        if let Some((card, plans, rival)) = self.on_card(device) {
            let of = Operands { direction: Direction::Forward, first: bottom, second: weights, bias, result: top };
            return rival.run(card, of, |top| plans.forward(card, bottom, weights, bias, top));
        }
        let bias = bias.map(Buffer::host);
        let (bottom, weights, mut top) = (bottom.host(), weights.host(), top.host_mut());
        cpu::forward(&mut self.cpu, &self.planned, &bottom, &weights, bias.as_deref(), &mut top);
    }

    /// The gradient of the bottom, overwritten: `bottom_diff = top_diff ∗ᵀ weights`. With a bias (C values) this is the
    /// forward direction of a transposed convolution.
    pub fn backward_bottom(
        &mut self,
        device: Device,
        top_diff: &Buffer,
        weights: &Buffer,
        bias: Option<&Buffer>,
        bottom_diff: &Buffer,
    ) {
        if let Some((card, plans, rival)) = self.on_card(device) {
            let of =
                Operands { direction: Direction::Bottom, first: top_diff, second: weights, bias, result: bottom_diff };
            return rival.run(card, of, |diff| plans.backward_bottom(card, top_diff, weights, bias, diff));
        }
        let bias = bias.map(Buffer::host);
        let (top, weights, mut bottom) = (top_diff.host(), weights.host(), bottom_diff.host_mut());
        let epilogue = Epilogue { bias: bias.as_deref(), accumulate: false };
        cpu::backward_bottom(&mut self.cpu, &self.planned, &top, &weights, epilogue, &mut bottom);
    }

    /// Whether [`add_to_bottom`](Convolution::add_to_bottom) can be called: on the CPU, for most convolutions.
    pub fn adds_to_bottom(&self, device: Device) -> bool {
        device.card().is_none() && self.cpu.adds_to_bottom()
    }

    /// The gradient of the bottom, added: `bottom_diff += top_diff ∗ᵀ weights`. On the host.
    ///
    /// # Panics
    /// Where it [cannot](Convolution::adds_to_bottom).
    pub fn add_to_bottom(&mut self, top_diff: &Buffer, weights: &Buffer, bottom_diff: &Buffer) {
        let (top, weights, mut bottom) = (top_diff.host(), weights.host(), bottom_diff.host_mut());
        let epilogue = Epilogue { bias: None, accumulate: true };
        cpu::backward_bottom(&mut self.cpu, &self.planned, &top, &weights, epilogue, &mut bottom);
    }

    /// The gradient of the weights, added: `weights_diff += Σ_n top_diff ∗ bottom`.
    pub fn backward_weights(&mut self, device: Device, bottom: &Buffer, top_diff: &Buffer, weights_diff: &Buffer) {
        if let Some((card, plans, rival)) = self.on_card(device) {
            let (direction, result) = (Direction::Weights, weights_diff);
            let of = Operands { direction, first: bottom, second: top_diff, bias: None, result };
            return rival.run(card, of, |diff| plans.backward_weights(card, bottom, top_diff, diff));
        }
        let (bottom, top, mut weights) = (bottom.host(), top_diff.host(), weights_diff.host_mut());
        cpu::backward_weights(&mut self.cpu, &self.planned, &bottom, &top, &mut weights, false);
    }

    /// The gradients of both, added: [`backward_weights`](Convolution::backward_weights) and [`backward_bias`](Convolution::backward_bias).
    pub fn backward_parameters(
        &mut self,
        device: Device,
        bottom: &Buffer,
        top_diff: &Buffer,
        weights_diff: &Buffer,
        bias_diff: &Buffer,
    ) {
        if self.on_card(device).is_some() {
            self.backward_bias(device, top_diff, bias_diff);
            return self.backward_weights(device, bottom, top_diff, weights_diff);
        }
        let (bottom, top) = (bottom.host(), top_diff.host());
        // One after the other: parameters may lie in one buffer.
        cpu::backward_weights(&mut self.cpu, &self.planned, &bottom, &top, &mut weights_diff.host_mut(), true);
        cpu::backward_bias_behind(&mut self.cpu, &self.planned, &top, &mut bias_diff.host_mut());
    }

    /// The gradient of the bias, added: `bias_diff[m] += Σ_{n,o} top_diff[n][m][o]`.
    pub fn backward_bias(&mut self, device: Device, top_diff: &Buffer, bias_diff: &Buffer) {
        if let Some((card, plans, _)) = self.on_card(device) {
            return plans.backward_bias(card, top_diff, bias_diff);
        }
        cpu::backward_bias(&self.planned, &top_diff.host(), &mut bias_diff.host_mut())
    }
}
