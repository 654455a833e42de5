//! Convolutions by cuDNN, where it is there: it is looked for, and never needed.

use std::ffi::{c_int, c_void};

use cudarc::cudnn::sys;

use super::{Card, Math, Memory, Pointer, card::lock, libraries};

/// A convolution over two axes, in cuDNN's terms: sizes of all that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnnShape {
    /// Images of a batch.
    pub images: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Groups that channels are cut into.
    pub groups: usize,
    /// Rows and columns of the input, as of all that follows.
    pub input: [usize; 2],
    /// Of the output.
    pub output: [usize; 2],
    /// Of the filters.
    pub kernel: [usize; 2],
    /// The distance between outputs.
    pub stride: [usize; 2],
    /// Zeros at each side.
    pub pad: [usize; 2],
    /// The distance between taps.
    pub dilation: [usize; 2],
}

/// What is computed from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The output from input and weights.
    Forward,
    /// The input's gradient from the output's gradient and the weights.
    Bottom,
    /// The weights' gradient, added, from input and the output's gradient.
    Weights,
}

/// cuDNN on a card.
#[derive(Debug)]
pub(super) struct Dnn {
    handle: sys::cudnnHandle_t,
}

// SAFETY: the handle belongs to the context, not to a thread; the card lets one thread at a time use it.
unsafe impl Send for Dnn {}

/// Memory that algorithms may ask for.
const MOST_WORKSPACE: usize = 1 << 30;

/// Algorithms that cuDNN is asked to rank.
const RANKED: usize = 8;

impl Dnn {
    /// Loads the library and makes it ready, if it is there.
    pub fn new(card: &Card) -> Option<Self> {
        libraries::cudnn().ok()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: a handle to write to; the stream lives as long as the card, which is for ever. Both runtimes call a stream the same.
        let is_ready = unsafe {
            is_done(sys::cudnnCreate(&mut handle)) && is_done(sys::cudnnSetStream(handle, card.stream().cast()))
        };
        is_ready.then_some(Dnn { handle })
    }
}

impl Card {
    /// Asks cuDNN something; `None` where there is none.
    fn with_dnn<R>(&'static self, question: impl FnOnce(&Dnn) -> R) -> Option<R> {
        if self.has_failed() || self.is_capturing() {
            return None;
        }
        self.enter();
        let mut dnn = lock(&self.dnn);
        dnn.get_or_insert_with(|| Dnn::new(self)).as_ref().map(question)
    }

    /// Lets cuDNN do something, behind all that was given to the card.
    fn by_dnn(&'static self, work: impl FnOnce(&Dnn) -> Result<(), String>) {
        if self.has_failed() {
            return;
        }
        self.enter();
        let dnn = lock(&self.dnn);
        let Some(Some(dnn)) = dnn.as_ref() else { return };
        self.count_launches(1);
        let mut outcome = Ok(());
        self.attempt("cuEventRecord", || {
            self.timed("cuDNN", || {
                outcome = work(dnn);
                Ok(())
            })
        });
        if let Err(message) = outcome {
            self.fail("cuDNN".into(), message);
        }
    }
}

/// A planned convolution.
#[derive(Debug)]
pub struct DnnConvolution {
    card: &'static Card,
    input: sys::cudnnTensorDescriptor_t,
    output: sys::cudnnTensorDescriptor_t,
    weights: sys::cudnnFilterDescriptor_t,
    convolution: sys::cudnnConvolutionDescriptor_t,
    /// For each direction the algorithm, if there is one whose results repeat, and the memory it works in.
    algorithms: [Option<(c_int, usize)>; 3],
    workspace: Option<Memory>,
}

// SAFETY: descriptors belong to no thread; only one at a time has the convolution.
unsafe impl Send for DnnConvolution {}

/// One of cuDNN's answers about an algorithm: `cudnnConvolution...AlgoPerf_t`, the same for all directions.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Ranked {
    algorithm: c_int,
    status: c_int,
    time: f32,
    memory: usize,
    determinism: c_int,
    math: c_int,
    reserved: [c_int; 3],
}

impl DnnConvolution {
    /// Plans a convolution; `None` where cuDNN is missing or refuses it. The first call for a card loads the library.
    pub fn new(card: &'static Card, shape: &DnnShape) -> Option<Self> {
        card.with_dnn(|dnn| DnnConvolution::planned(card, dnn, shape)).flatten()
    }

