//! cuDNN: its calls, for convolutions over two axes in f32. One algorithm for each direction, which asks for a little workspace.

use std::ffi::{c_char, c_int, c_void};

use crate::{
    card::{in_context, note},
    convolution::{Convolution, Direction},
    descriptors::{BAD_PARAM, FMA, NOT_INITIALIZED, Status, Thing, thing},
    streams::Operation,
};

/// `CUDNN_STATUS_EXECUTION_FAILED`.
const EXECUTION_FAILED: Status = 5000;

/// What all algorithms here ask for, and fill with no number.
const WORKSPACE: usize = 4096;

/// `CUDNN_DETERMINISTIC`.
const DETERMINISTIC: c_int = 1;

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
