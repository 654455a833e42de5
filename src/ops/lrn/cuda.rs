//! Normalisation on a card: a thread for each value, or for a run of channels.

use super::Normalization;
use crate::{
    cuda::{Argument, Card, Grid, Source},
    tensor::{Blob, Buffer},
};

static KERNELS: Source = Source { name: "lrn", text: include_str!("lrn.cu") };

/// Channels that a thread walks along: `CHANNELS` of the kernels.
const CHANNELS: usize = 16;

/// Values that a block has room for, and about how many it should have.
const SHARED_VALUES: usize = 4096;
const BLOCK_VALUES: usize = 1024;

/// What the kernels are told.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Sizes {
    images: u32,
    channels: u32,
    height: u32,
    width: u32,
    radius: u32,
    weight: f32,
    beta: f32,
    k: f32,
    factor: f32,
}

// SAFETY: numbers of 32 bits, laid out as in the kernels' file.
unsafe impl Argument for Sizes {}

impl Sizes {
    /// The sizes for neighbourhoods of so many values.
    fn new(options: Normalization, neighbours: usize, x: &Blob) -> Self {
        let dim = |axis| x.shape().legacy(axis) as u32;
        let Normalization { size, alpha, beta, k } = options;
        Sizes {
            images: dim(0),
            channels: dim(1),
            height: dim(2),
            width: dim(3),
            radius: (size / 2) as u32,
            weight: alpha / neighbours as f32,
            beta,
            k,
            factor: -2.0 * beta * alpha / neighbours as f32,
        }
    }

    /// The runs of channels of all positions.
    fn walks(&self) -> usize {
        self.images as usize * (self.channels as usize).div_ceil(CHANNELS) * self.area()
    }

    fn area(&self) -> usize {
        self.height as usize * self.width as usize
    }
}

fn forward(card: &'static Card, kernel: &'static str, threads: usize, sizes: &Sizes, [x, y, scale]: [&Buffer; 3]) {
    let arguments: [&dyn Argument; 5] =
        [&y.device_mut(card), &scale.device_mut(card), &x.device(card), &(threads as u32), sizes];
    card.launch(&KERNELS, kernel, Grid::over(threads), &arguments);
}

fn backward(
    card: &'static Card,
    kernel: &'static str,
    threads: usize,
    sizes: &Sizes,
    x: &Blob,
    y: &Blob,
    scale: &Buffer,
) {
    let arguments: [&dyn Argument; 6] = [
        &x.diff().device_mut(card),
        &x.data().device(card),
        &scale.device(card),
        &y.diff().device(card),
        &(threads as u32),
        sizes,
    ];
    card.launch(&KERNELS, kernel, Grid::over(threads), &arguments);
}

pub(super) fn across_channels_forward(card: &'static Card, options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let sizes = Sizes::new(options, options.size, x);
    let (kernel, threads) = match options.size {
        5 => ("across_forward_five", sizes.walks()),
        _ => ("across_forward", x.count()),
    };
    forward(card, kernel, threads, &sizes, [x.data(), y.data(), scale]);
}

pub(super) fn across_channels_backward(
    card: &'static Card,
    options: Normalization,
    x: &Blob,
    y: &Blob,
    scale: &Buffer,
) {
    let sizes = Sizes::new(options, options.size, x);
    let (kernel, threads) = match options.size {
        5 => ("across_backward_five", sizes.walks()),
        _ => ("across_backward", x.count()),
    };
    backward(card, kernel, threads, &sizes, x, y, scale);
}

pub(super) fn within_channel_forward(card: &'static Card, options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let sizes = Sizes::new(options, options.size * options.size, x);
    forward(card, "within_forward", x.count(), &sizes, [x.data(), y.data(), scale]);
}

pub(super) fn within_channel_backward(card: &'static Card, options: Normalization, x: &Blob, y: &Blob, scale: &Buffer) {
    let sizes = Sizes::new(options, options.size * options.size, x);
    let (count, area) = (x.count(), sizes.area());
    if area == 0 || area > SHARED_VALUES {
        return backward(card, "within_backward", count, &sizes, x, y, scale);
    }
    let planes = (BLOCK_VALUES / area).max(1);
    card.launch(
        &KERNELS,
        "within_backward_planes",
        Grid::blocks(count.div_ceil(planes * area), 256),
        &[
            &x.diff().device_mut(card),
            &x.data().device(card),
            &scale.device(card),
            &y.diff().device(card),
            &(count as u32),
            &(planes as u32),
            &sizes,
        ],
    );
}