    fn planned(card: &'static Card, dnn: &Dnn, shape: &DnnShape) -> Option<Self> {
        let mut plan = DnnConvolution {
            card,
            input: std::ptr::null_mut(),
            output: std::ptr::null_mut(),
            weights: std::ptr::null_mut(),
            convolution: std::ptr::null_mut(),
            algorithms: [None; 3],
            workspace: None,
        };
        if !plan.describe(shape, card.math()) {
            return None;
        }
        for (direction, most) in [(Direction::Forward, 8), (Direction::Bottom, 6), (Direction::Weights, 7)] {
            plan.algorithms[direction as usize] = plan.best(dnn, direction, card.math(), most);
        }
        let bytes = plan.algorithms.iter().flatten().map(|(_, bytes)| *bytes).max()?;
        plan.workspace = (bytes > 0).then(|| Memory::new(card, bytes));
        Some(plan)
    }

    /// Fills the descriptors; says whether cuDNN took all.
    fn describe(&mut self, shape: &DnnShape, math: Math) -> bool {
        let DnnShape { images, channels, outputs, groups, input, output, kernel, stride, pad, dilation } = *shape;
        let n = |size: usize| c_int::try_from(size).unwrap_or(-1);
        let (format, kind) = (sys::cudnnTensorFormat_t::CUDNN_TENSOR_NCHW, sys::cudnnDataType_t::CUDNN_DATA_FLOAT);
        let math = match math {
            Math::F32 => sys::cudnnMathType_t::CUDNN_FMA_MATH,
            Math::Tf32 => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
        };
        let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        // SAFETY: descriptors are made before they are filled; the calls take plain numbers.
        unsafe {
            let [ih, iw] = input.map(n);
            let [oh, ow] = output.map(n);
            let [kh, kw] = kernel.map(n);
            let ([ph, pw], [sh, sw], [dh, dw]) = (pad.map(n), stride.map(n), dilation.map(n));
            is_done(sys::cudnnCreateTensorDescriptor(&mut self.input))
                && is_done(sys::cudnnCreateTensorDescriptor(&mut self.output))
                && is_done(sys::cudnnCreateFilterDescriptor(&mut self.weights))
                && is_done(sys::cudnnCreateConvolutionDescriptor(&mut self.convolution))
                && is_done(sys::cudnnSetTensor4dDescriptor(self.input, format, kind, n(images), n(channels), ih, iw))
                && is_done(sys::cudnnSetTensor4dDescriptor(self.output, format, kind, n(images), n(outputs), oh, ow))
                && is_done(sys::cudnnSetFilter4dDescriptor(
                    self.weights,
                    kind,
                    format,
                    n(outputs),
                    n(channels / groups),
                    kh,
                    kw,
                ))
                && is_done(sys::cudnnSetConvolution2dDescriptor(self.convolution, ph, pw, sh, sw, dh, dw, mode, kind))
                && is_done(sys::cudnnSetConvolutionGroupCount(self.convolution, n(groups)))
                && is_done(sys::cudnnSetConvolutionMathType(self.convolution, math))
        }
    }

