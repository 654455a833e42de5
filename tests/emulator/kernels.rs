//! Modules, functions and launches.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_uint, c_void},
    os::fd::FromRawFd,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    card::{Card, in_context, note, record, trace},
    codes::{Code, Done, INVALID_HANDLE, INVALID_IMAGE, INVALID_VALUE, NOT_FOUND},
    faults,
    streams::Operation,
};

/// Where the running thread is, as `shim.h` has it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Place {
    pub thread: [u32; 3],
    pub block: [u32; 3],
    pub threads: [u32; 3],
    pub blocks: [u32; 3],
}

/// A loaded library of kernels. It stays in memory when the program unloads it: what runs late must not run into nothing.
pub struct Module {
    library: *mut c_void,
    functions: Vec<usize>,
}

type Run = unsafe extern "C" fn(*mut *mut c_void, *const u32, *const u32, bool);

/// A kernel.
pub struct Function {
    pub name: String,
    pub program: String,
    pub place: *const Place,
    run: Run,
    /// The size of each argument, and whether it is a pointer.
    arguments: Vec<(usize, bool)>,
}

/// A kernel and everything that a launch gives it.
#[derive(Clone)]
pub struct Launch {
    pub function: Arc<Function>,
    arguments: Vec<u8>,
    blocks: [u32; 3],
    threads: [u32; 3],
}

impl Launch {
    /// Runs it, here and now.
    pub fn run(&self, card: &Card) {
        trace(|| format!("{} on {:?} blocks of {:?} threads", self.function.name, self.blocks, self.threads));
        let mut places = Vec::with_capacity(self.function.arguments.len());
        let mut offset = 0;
        for (index, &(size, is_pointer)) in self.function.arguments.iter().enumerate() {
            let place = unsafe { self.arguments.as_ptr().add(offset) };
            if is_pointer {
                let pointer = unsafe { place.cast::<usize>().read_unaligned() };
                if pointer != 0 && !card.memory.holds(pointer, 0) && !card.pinned.holds(pointer, 0) {
                    let where_it_is = card.memory.describe(pointer);
                    let name = &self.function.name;
                    faults::fail(&format!("argument {index} of kernel {name} is {pointer:#x}, {where_it_is}"));
                }
            }
            places.push(place.cast_mut().cast::<c_void>());
            offset += size.next_multiple_of(16);
        }
        let reversed = std::env::var("EMULATED_CARD_ORDER").is_ok_and(|order| order == "reversed");
        faults::run_as(self, || unsafe {
            (self.function.run)(places.as_mut_ptr(), self.blocks.as_ptr(), self.threads.as_ptr(), reversed);
        });
    }
}

unsafe fn symbol(library: *mut c_void, name: &str) -> Option<*mut c_void> {
    let name = CString::new(name).ok()?;
    let place = libc::dlsym(library, name.as_ptr());
    (!place.is_null()).then_some(place)
}

/// The bytes of a library in memory: its section table is its end.
unsafe fn image<'a>(start: *const u8) -> Option<&'a [u8]> {
    let header = std::slice::from_raw_parts(start, 64);
    if &header[..4] != b"\x7fELF" {
        return None;
    }
    let number = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]) as usize;
    let table = u64::from_le_bytes(header[40..48].try_into().ok()?) as usize;
    Some(std::slice::from_raw_parts(start, table + number(58) * number(60)))
}

/// Loads a library from memory.
unsafe fn load(bytes: &[u8]) -> Option<*mut c_void> {
    let file = libc::memfd_create(c"kernels".as_ptr(), 0);
    if file < 0 {
        return None;
    }
    let mut file_of_rust = std::fs::File::from_raw_fd(file);
    std::io::Write::write_all(&mut file_of_rust, bytes).ok()?;
    let path = CString::new(format!("/proc/self/fd/{file}")).ok()?;
    // It stays open: the loader knows a library by its path, and another file must not get this one's number.
    std::mem::forget(file_of_rust);
    let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
    if library.is_null() {
        note(&CStr::from_ptr(libc::dlerror()).to_string_lossy());
        return None;
    }
    Some(library)
}

