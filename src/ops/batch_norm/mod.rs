//! Batch normalisation: y = (x − mean) / √(variance + ε), channel by channel (Ioffe and Szegedy, *Batch Normalization*,
//! arXiv 1502.03167).
//!
//! Blobs are seen as images × channels × values of a channel: `outer`×`dim`×`inner` of [`Spans`].

mod cpu;
mod cuda;

use crate::{
    ops::{
        broadcast::{Spans, Sums},
        elementwise,
    },
    tensor::{Buffer, Device},
};

/// Where mean and variance come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the batch: they are computed, and the gradient goes through them.
    Batch,
    /// They are given.
    Given,
}

/// What follows the normalisation value by value, in the same pass over memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// γ of every channel: y = γ·x̂ + β.
    pub factors: Option<&'a Buffer>,
    /// β of every channel, 0 when not given.
    pub shifts: Option<&'a Buffer>,
    /// y = max(0, y) at last.
    pub is_relu: bool,
}

/// Divides a moving average by the weight that it has gathered, `count`; all 0 when that is 0.
pub fn read_average(device: Device, average: &Buffer, count: &Buffer, x: &Buffer) {
    match device {
        Device::Cpu => cpu::read_average(average, count, &mut x.host_mut()),
        Device::Cuda(card) => cuda::read_average(card, average, count, x),
    }
}

/// Moving sums that a batch's statistics are added to: sum = fraction·sum + statistic, so that older batches count less and less.
#[derive(Debug, Clone, Copy)]
pub struct Averages<'a> {
    /// How much of the sums each batch keeps.
    pub fraction: f32,
    /// The sums of the means.
    pub mean: &'a Buffer,
    /// The sums of the variances, each times m / (m − 1) for m values: the estimate without bias.
    pub variance: &'a Buffer,
    /// The sum of ones: what the others are divided by for use.
    pub weight: &'a Buffer,
}

/// Mean, variance and √(variance + ε) of every channel.
#[derive(Debug, Default)]
pub struct Statistics {
    /// The mean.
    pub mean: Buffer,
    /// The mean of (x − mean)².
    pub variance: Buffer,
    /// √(variance + ε).
    pub deviation: Buffer,
    /// On a card: sums over parts of the values.
    partial: Buffer,
}

impl Statistics {
    /// Makes room for so many channels.
    pub fn resize(&mut self, channels: usize) {
        for values in [&mut self.mean, &mut self.variance, &mut self.deviation] {
            values.resize(channels);
        }
        self.partial.resize(cuda::partial_sums(channels));
    }
}

/// How a blob is normalised.
#[derive(Debug, Clone, Copy)]
pub struct Normalization<'a> {
    /// Images, channels, and values of a channel.
    pub spans: Spans,
    /// Where mean and variance come from.
    pub source: Source,
    /// ε.
    pub epsilon: f32,
    /// What follows.
    pub epilogue: Epilogue<'a>,
}

/// x̂ = (x − mean) / √(variance + ε), y = what the epilogue makes of it; x̂ is written to `kept` when that is given. The deviation is
/// written to the statistics; mean and variance too when they are the batch's, and then these are added to `averages`. `y` may be the
/// memory of `x`.
pub fn forward(
    device: Device,
    normalization: Normalization<'_>,
    x: &Buffer,
    statistics: &Statistics,
    y: &Buffer,
    kept: Option<&Buffer>,
    averages: Option<Averages<'_>>,
) {
    match device {
        Device::Cpu => {
            let Statistics { mean, variance, .. } = statistics;
            cpu::forward(normalization, x, [&mut mean.host_mut(), &mut variance.host_mut()], y, kept);
            if let Some(averages) = averages.filter(|_| normalization.source == Source::Batch) {
                cpu::move_averages(normalization.spans, statistics, averages);
            }
            cpu::deviate(normalization.epsilon, &statistics.variance.host(), &mut statistics.deviation.host_mut());
        }
        Device::Cuda(card) => cuda::forward(card, normalization, x, statistics, y, kept, averages),
    }
}

/// What the gradient of [`forward`] is computed from.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// The output's gradient.
    pub dy: &'a Buffer,
    /// The output.
    pub y: &'a Buffer,
    /// x̂ as forward kept it: needed for [`Source::Batch`], and for the sums.
    pub normalized: Option<&'a Buffer>,
    /// √(variance + ε) is read from here.
    pub statistics: &'a Statistics,
}

/// The gradient of [`forward`]. With g the gradient behind the ReLU, Σ g and Σ g·x̂ of every channel go to `sums` when x̂ is
/// given: those of β and γ, which are added to `diffs` (γ's, β's) where these are wanted. dx = γ·(g − mean(g) − mean(g·x̂)·x̂) / deviation,
/// means over the batch; γ·g / deviation when the statistics were given. `dx` may be the memory of `dy`, or not be asked for.
pub fn backward(
    device: Device,
    normalization: Normalization<'_>,
    of: Operands<'_>,
    sums: &Sums,
    diffs: [Option<&Buffer>; 2],
    dx: Option<&Buffer>,
) {
    match device {
        Device::Cpu => {
            let epilogue = normalization.epilogue;
            let y = epilogue.is_relu.then(|| of.y.host());
            let normalized = of.normalized.map(Buffer::host);
            let (factors, shifts) = (epilogue.factors.map(Buffer::host), epilogue.shifts.map(Buffer::host));
            let of = cpu::Operands {
                dy: of.dy,
                y: y.as_deref(),
                normalized: normalized.as_deref(),
                deviation: &of.statistics.deviation.host(),
                factors: factors.as_deref(),
                shifts: shifts.as_deref(),
            };
            cpu::backward(normalization, &of, sums, dx);
            for (sums, diff) in [&sums.products, &sums.plain].into_iter().zip(diffs) {
                if let Some(diff) = diff {
                    elementwise::add(device, sums, diff, diff);
                }
            }
        }
        Device::Cuda(card) => cuda::backward(card, normalization, of, sums, diffs, dx),
    }
}
