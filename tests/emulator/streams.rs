//! Streams, what is queued in them, and events. A queue runs when something waits for it, and no sooner.

use std::{
    collections::VecDeque,
    ffi::{c_int, c_uint},
    sync::Arc,
    time::Instant,
};

use crate::{
    capture::Capture,
    card::{Card, in_context, note, trace},
    codes::{CAPTURED_EVENT, Code, Done, INVALID_HANDLE, INVALID_VALUE, NOT_READY},
    convolution::Convolution,
    cublas::Product,
    kernels::Launch,
};

/// The stream that calls without a stream mean.
const DEFAULT: usize = 0;

/// A stream's queue.
#[derive(Default)]
pub struct Stream {
    queue: VecDeque<Operation>,
    is_non_blocking: bool,
    pub capture: Option<Capture>,
}

/// What a stream can do.
#[derive(Clone)]
pub enum Operation {
    Launch(Launch),
    /// Bytes from one address to another, read when it runs.
    Copy {
        to: usize,
        from: usize,
        bytes: usize,
    },
    /// Bytes that were read when it was queued.
    Write {
        to: usize,
        data: Vec<u8>,
    },
    /// One value of 1, 2 or 4 bytes, over and over.
    Fill {
        to: usize,
        pattern: Vec<u8>,
        count: usize,
    },
    Free {
        start: usize,
    },
    Record {
        event: usize,
        generation: usize,
    },
    Wait {
        event: usize,
        generation: usize,
    },
    Graph(Arc<Vec<Operation>>),
    Product(Product),
    Convolution(Convolution),
}

/// A mark in a stream.
#[derive(Default)]
pub struct Event {
    /// How often it was recorded, and the last of these that was reached.
    recorded: usize,
    reached: usize,
    stream: usize,
    time: Option<Instant>,
    has_no_time: bool,
    is_captured: bool,
}