/// Gives a library the stacks of its threads, the same for all.
unsafe fn give_stacks(library: *mut c_void) -> Option<()> {
    static STACKS: AtomicUsize = AtomicUsize::new(0);
    let place = symbol(library, "emulated_stacks")?.cast::<usize>();
    if STACKS.load(Ordering::Relaxed) == 0 {
        let make = symbol(library, "emulated_make_stacks")?;
        let make = std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> usize>(make);
        STACKS.store(make(), Ordering::Relaxed);
    }
    *place = STACKS.load(Ordering::Relaxed);
    (*place != 0).then_some(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: *mut usize, data: *const c_void) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuModuleLoadData", false)?;
        let library = image(data.cast()).and_then(|bytes| load(bytes)).ok_or(INVALID_IMAGE)?;
        let report = symbol(library, "emulated_report").ok_or(INVALID_IMAGE)?;
        *report.cast::<unsafe extern "C" fn(*const c_char, c_int)>() = faults::report;
        give_stacks(library).ok_or(INVALID_IMAGE)?;
        *module = card.new_handle();
        card.modules.insert(*module, Module { library, functions: Vec::new() });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut usize,
    data: *const c_void,
    _: c_uint,
    _: *mut c_void,
    _: *mut c_void,
) -> Code {
    cuModuleLoadData(module, data)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleUnload(module: usize) -> Code {
    in_context(|card| {
        card.refuse_in_capture("cuModuleUnload", false)?;
        card.run_all();
        let module = card.modules.remove(&module).ok_or(INVALID_HANDLE)?;
        for function in module.functions {
            card.functions.remove(&function);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(function: *mut usize, module: usize, name: *const c_char) -> Code {
    in_context(|card| {
        let name = CStr::from_ptr(name).to_str().map_err(|_| INVALID_VALUE)?.to_string();
        let library = card.modules.get(&module).ok_or(INVALID_HANDLE)?.library;
        let find = |what: &str| symbol(library, &format!("emulated_{what}_{name}")).ok_or(NOT_FOUND);
        let run = std::mem::transmute::<*mut c_void, Run>(find("launch")?);
        let count = *find("count")?.cast::<c_uint>() as usize;
        let sizes = std::slice::from_raw_parts(find("sizes")?.cast::<c_uint>(), count);
        let pointers = std::slice::from_raw_parts(find("pointers")?.cast::<u8>(), count);
        let arguments = sizes.iter().zip(pointers).map(|(&size, &pointer)| (size as usize, pointer != 0)).collect();
        let place = symbol(library, "emulated_place").ok_or(NOT_FOUND)?.cast();
        let program = symbol(library, "emulated_program").ok_or(NOT_FOUND)?.cast();
        let program = CStr::from_ptr(program).to_string_lossy().into_owned();
        record(&format!("{program}.{name}.kernel"), "");
        *function = card.new_handle();
        card.functions.insert(*function, Arc::new(Function { name, program, place, run, arguments }));
        if let Some(module) = card.modules.get_mut(&module) {
            module.functions.push(*function);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: usize) -> Code {
    in_context(|card| {
        card.functions.get(&function).ok_or(INVALID_HANDLE)?;
        // Threads per block, registers, PTX and binary version; sizes of memory are not known here.
        *value = match attribute {
            0 => 1024,
            4 => 32,
            5 | 6 => 90,
            _ => 0,
        };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncSetAttribute(function: usize, _: c_int, _: c_int) -> Code {
    in_context(|card| card.functions.get(&function).map(drop).ok_or(INVALID_HANDLE))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncSetCacheConfig(function: usize, _: c_int) -> Code {
    cuFuncSetAttribute(function, 0, 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    blocks: *mut c_int,
    function: usize,
    threads: c_int,
    _: usize,
) -> Code {
    in_context(|card| {
        card.functions.get(&function).ok_or(INVALID_HANDLE)?;
        *blocks = 2048 / threads.clamp(1, 2048);
        Ok(())
    })
}

/// Checks what a launch asks for.
fn check(blocks: [u32; 3], threads: [u32; 3], shared: u32) -> Done {
    let refused = if blocks.contains(&0) || threads.contains(&0) {
        "is empty"
    } else if u64::from(threads[0]) * u64::from(threads[1]) * u64::from(threads[2]) > 1024 || threads[2] > 64 {
        "has blocks of more than 1024 threads"
    } else if blocks[0] > i32::MAX as u32 || blocks[1] > 65_535 || blocks[2] > 65_535 {
        "has more than 65535 blocks along y or z"
    } else if shared > 0 {
        "asks for dynamic shared memory, which the emulated card has not"
    } else {
        return Ok(());
    };
    note(&format!("a launch of {blocks:?} blocks of {threads:?} threads {refused}"));
    Err(INVALID_VALUE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: usize,
    blocks_x: c_uint,
    blocks_y: c_uint,
    blocks_z: c_uint,
    threads_x: c_uint,
    threads_y: c_uint,
    threads_z: c_uint,
    shared: c_uint,
    stream: usize,
    arguments: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Code {
    in_context(|card| {
        let function = Arc::clone(card.functions.get(&function).ok_or(INVALID_HANDLE)?);
        let (blocks, threads) = ([blocks_x, blocks_y, blocks_z], [threads_x, threads_y, threads_z]);
        check(blocks, threads, shared)?;
        if !extra.is_null() || (arguments.is_null() && !function.arguments.is_empty()) {
            return Err(INVALID_VALUE);
        }
        let mut bytes = Vec::new();
        for (index, &(size, _)) in function.arguments.iter().enumerate() {
            bytes.extend_from_slice(std::slice::from_raw_parts((*arguments.add(index)).cast::<u8>(), size));
            bytes.resize(bytes.len().next_multiple_of(16), 0);
        }
        card.enqueue(stream, Operation::Launch(Launch { function, arguments: bytes, blocks, threads }))
    })
}
