//! Memory as a program asks for it: allocations, copies, fills.

use std::ffi::{c_int, c_uchar, c_uint, c_void};

use crate::{
    card::{Card, in_context, note},
    codes::{Code, Done, INVALID_VALUE, OUT_OF_MEMORY, STREAM_CAPTURE_UNSUPPORTED},
    devices::total_memory,
    faults,
    streams::Operation,
};

impl Card {
    fn device_range(&self, start: usize, bytes: usize, what: &str) -> Done {
        if self.memory.holds(start, bytes) {
            return Ok(());
        }
        note(&format!("{what} of {bytes} bytes at {start:#x}: {}", self.memory.describe(start)));
        Err(INVALID_VALUE)
    }

    /// Copies, when its turn is: what was freed since it was queued is a fault.
    pub fn copy(&self, to: usize, from: usize, bytes: usize) {
        for place in [to, from] {
            if self.memory.was_freed(place) || self.pinned.was_freed(place) {
                faults::fail("a copy's memory was freed before the copy ran");
            }
        }
        unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes) };
    }

    /// Fills, when its turn is.
    pub fn fill(&self, to: usize, pattern: &[u8], count: usize) {
        if !self.memory.holds(to, pattern.len() * count) {
            faults::fail("memory was freed before it was filled");
        }
        for index in 0..count {
            let place = (to + index * pattern.len()) as *mut u8;
            unsafe { std::ptr::copy_nonoverlapping(pattern.as_ptr(), place, pattern.len()) };
        }
    }

    fn upload(&mut self, to: usize, from: usize, bytes: usize, stream: usize) -> Done {
        self.device_range(to, bytes, "copy to the card")?;
        let id = self.stream_id(stream)?;
        if self.pinned.holds(from, bytes) {
            return self.enqueue(stream, Operation::Copy { to, from, bytes });
        }
        if self.is_capturing(id) {
            note(
                "a copy from memory that is not pinned is captured: it would read that memory whenever the graph runs",
            );
            self.invalidate_captures();
            return Err(STREAM_CAPTURE_UNSUPPORTED);
        }
        let data = unsafe { std::slice::from_raw_parts(from as *const u8, bytes) }.to_vec();
        self.enqueue(stream, Operation::Write { to, data })
    }

    fn download(&mut self, to: usize, from: usize, bytes: usize, stream: usize) -> Done {
        self.device_range(from, bytes, "copy from the card")?;
        let is_pinned = self.pinned.holds(to, bytes);
        let id = self.stream_id(stream)?;
        if !is_pinned {
            self.refuse_in_capture_of(id, "a copy to memory that is not pinned")?;
        }
        self.enqueue(stream, Operation::Copy { to, from, bytes })?;
        if !is_pinned {
            self.run_stream(id);
        }
        Ok(())
    }

    fn fill_range(&mut self, to: usize, pattern: Vec<u8>, count: usize, stream: usize) -> Done {
        if !to.is_multiple_of(pattern.len()) {
            return Err(INVALID_VALUE);
        }
        self.device_range(to, pattern.len() * count, "fill")?;
        self.enqueue(stream, Operation::Fill { to, pattern, count })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(start: *mut usize, bytes: usize) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuMemAlloc", false)?;
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if card.memory.used() + bytes > total_memory() {
            return Err(OUT_OF_MEMORY);
        }
        *start = card.memory.allocate(bytes).ok_or_else(|| {
            note(&format!("no memory for {bytes} bytes in {} ranges", card.memory.ranges()));
            OUT_OF_MEMORY
        })?;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFree_v2(start: usize) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuMemFree", false)?;
        card.run_all();
        if start == 0 || card.memory.free(start) {
            return Ok(());
        }
        note(&format!("free of {start:#x}: {}", card.memory.describe(start)));
        Err(INVALID_VALUE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(start: *mut usize, bytes: usize, _stream: usize) -> Code {
    cuMemAlloc_v2(start, bytes)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFreeAsync(start: usize, stream: usize) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuMemFreeAsync", false)?;
        card.device_range(start, 0, "free")?;
        card.enqueue(stream, Operation::Free { start })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocHost_v2(start: *mut usize, bytes: usize) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuMemAllocHost", false)?;
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        *start = card.pinned.allocate(bytes).ok_or(OUT_OF_MEMORY)?;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(start: *mut usize, bytes: usize, _flags: c_uint) -> Code {
    cuMemAllocHost_v2(start, bytes)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFreeHost(start: usize) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuMemFreeHost", false)?;
        if card.pinned.free(start) {
            return Ok(());
        }
        note(&format!("cuMemFreeHost of {start:#x}, which is no pinned memory"));
        Err(INVALID_VALUE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostGetDevicePointer_v2(device: *mut usize, host: *mut c_void, _flags: c_uint) -> Code {
    in_context(|card| {
        if !card.pinned.holds(host as usize, 0) {
            return Err(INVALID_VALUE);
        }
        *device = host as usize;
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoD_v2(to: usize, from: *const c_void, bytes: usize) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuMemcpyHtoD", true)?;
        card.upload(to, from as usize, bytes, 0)?;
        card.run_stream(0);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(to: usize, from: *const c_void, bytes: usize, stream: usize) -> Code {
    in_context(|card| card.upload(to, from as usize, bytes, stream))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: usize, bytes: usize) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuMemcpyDtoH", true)?;
        card.download(to as usize, from, bytes, 0)?;
        card.run_stream(0);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: usize, bytes: usize, stream: usize) -> Code {
    in_context(|card| card.download(to as usize, from, bytes, stream))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoDAsync_v2(to: usize, from: usize, bytes: usize, stream: usize) -> Code {
    in_context(|card| {
        card.device_range(to, bytes, "copy on the card, to")?;
        card.device_range(from, bytes, "copy on the card, from")?;
        card.enqueue(stream, Operation::Copy { to, from, bytes })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoD_v2(to: usize, from: usize, bytes: usize) -> Code {
    cuMemcpyDtoDAsync_v2(to, from, bytes, 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8Async(to: usize, value: c_uchar, count: usize, stream: usize) -> Code {
    in_context(|card| card.fill_range(to, vec![value], count, stream))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD32Async(to: usize, value: c_uint, count: usize, stream: usize) -> Code {
    in_context(|card| card.fill_range(to, value.to_ne_bytes().to_vec(), count, stream))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8_v2(to: usize, value: c_uchar, count: usize) -> Code {
    cuMemsetD8Async(to, value, count, 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD32_v2(to: usize, value: c_uint, count: usize) -> Code {
    cuMemsetD32Async(to, value, count, 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuPointerGetAttribute(_data: *mut c_void, _attribute: c_int, _pointer: usize) -> Code {
    INVALID_VALUE
}
