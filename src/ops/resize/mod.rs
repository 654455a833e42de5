//! Planes of another size: bilinear resizing, and the inverse of MAX pooling.

mod cpu;
mod cuda;

use crate::tensor::{Buffer, Device};

/// A window of one axis that is stretched or shrunk so that its first and last values become the result's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Axis {
    /// Extent of the source.
    pub source: usize,
    /// Where the window begins.
    pub start: usize,
    /// Extent of the window.
    pub window: usize,
    /// Extent of the result.
    pub result: usize,
}

/// A bilinear resizing of planes.
#[derive(Debug, Default)]
pub struct Bilinear {
    /// Values of a plane of the source.
    source: usize,
    /// Columns of the source.
    width: usize,
    rows: Vec<Mix>,
    columns: Vec<Mix>,
    /// Rows and columns for cards.
    lists: [cuda::Lists; 2],
}

/// A place of the result as a mixture of two neighbours of the source.
#[derive(Debug, Clone, Copy)]
struct Mix {
    first: usize,
    second: usize,
    weights: [f32; 2],
}

impl Bilinear {
    /// Plans the resizing.
    ///
    /// # Panics
    /// When a window is empty or does not lie in its axis.
    pub fn new(rows: Axis, columns: Axis) -> Self {
        let (source, width) = (rows.source * columns.source, columns.source);
        let lists = [rows, columns].map(|axis| cuda::Lists::new(axis.source, &mixtures(axis)));
        Bilinear { source, width, rows: mixtures(rows), columns: mixtures(columns), lists }
    }
}

fn mixtures(axis: Axis) -> Vec<Mix> {
    let Axis { source, start, window, result } = axis;
    assert!(window > 0 && start + window <= source, "{axis:?}");
    let step = if result > 1 { (window - 1) as f32 / (result - 1) as f32 } else { 0.0 };
    let mix = |place: usize| {
        let position = step * place as f32;
        let first = (position as usize).min(window - 1);
        let part = position - first as f32;
        Mix { first: start + first, second: start + (first + 1).min(window - 1), weights: [1.0 - part, part] }
    };
    (0..result).map(mix).collect()
}

/// y = x resized, plane by plane.
pub fn bilinear_forward(device: Device, plan: &Bilinear, x: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::bilinear_forward(plan, &x.host(), &mut y.host_mut()),
        Device::Cuda(card) => cuda::bilinear_forward(card, plan, x, y),
    }
}

/// dx = the sum of dy by the weights with which each value of x went into y.
pub fn bilinear_backward(device: Device, plan: &Bilinear, dy: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu => cpu::bilinear_backward(plan, &dy.host(), &mut dx.host_mut()),
        Device::Cuda(card) => cuda::bilinear_backward(card, plan, dy, dx),
    }
}

/// A mask's value that is no place of a plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadPlace {
    /// Its index in the mask.
    pub index: usize,
    /// Its value.
    pub value: f32,
}

/// y\[mask\[i\]\] = x\[i\] in planes of `planes` = (values of a plane of x, of y); 0 elsewhere. Of values for one place the last
/// stays.
///
/// # Errors
/// When the mask names a place outside the plane; y is not written then.
pub fn unpool_forward(
    device: Device,
    planes: (usize, usize),
    x: &Buffer,
    mask: &Buffer,
    y: &Buffer,
) -> Result<(), BadPlace> {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::unpool_forward(planes, &x.host(), &mask.host(), &mut y.host_mut()),
    }
}

/// dx\[i\] = dy\[mask\[i\]\].
pub fn unpool_backward(device: Device, planes: (usize, usize), dy: &Buffer, mask: &Buffer, dx: &Buffer) {
    match device {
        Device::Cpu | Device::Cuda(_) => cpu::unpool_backward(planes, &dy.host(), &mask.host(), &mut dx.host_mut()),
    }
}
