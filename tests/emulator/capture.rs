//! Capture of a stream into a graph, and graphs. What is captured does not run; what cannot be captured ends the capture.

use std::{
    ffi::{c_char, c_int, c_uint, c_ulonglong, c_void},
    sync::Arc,
    thread::{self, ThreadId},
};

use crate::{
    card::{Card, in_context, note},
    codes::{
        Code, Done, INVALID_HANDLE, INVALID_VALUE, STREAM_CAPTURE_INVALIDATED, STREAM_CAPTURE_ISOLATION,
        STREAM_CAPTURE_UNSUPPORTED,
    },
    streams::Operation,
};

/// `CU_STREAM_CAPTURE_MODE_THREAD_LOCAL`, `..._RELAXED`.
const THREAD_LOCAL: c_int = 1;
const RELAXED: c_int = 2;

/// A capture that is under way.
pub struct Capture {
    operations: Vec<Operation>,
    is_invalid: bool,
    mode: c_int,
    thread: ThreadId,
    id: usize,
}

/// What was captured.
pub struct Graph {
    operations: Arc<Vec<Operation>>,
}

impl Capture {
    /// Takes in an operation that would have run.
    pub fn record(&mut self, operation: Operation) -> Done {
        if self.is_invalid {
            return Err(STREAM_CAPTURE_INVALIDATED);
        }
        self.operations.push(operation);
        Ok(())
    }

    /// Whether this thread may not make calls that might wait.
    fn forbids_unsafe_calls(&self) -> bool {
        match self.mode {
            RELAXED => false,
            THREAD_LOCAL => self.thread == thread::current().id(),
            _ => true,
        }
    }
}

impl Card {
    pub fn is_capturing(&self, stream: usize) -> bool {
        self.streams.get(&stream).is_some_and(|stream| stream.capture.is_some())
    }

    pub fn invalidate_captures(&mut self) {
        for capture in self.streams.values_mut().filter_map(|stream| stream.capture.as_mut()) {
            capture.is_invalid = true;
        }
    }

    fn refuse(&mut self, what: &str, forbidden: bool, why: Code) -> Done {
        if !forbidden {
            return Ok(());
        }
        note(&format!("{what} while a stream is captured"));
        self.invalidate_captures();
        Err(why)
    }

    /// For calls that wait for all streams (`waits`), or might: not while a capture forbids it.
    pub fn refuse_in_capture(&mut self, what: &str, waits: bool) -> Done {
        let mut captures = self.streams.values().filter_map(|stream| stream.capture.as_ref());
        let forbidden = captures.any(|capture| waits || capture.forbids_unsafe_calls());
        self.refuse(what, forbidden, STREAM_CAPTURE_UNSUPPORTED)
    }

    /// For calls that wait for one stream.
    pub fn refuse_in_capture_of(&mut self, stream: usize, what: &str) -> Done {
        let forbidden = self.is_capturing(stream);
        self.refuse(what, forbidden, STREAM_CAPTURE_UNSUPPORTED)?;
        self.refuse_in_capture(what, false)
    }

    /// For work in the default stream, which waits for others.
    pub fn refuse_in_capture_of_blocking(&mut self) -> Done {
        let forbidden = self.streams.values().any(|stream| stream.capture.is_some());
        self.refuse("work in the default stream", forbidden, STREAM_CAPTURE_UNSUPPORTED)
    }