    /// cuDNN's best algorithm for a direction, of those whose results are the same in every run and, in f32, that do not round factors.
    fn best(&self, dnn: &Dnn, direction: Direction, math: Math, algorithms: c_int) -> Option<(c_int, usize)> {
        let (mut ranked, mut count) = ([Ranked::default(); RANKED], 0);
        let (asked, at) = (RANKED as c_int, ranked.as_mut_ptr());
        let (x, y, w, c) = (self.input, self.output, self.weights, self.convolution);
        // SAFETY: the descriptors are filled, there is room for as many answers as are asked for, laid out as cuDNN's.
        let status = unsafe {
            match direction {
                Direction::Forward => {
                    sys::cudnnGetConvolutionForwardAlgorithm_v7(dnn.handle, x, w, c, y, asked, &mut count, at.cast())
                }
                Direction::Bottom => sys::cudnnGetConvolutionBackwardDataAlgorithm_v7(
                    dnn.handle,
                    w,
                    y,
                    c,
                    x,
                    asked,
                    &mut count,
                    at.cast(),
                ),
                Direction::Weights => sys::cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                    dnn.handle,
                    x,
                    y,
                    c,
                    w,
                    asked,
                    &mut count,
                    at.cast(),
                ),
            }
        };
        const DETERMINISTIC: c_int = 1;
        const FMA: c_int = 3;
        let usable = |one: &&Ranked| {
            one.status == 0
                && one.determinism == DETERMINISTIC
                && one.memory <= MOST_WORKSPACE
                && (0..algorithms).contains(&one.algorithm)
                && (math == Math::Tf32 || matches!(one.math, 0 | FMA))
        };
        let answers = ranked.iter().take(count.clamp(0, asked) as usize);
        is_done(status).then_some(())?;
        answers.filter(usable).find_map(|one| Some((one.algorithm, self.bytes(dnn, direction, one.algorithm)?)))
    }

    /// The memory that an algorithm works in; `None` when it cannot do this convolution.
    fn bytes(&self, dnn: &Dnn, direction: Direction, algorithm: c_int) -> Option<usize> {
        let mut bytes = 0;
        let (x, y, w, c) = (self.input, self.output, self.weights, self.convolution);
        // SAFETY: the descriptors are filled, and `best` has seen that the number is one of the direction's algorithms.
        let status = unsafe {
            match direction {
                Direction::Forward => sys::cudnnGetConvolutionForwardWorkspaceSize(
                    dnn.handle,
                    x,
                    w,
                    c,
                    y,
                    std::mem::transmute::<c_int, sys::cudnnConvolutionFwdAlgo_t>(algorithm),
                    &mut bytes,
                ),
                Direction::Bottom => sys::cudnnGetConvolutionBackwardDataWorkspaceSize(
                    dnn.handle,
                    w,
                    y,
                    c,
                    x,
                    std::mem::transmute::<c_int, sys::cudnnConvolutionBwdDataAlgo_t>(algorithm),
                    &mut bytes,
                ),
                Direction::Weights => sys::cudnnGetConvolutionBackwardFilterWorkspaceSize(
                    dnn.handle,
                    x,
                    y,
                    c,
                    w,
                    std::mem::transmute::<c_int, sys::cudnnConvolutionBwdFilterAlgo_t>(algorithm),
                    &mut bytes,
                ),
            }
        };
        (is_done(status) && bytes <= MOST_WORKSPACE).then_some(bytes)
    }

    /// Whether there is an algorithm for a direction.
    pub fn can(&self, direction: Direction) -> bool {
        self.algorithms[direction as usize].is_some()
    }

    /// Computes a direction from its two operands, in the order that [`Direction`] names them; a gradient of weights is added.
    pub fn run(&self, direction: Direction, first: Pointer, second: Pointer, result: Pointer) {
        let Some((algorithm, bytes)) = self.algorithms[direction as usize] else { return };
        let workspace =
            self.workspace.as_ref().map_or(std::ptr::null_mut(), |memory| memory.pointer().0 as *mut c_void);
        let (one, zero) = (1.0_f32, 0.0_f32);
        let (alpha, beta) =
            (&raw const one, if direction == Direction::Weights { &raw const one } else { &raw const zero });
        let (alpha, beta) = (alpha.cast(), beta.cast());
        let (a, b, to) = (first.0 as *const c_void, second.0 as *const c_void, result.0 as *mut c_void);
        let (x, y, w, c) = (self.input, self.output, self.weights, self.convolution);
        let run = |dnn: &Dnn| {
            let h = dnn.handle;
            // SAFETY: descriptors, workspace and factors are alive, the algorithm is one of cuDNN's own answers; whoever gives the pointers
            // answers for their sizes.
            unsafe {
                match direction {
                    Direction::Forward => {
                        let algorithm = std::mem::transmute::<c_int, sys::cudnnConvolutionFwdAlgo_t>(algorithm);
                        sys::cudnnConvolutionForward(h, alpha, x, a, w, b, c, algorithm, workspace, bytes, beta, y, to)
                    }
                    Direction::Bottom => {
                        let algorithm = std::mem::transmute::<c_int, sys::cudnnConvolutionBwdDataAlgo_t>(algorithm);
                        sys::cudnnConvolutionBackwardData(
                            h, alpha, w, b, y, a, c, algorithm, workspace, bytes, beta, x, to,
                        )
                    }
                    Direction::Weights => {
                        let algorithm = std::mem::transmute::<c_int, sys::cudnnConvolutionBwdFilterAlgo_t>(algorithm);
                        sys::cudnnConvolutionBackwardFilter(
                            h, alpha, x, a, y, b, c, algorithm, workspace, bytes, beta, w, to,
                        )
                    }
                }
            }
        };
        self.card.by_dnn(|dnn| match run(dnn) {
            sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS => Ok(()),
            status => Err(format!("{status:?}")),
        });
    }
}

impl Drop for DnnConvolution {
    fn drop(&mut self) {
        // SAFETY: a descriptor that is not null was made by its call, and nothing else holds it.
        unsafe {
            if !self.input.is_null() {
                sys::cudnnDestroyTensorDescriptor(self.input);
            }
            if !self.output.is_null() {
                sys::cudnnDestroyTensorDescriptor(self.output);
            }
            if !self.weights.is_null() {
                sys::cudnnDestroyFilterDescriptor(self.weights);
            }
            if !self.convolution.is_null() {
                sys::cudnnDestroyConvolutionDescriptor(self.convolution);
            }
        }
    }
}

fn is_done(status: sys::cudnnStatus_t) -> bool {
    status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
}
