//! cuDNN: its handles and calls, for convolutions over two axes in f32. One algorithm for each direction, which asks for a little workspace.

use std::{
    collections::BTreeMap,
    ffi::{c_char, c_int, c_void},
    sync::{Mutex, PoisonError},
};

use crate::{
    card::{in_context, note},
    convolution::{Convolution, Direction},
    streams::Operation,
};

/// `cudnnStatus_t`.
type Status = c_int;
const NOT_INITIALIZED: Status = 1001;
const BAD_PARAM: Status = 2000;
const EXECUTION_FAILED: Status = 5000;

/// What all algorithms here ask for, and fill with no number.
const WORKSPACE: usize = 4096;

/// `CUDNN_DETERMINISTIC`, `CUDNN_FMA_MATH`.
const DETERMINISTIC: c_int = 1;
const FMA: c_int = 3;

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

/// `cudnnConvolution...AlgoPerf_t`.
#[repr(C)]
struct Ranked {
    algorithm: c_int,
    status: c_int,
    time: f32,
    memory: usize,
    determinism: c_int,
    math: c_int,
    reserved: [c_int; 3],
}

/// One algorithm that must not be taken, and one that may.
unsafe fn rank(asked: c_int, count: *mut c_int, answers: *mut Ranked, fits: bool) -> Status {
    if !fits || asked < 1 {
        return BAD_PARAM;
    }
    let answer = |algorithm, determinism| Ranked {
        algorithm,
        status: 0,
        time: 1.0,
        memory: WORKSPACE,
        determinism,
        math: FMA,
        reserved: [0; 3],
    };
    let known = [answer(0, 1 - DETERMINISTIC), answer(1, DETERMINISTIC)];
    *count = asked.min(known.len() as c_int);
    for (place, answer) in known.into_iter().take(*count as usize).enumerate() {
        answers.add(place).write(answer);
    }
    0
}

unsafe fn enqueue(
    handle: usize,
    convolution: Option<Convolution>,
    places: [usize; 3],
    algorithm: c_int,
    workspace: (usize, usize),
    factors: [*const c_void; 2],
) -> Status {
    let Some(Thing::Library { stream }) = thing(handle) else { return NOT_INITIALIZED };
    let (Some(mut convolution), 1, WORKSPACE..) = (convolution, algorithm, workspace.1) else {
        note("cuDNN: descriptors that do not fit, an algorithm that was not to be taken, or too little workspace");
        return BAD_PARAM;
    };
    convolution.places = places;
    convolution.workspace = workspace;
    convolution.factors = factors.map(|factor| *factor.cast::<f32>());
    if in_context(|card| card.enqueue(stream, Operation::Convolution(convolution))) == 0 { 0 } else { EXECUTION_FAILED }
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetVersion() -> usize {
    91_000
}

#[unsafe(no_mangle)]
extern "C" fn cudnnGetErrorString(_status: Status) -> *const c_char {
    c"an error of the emulated cuDNN".as_ptr()
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

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnGetConvolutionForwardAlgorithm_v7(
    _handle: usize,
    input: usize,
    weights: usize,
    convolution: usize,
    output: usize,
    asked: c_int,
    count: *mut c_int,
    answers: *mut Ranked,
) -> Status {
    let fits = Convolution::new(Direction::Forward, input, weights, output, convolution).is_some();
    rank(asked, count, answers, fits)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnGetConvolutionBackwardDataAlgorithm_v7(
    _handle: usize,
    weights: usize,
    output: usize,
    convolution: usize,
    input: usize,
    asked: c_int,
    count: *mut c_int,
    answers: *mut Ranked,
) -> Status {
    let fits = Convolution::new(Direction::Bottom, input, weights, output, convolution).is_some();
    rank(asked, count, answers, fits)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    _handle: usize,
    input: usize,
    output: usize,
    convolution: usize,
    weights: usize,
    asked: c_int,
    count: *mut c_int,
    answers: *mut Ranked,
) -> Status {
    let fits = Convolution::new(Direction::Weights, input, weights, output, convolution).is_some();
    rank(asked, count, answers, fits)
}

/// The three questions for workspace: what they are asked about does not matter here.
macro_rules! workspace {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            _handle: usize,
            _first: usize,
            _second: usize,
            _convolution: usize,
            _result: usize,
            _algorithm: c_int,
            bytes: *mut usize,
        ) -> Status {
            *bytes = WORKSPACE;
            0
        }
    )*};
}

workspace! {
    cudnnGetConvolutionForwardWorkspaceSize
    cudnnGetConvolutionBackwardDataWorkspaceSize
    cudnnGetConvolutionBackwardFilterWorkspaceSize
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnConvolutionForward(
    handle: usize,
    alpha: *const c_void,
    input: usize,
    x: usize,
    weights: usize,
    w: usize,
    convolution: usize,
    algorithm: c_int,
    workspace: usize,
    bytes: usize,
    beta: *const c_void,
    output: usize,
    y: usize,
) -> Status {
    let convolution = Convolution::new(Direction::Forward, input, weights, output, convolution);
    enqueue(handle, convolution, [x, w, y], algorithm, (workspace, bytes), [alpha, beta])
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnConvolutionBackwardData(
    handle: usize,
    alpha: *const c_void,
    weights: usize,
    w: usize,
    output: usize,
    dy: usize,
    convolution: usize,
    algorithm: c_int,
    workspace: usize,
    bytes: usize,
    beta: *const c_void,
    input: usize,
    dx: usize,
) -> Status {
    let convolution = Convolution::new(Direction::Bottom, input, weights, output, convolution);
    enqueue(handle, convolution, [dx, w, dy], algorithm, (workspace, bytes), [alpha, beta])
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cudnnConvolutionBackwardFilter(
    handle: usize,
    alpha: *const c_void,
    input: usize,
    x: usize,
    output: usize,
    dy: usize,
    convolution: usize,
    algorithm: c_int,
    workspace: usize,
    bytes: usize,
    beta: *const c_void,
    weights: usize,
    dw: usize,
) -> Status {
    let convolution = Convolution::new(Direction::Weights, input, weights, output, convolution);
    enqueue(handle, convolution, [x, dw, dy], algorithm, (workspace, bytes), [alpha, beta])
}
