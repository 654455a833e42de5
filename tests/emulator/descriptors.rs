//! cuDNN's handles: the library itself, and descriptions of tensors, filters and convolutions.

use std::{
    collections::BTreeMap,
    ffi::c_int,
    sync::{Mutex, PoisonError},
};

use crate::card::in_context;

/// `cudnnStatus_t`.
pub type Status = c_int;
pub const NOT_INITIALIZED: Status = 1001;
pub const BAD_PARAM: Status = 2000;

/// `CUDNN_FMA_MATH`, the last kind of rounding.
pub const FMA: c_int = 3;

/// Everything that handles of this library stand for.
#[derive(Clone, Copy)]
pub enum Thing {
    Library {
        stream: usize,
    },
    /// Images, channels, rows, columns.
    Tensor([usize; 4]),
    /// Outputs, channels of a group, rows, columns.
    Filter([usize; 4]),
    Convolution {
        pad: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
    },
}

static THINGS: Mutex<BTreeMap<usize, Thing>> = Mutex::new(BTreeMap::new());

fn things() -> std::sync::MutexGuard<'static, BTreeMap<usize, Thing>> {
    THINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn thing(handle: usize) -> Option<Thing> {
    things().get(&handle).copied()
}

pub fn tensor(handle: usize) -> Option<[usize; 4]> {
    match thing(handle)? {
        Thing::Tensor(sizes) => Some(sizes),
        _ => None,
    }
}

pub fn filter(handle: usize) -> Option<[usize; 4]> {
    match thing(handle)? {
        Thing::Filter(sizes) => Some(sizes),
        _ => None,
    }
}

unsafe fn create(handle: *mut usize, new: Thing) -> Status {
    let mut number = 0;
    if in_context(|card| {
        number = card.new_handle();
        Ok(())
    }) != 0
    {
        return NOT_INITIALIZED;
    }
    things().insert(number, new);
    *handle = number;
    0
}

fn destroy(handle: usize) -> Status {
    things().remove(&handle).map_or(BAD_PARAM, |_| 0)
}

fn set(handle: usize, change: impl FnOnce(&mut Thing) -> Option<()>) -> Status {
    things().get_mut(&handle).and_then(change).map_or(BAD_PARAM, |()| 0)
}

fn sizes(numbers: [c_int; 4]) -> Option<[usize; 4]> {
    numbers.iter().all(|&size| size > 0).then(|| numbers.map(|size| size as usize))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnCreate(handle: *mut usize) -> Status {
    create(handle, Thing::Library { stream: 0 })
}

#[unsafe(no_mangle)]
extern "C" fn cudnnDestroy(handle: usize) -> Status {
    destroy(handle)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetStream(handle: usize, stream: usize) -> Status {
    set(handle, |thing| {
        *thing = Thing::Library { stream };
        Some(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnCreateTensorDescriptor(tensor: *mut usize) -> Status {
    create(tensor, Thing::Tensor([0; 4]))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnCreateFilterDescriptor(filter: *mut usize) -> Status {
    create(filter, Thing::Filter([0; 4]))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnCreateConvolutionDescriptor(convolution: *mut usize) -> Status {
    create(convolution, Thing::Convolution { pad: [0; 2], stride: [1; 2], dilation: [1; 2], groups: 1 })
}

#[unsafe(no_mangle)]
extern "C" fn cudnnDestroyTensorDescriptor(tensor: usize) -> Status {
    destroy(tensor)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnDestroyFilterDescriptor(filter: usize) -> Status {
    destroy(filter)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnDestroyConvolutionDescriptor(convolution: usize) -> Status {
    destroy(convolution)
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetTensor4dDescriptor(
    tensor: usize,
    format: c_int,
    kind: c_int,
    n: c_int,
    c: c_int,
    h: c_int,
    w: c_int,
) -> Status {
    set(tensor, |tensor| {
        *tensor = Thing::Tensor(sizes([n, c, h, w]).filter(|_| format == 0 && kind == 0)?);
        Some(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetFilter4dDescriptor(
    filter: usize,
    kind: c_int,
    format: c_int,
    k: c_int,
    c: c_int,
    h: c_int,
    w: c_int,
) -> Status {
    set(filter, |filter| {
        *filter = Thing::Filter(sizes([k, c, h, w]).filter(|_| format == 0 && kind == 0)?);
        Some(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetConvolution2dDescriptor(
    convolution: usize,
    pad_h: c_int,
    pad_w: c_int,
    stride_h: c_int,
    stride_w: c_int,
    dilation_h: c_int,
    dilation_w: c_int,
    mode: c_int,
    kind: c_int,
) -> Status {
    // A cross-correlation in f32.
    if mode != 1 || kind != 0 || pad_h < 0 || pad_w < 0 {
        return BAD_PARAM;
    }
    set(convolution, |convolution| {
        let [sh, sw, dh, dw] = sizes([stride_h, stride_w, dilation_h, dilation_w])?;
        let pad = [pad_h as usize, pad_w as usize];
        *convolution = Thing::Convolution { pad, stride: [sh, sw], dilation: [dh, dw], groups: 1 };
        Some(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetConvolutionGroupCount(convolution: usize, count: c_int) -> Status {
    set(convolution, |convolution| match convolution {
        Thing::Convolution { groups, .. } if count > 0 => {
            *groups = count as usize;
            Some(())
        }
        _ => None,
    })
}

#[unsafe(no_mangle)]
extern "C" fn cudnnSetConvolutionMathType(convolution: usize, math: c_int) -> Status {
    set(convolution, |_| (0..=FMA).contains(&math).then_some(()))
}
