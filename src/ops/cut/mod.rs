//! Batches of images made on a card from records whose bytes lie there: cut, mirror, mean and scale of `transform_param`.
//!
//! On the host [`Transform`](crate::data::transform::Transform) does it, in the thread that loads: there is no CPU code here.

use crate::{
    cuda::{Argument, Card, Grid, Pointer, Source},
    tensor::{Buffer, Synced},
};

static KERNELS: Source = Source { name: "cut", text: include_str!("cut.cu") };

/// Numbers that say how an image is cut out: record, first row, first column, whether it is mirrored, the bits of the label.
pub const NUMBERS: usize = 5;

/// What is subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// Nothing.
    None,
    /// One value.
    One,
    /// One value for each channel.
    Channels,
    /// An image of the record's shape.
    Image,
}

/// Sizes of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Cutting {
    /// Bytes from one record to the next.
    pub stride: usize,
    /// A record's C, H and W.
    pub record: [usize; 3],
    /// N, C, H and W of the batch.
    pub batch: [usize; 4],
    /// What is subtracted.
    pub means: Means,
    /// The factor, applied last.
    pub scale: f32,
}

#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Sizes {
    stride: u32,
    channels: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    means: u32,
    scale: f32,
}

// SAFETY: numbers of 32 bits, laid out as in the kernels' file.
unsafe impl Argument for Sizes {}

/// `images = (record − mean)·scale`, cut as `cuts` says; and the labels. Records are bytes, `mean` has as many values as `cutting` says.
pub fn cut(
    card: &'static Card,
    cutting: &Cutting,
    records: Pointer,
    cuts: &Synced<u32>,
    mean: &Buffer,
    images: &Buffer,
    labels: Option<&Buffer>,
) {
    let ([_, height, width], [items, channels, out_height, out_width]) = (cutting.record, cutting.batch);
    let count = items * channels * out_height * out_width;
    let sizes = Sizes {
        stride: cutting.stride as u32,
        channels: channels as u32,
        height: height as u32,
        width: width as u32,
        out_height: out_height as u32,
        out_width: out_width as u32,
        means: cutting.means as u32,
        scale: cutting.scale,
    };
    let labels = labels.map_or(Pointer::NULL, |labels| labels.device_mut(card));
    card.launch(
        &KERNELS,
        "cut",
        Grid::over(count),
        &[
            &images.device_mut(card),
            &labels,
            &records,
            &cuts.device(card),
            &mean.device(card),
            &(count as u32),
            &(items as u32),
            &sizes,
        ],
    );
}
