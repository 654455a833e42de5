//! cuDNN beside our own kernels: the faster of both, direction by direction, found out when a convolution runs for the first time.
//!
//! What was found is kept on disk with the compiled kernels, so that the next run takes the same way and gets the same bits.
//! `RCAFFE_CUDNN=never` or `always` decides by hand.

use std::time::{Duration, Instant};

use super::geometry::{Axis, Geometry};
use crate::{
    cuda::{Card, Direction, DnnConvolution, DnnShape, Memo},
    ops::broadcast::{Spans, affine},
    tensor::{Buffer, Device},
};

/// How often each way is run to be timed; the best counts.
const ROUNDS: usize = 5;

/// cuDNN's plan of a convolution, and for which directions it is the better way.
#[derive(Debug)]
pub(super) struct Rival {
    shape: Option<DnnShape>,
    /// Planned when the first direction runs.
    plan: Option<Option<DnnConvolution>>,
    wins: [Option<bool>; 3],
    /// It does whatever it can, faster or not.
    always: bool,
}

/// What a direction works on: its operands in the order of [`Direction`], a bias for each channel of the result, the result.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub direction: Direction,
    pub first: &'a Buffer,
    pub second: &'a Buffer,
    pub bias: Option<&'a Buffer>,
    pub result: &'a Buffer,
}

impl Rival {
    /// For convolutions over one or two axes; with `wanted` false there is no rival.
    pub fn new(geometry: &Geometry, wanted: bool) -> Self {
        let by_hand = std::env::var("RCAFFE_CUDNN").unwrap_or_default();
        let shape = (wanted && by_hand != "never").then(|| shape(geometry)).flatten();
        Rival { shape, plan: None, wins: [None; 3], always: by_hand == "always" }
    }

    /// One that does whatever it can.
    pub fn always(geometry: &Geometry) -> Self {
        Rival { shape: shape(geometry), plan: None, wins: [None; 3], always: true }
    }

    /// Computes a direction, by cuDNN or by `own`, which takes the buffer for the result.
    pub fn run(&mut self, card: &'static Card, of: Operands<'_>, mut own: impl FnMut(&Buffer)) {
        if self.decide(card, of, &mut own) { self.by_dnn(card, of, of.result) } else { own(of.result) }
    }

    /// Whether cuDNN is to do it; the first time both are tried.
    fn decide(&mut self, card: &'static Card, of: Operands<'_>, own: &mut impl FnMut(&Buffer)) -> bool {
        let Some(shape) = self.shape else { return false };
        if let Some(wins) = self.wins[of.direction as usize] {
            return wins;
        }
        if card.is_capturing() {
            return false;
        }
        let plan = self.plan.get_or_insert_with(|| DnnConvolution::new(card, &shape));
        let wins = plan.as_ref().is_some_and(|plan| plan.can(of.direction)) && self.is_faster(card, &shape, of, own);
        self.wins[of.direction as usize] = Some(wins);
        wins
    }

    fn is_faster(
        &self,
        card: &'static Card,
        shape: &DnnShape,
        of: Operands<'_>,
        own: &mut impl FnMut(&Buffer),
    ) -> bool {
        if self.always {
            return true;
        }
        let memo = Memo::new(card, &format!("{shape:?} {:?} {:?} {}", of.direction, card.math(), of.bias.is_some()));
        if let Some(answer) = memo.read() {
            return answer == "cudnn";
        }
        let scratch = Buffer::zeros(of.result.len());
        let times = [best(card, || self.by_dnn(card, of, &scratch)), best(card, || own(&scratch))];
        let wins = times[0] < times[1];
        log::debug!("{:?} of {shape:?}: cuDNN {:?}, own kernels {:?}", of.direction, times[0], times[1]);
        memo.write(if wins { "cudnn" } else { "own" });
        wins
    }

    fn by_dnn(&self, card: &'static Card, of: Operands<'_>, result: &Buffer) {
        let (Some(Some(plan)), Some(shape)) = (&self.plan, self.shape) else { return };
        plan.run(of.direction, of.first.device(card), of.second.device(card), result.device_mut(card));
        if let Some(bias) = of.bias {
            let (dim, plane) = match of.direction {
                Direction::Bottom => (shape.channels, shape.input),
                Direction::Forward | Direction::Weights => (shape.outputs, shape.output),
            };
            let spans = Spans { outer: shape.images, dim, inner: plane[0] * plane[1] };
            affine(Device::Cuda(card), spans, result, None, Some(bias), result);
        }
    }
}

/// The least time of some runs, after one that is not timed.
fn best(card: &'static Card, mut run: impl FnMut()) -> Duration {
    run();
    card.synchronize();
    let time = |_| {
        let start = Instant::now();
        run();
        card.synchronize();
        start.elapsed()
    };
    (0..ROUNDS).map(time).min().unwrap_or(Duration::MAX)
}

/// The sizes as cuDNN counts them.
fn shape(geometry: &Geometry) -> Option<DnnShape> {
    let Geometry { images, channels, outputs, groups, ref axes } = *geometry;
    let one = Axis { input: 1, kernel: 1, stride: 1, pad: 0, dilation: 1 };
    let axes = match axes[..] {
        [height, width] => [height, width],
        [width] => [one, width],
        [] => [one, one],
        _ => return None,
    };
    let output = [axes[0].output()?, axes[1].output()?];
    let is_empty = images == 0 || channels == 0 || outputs == 0 || output.contains(&0);
    (!is_empty).then_some(DnnShape {
        images,
        channels,
        outputs,
        groups,
        input: axes.map(|axis| axis.input),
        output,
        kernel: axes.map(|axis| axis.kernel),
        stride: axes.map(|axis| axis.stride),
        pad: axes.map(|axis| axis.pad),
        dilation: axes.map(|axis| axis.dilation),
    })
}