    /// Whether a stream may wait for an event that was, or was not, recorded in a capture.
    pub fn check_wait(&mut self, stream: usize, event_is_captured: bool) -> Done {
        let forbidden = self.is_capturing(stream) != event_is_captured;
        self.refuse("waiting for an event across a capture's border", forbidden, STREAM_CAPTURE_ISOLATION)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamBeginCapture_v2(stream: usize, mode: c_int) -> Code {
    in_context(|card| {
        let id = card.stream_id(stream)?;
        if id == 0 || card.is_capturing(id) || !(0..=RELAXED).contains(&mode) {
            note("a capture of the default stream, or of one that is captured already");
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        let capture_id = card.new_handle();
        let stream = card.streams.get_mut(&id).ok_or(INVALID_HANDLE)?;
        let thread = thread::current().id();
        stream.capture = Some(Capture { operations: Vec::new(), is_invalid: false, mode, thread, id: capture_id });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamEndCapture(stream: usize, graph: *mut usize) -> Code {
    in_context(|card| {
        *graph = 0;
        let id = card.stream_id(stream)?;
        let capture = card.streams.get_mut(&id).and_then(|stream| stream.capture.take()).ok_or(INVALID_VALUE)?;
        if capture.is_invalid {
            return Err(STREAM_CAPTURE_INVALIDATED);
        }
        *graph = card.new_handle();
        card.graphs.insert(*graph, Graph { operations: Arc::new(capture.operations) });
        Ok(())
    })
}

/// `CU_STREAM_CAPTURE_STATUS_...`: none, active, invalidated.
fn status(card: &mut Card, stream: usize) -> Result<(c_int, usize), Code> {
    let id = card.stream_id(stream)?;
    let capture = card.streams.get(&id).and_then(|stream| stream.capture.as_ref());
    Ok(capture.map_or((0, 0), |capture| (1 + c_int::from(capture.is_invalid), capture.id)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamIsCapturing(stream: usize, state: *mut c_int) -> Code {
    in_context(|card| {
        *state = status(card, stream)?.0;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetCaptureInfo_v2(
    stream: usize,
    state: *mut c_int,
    id: *mut c_ulonglong,
    graph: *mut usize,
    dependencies: *mut *const c_void,
    count: *mut usize,
) -> Code {
    in_context(|card| {
        let (found, capture) = status(card, stream)?;
        *state = found;
        for (place, value) in [(graph, 0), (count, 0)] {
            if !place.is_null() {
                *place = value;
            }
        }
        if !id.is_null() {
            *id = capture as c_ulonglong;
        }
        if !dependencies.is_null() {
            *dependencies = std::ptr::null();
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamGetCaptureInfo_v3(
    stream: usize,
    state: *mut c_int,
    id: *mut c_ulonglong,
    graph: *mut usize,
    dependencies: *mut *const c_void,
    edges: *mut *const c_void,
    count: *mut usize,
) -> Code {
    if !edges.is_null() {
        *edges = std::ptr::null();
    }
    cuStreamGetCaptureInfo_v2(stream, state, id, graph, dependencies, count)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuThreadExchangeStreamCaptureMode(_mode: *mut c_int) -> Code {
    note("cuThreadExchangeStreamCaptureMode is not emulated");
    INVALID_VALUE
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphInstantiateWithFlags(executable: *mut usize, graph: usize, _: c_ulonglong) -> Code {
    in_context(|card| {
        let operations = Arc::clone(&card.graphs.get(&graph).ok_or(INVALID_HANDLE)?.operations);
        *executable = card.new_handle();
        card.executables.insert(*executable, operations);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphInstantiate_v2(
    executable: *mut usize,
    graph: usize,
    node: *mut usize,
    _: *mut c_char,
    _: usize,
) -> Code {
    if !node.is_null() {
        *node = 0;
    }
    cuGraphInstantiateWithFlags(executable, graph, 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphUpload(executable: usize, stream: usize) -> Code {
    in_context(|card| {
        card.stream_id(stream)?;
        card.executables.get(&executable).map(drop).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphLaunch(executable: usize, stream: usize) -> Code {
    in_context(|card| {
        let operations = Arc::clone(card.executables.get(&executable).ok_or(INVALID_HANDLE)?);
        card.enqueue(stream, Operation::Graph(operations))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphExecDestroy(executable: usize) -> Code {
    in_context(|card| card.executables.remove(&executable).map(drop).ok_or(INVALID_HANDLE))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphDestroy(graph: usize) -> Code {
    in_context(|card| card.graphs.remove(&graph).map(drop).ok_or(INVALID_HANDLE))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphGetNodes(graph: usize, nodes: *mut usize, count: *mut usize) -> Code {
    in_context(|card| {
        let all = card.graphs.get(&graph).ok_or(INVALID_HANDLE)?.operations.len();
        if !nodes.is_null() {
            for index in 0..(*count).min(all) {
                *nodes.add(index) = index + 1;
            }
        }
        *count = all;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphDebugDotPrint(_graph: usize, _path: *const c_char, _flags: c_uint) -> Code {
    INVALID_VALUE
}