impl Card {
    /// Puts an operation at the end of a stream, or in the graph that the stream is captured into.
    pub fn enqueue(&mut self, stream: usize, operation: Operation) -> Done {
        let stream = self.stream_id(stream)?;
        if let Some(capture) = &mut self.streams.entry(stream).or_default().capture {
            return capture.record(operation);
        }
        // The default stream waits for all others but those that asked not to be waited for, and they for it.
        if stream == DEFAULT {
            self.refuse_in_capture_of_blocking()?;
            let blocking = self.streams.iter().filter(|(id, stream)| **id != DEFAULT && !stream.is_non_blocking);
            for id in blocking.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.run_stream(id);
            }
        } else if !self.streams[&stream].is_non_blocking {
            self.run_stream(DEFAULT);
        }
        let stream = self.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?;
        stream.queue.push_back(operation);
        Ok(())
    }

    /// The stream that a handle means.
    pub fn stream_id(&mut self, handle: usize) -> Result<usize, Code> {
        match handle {
            0..=2 => {
                self.streams.entry(DEFAULT).or_default();
                Ok(DEFAULT)
            }
            _ if self.streams.contains_key(&handle) => Ok(handle),
            _ => Err(INVALID_HANDLE),
        }
    }

    /// Runs all that is queued in a stream.
    pub fn run_stream(&mut self, stream: usize) {
        while let Some(operation) = self.streams.get_mut(&stream).and_then(|stream| stream.queue.pop_front()) {
            self.execute(&operation);
        }
    }

    /// Runs all that is queued anywhere.
    pub fn run_all(&mut self) {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            self.run_stream(stream);
        }
    }

    fn execute(&mut self, operation: &Operation) {
        match operation {
            Operation::Launch(launch) => launch.run(self),
            Operation::Product(product) => product.run(),
            Operation::Convolution(convolution) => convolution.run(),
            Operation::Copy { to, from, bytes } => {
                trace(|| format!("copy of {bytes} bytes"));
                self.copy(*to, *from, *bytes);
            }
            Operation::Write { to, data } => {
                trace(|| format!("write of {} bytes", data.len()));
                self.copy(*to, data.as_ptr() as usize, data.len());
            }
            Operation::Fill { to, pattern, count } => self.fill(*to, pattern, *count),
            Operation::Free { start } => drop(self.memory.free(*start)),
            Operation::Record { event, generation } => {
                if let Some(event) = self.events.get_mut(event) {
                    event.reached = *generation;
                    event.time = Some(Instant::now());
                }
            }
            Operation::Wait { event, generation } => self.run_until(*event, *generation),
            Operation::Graph(operations) => {
                trace(|| format!("graph of {} operations", operations.len()));
                operations.iter().for_each(|operation| self.execute(operation));
            }
        }
    }

    /// Runs the stream of an event up to where the event was recorded.
    fn run_until(&mut self, event: usize, generation: usize) {
        let Some(stream) = self.events.get(&event).map(|event| event.stream) else { return };
        while self.events.get(&event).is_some_and(|event| event.reached < generation) {
            let Some(operation) = self.streams.get_mut(&stream).and_then(|stream| stream.queue.pop_front()) else {
                return;
            };
            self.execute(&operation);
        }
    }

    fn is_busy(&self, stream: usize) -> bool {
        self.streams.get(&stream).is_some_and(|stream| !stream.queue.is_empty())
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut usize, flags: c_uint) -> Code {
    in_context(|card| {
        if flags > 1 {
            return Err(INVALID_VALUE);
        }
        *stream = card.new_handle();
        card.streams.insert(*stream, Stream { is_non_blocking: flags == 1, ..Stream::default() });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreateWithPriority(stream: *mut usize, flags: c_uint, _: c_int) -> Code {
    cuStreamCreate(stream, flags)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamDestroy_v2(stream: usize) -> Code {
    in_context(|card| {
        let id = card.stream_id(stream)?;
        if id == DEFAULT {
            return Err(INVALID_HANDLE);
        }
        card.run_stream(id);
        card.streams.remove(&id);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamSynchronize(stream: usize) -> Code {
    in_context(|card| {
        let id = card.stream_id(stream)?;
        card.refuse_in_capture_of(id, "cuStreamSynchronize")?;
        card.run_stream(id);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamQuery(stream: usize) -> Code {
    in_context(|card| {
        let id = card.stream_id(stream)?;
        card.refuse_in_capture_of(id, "cuStreamQuery")?;
        let was_busy = card.is_busy(id);
        // Whoever asks again finds it done.
        card.run_stream(id);
        if was_busy { Err(NOT_READY) } else { Ok(()) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamWaitEvent(stream: usize, event: usize, _: c_uint) -> Code {
    in_context(|card| {
        let id = card.stream_id(stream)?;
        let known = card.events.get(&event).ok_or(INVALID_HANDLE)?;
        let (generation, is_captured) = (known.recorded, known.is_captured);
        card.check_wait(id, is_captured)?;
        if is_captured || generation == 0 {
            return Ok(());
        }
        card.enqueue(id, Operation::Wait { event, generation })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut usize, flags: c_uint) -> Code {
    in_context(|card| {
        *event = card.new_handle();
        card.events.insert(*event, Event { has_no_time: flags & 2 != 0, ..Event::default() });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventRecord(event: usize, stream: usize) -> Code {
    in_context(|card| {
        let id = card.stream_id(stream)?;
        let is_captured = card.is_capturing(id);
        let known = card.events.get_mut(&event).ok_or(INVALID_HANDLE)?;
        known.is_captured = is_captured;
        if is_captured {
            return Ok(());
        }
        known.recorded += 1;
        known.stream = id;
        let generation = known.recorded;
        card.enqueue(id, Operation::Record { event, generation })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventRecordWithFlags(event: usize, stream: usize, _: c_uint) -> Code {
    cuEventRecord(event, stream)
}

/// The generation to wait for, and whether it was reached.
fn state(card: &mut Card, event: usize) -> Result<(usize, bool), Code> {
    let known = card.events.get(&event).ok_or(INVALID_HANDLE)?;
    if known.is_captured {
        note("an event that was recorded in a capture is waited for");
        card.invalidate_captures();
        return Err(CAPTURED_EVENT);
    }
    Ok((known.recorded, known.reached == known.recorded))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventQuery(event: usize) -> Code {
    in_context(|card| {
        let (generation, is_reached) = state(card, event)?;
        card.run_until(event, generation);
        if is_reached { Ok(()) } else { Err(NOT_READY) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventSynchronize(event: usize) -> Code {
    in_context(|card| {
        let (generation, _) = state(card, event)?;
        card.run_until(event, generation);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, start: usize, end: usize) -> Code {
    in_context(|card| {
        let (start_state, end_state) = (state(card, start)?, state(card, end)?);
        let [start, end] = [&card.events[&start], &card.events[&end]];
        if start.has_no_time || end.has_no_time || start_state.0 == 0 || end_state.0 == 0 {
            return Err(INVALID_HANDLE);
        }
        if !start_state.1 || !end_state.1 {
            return Err(NOT_READY);
        }
        let (Some(start), Some(end)) = (start.time, end.time) else { return Err(NOT_READY) };
        *milliseconds = 1e3 * end.saturating_duration_since(start).as_secs_f32();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime_v2(milliseconds: *mut f32, start: usize, end: usize) -> Code {
    cuEventElapsedTime(milliseconds, start, end)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventDestroy_v2(event: usize) -> Code {
    in_context(|card| {
        let (generation, _) = state(card, event)?;
        card.run_until(event, generation);
        card.events.remove(&event);
        Ok(())
    })
}
