//! A card: opened once per process, used by all nets.

use std::{
    cell::Cell,
    collections::HashMap,
    ffi::{CString, c_void},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use cudarc::driver::{result, sys};

use super::{
    Argument, Grid, Math, Pointer, Source,
    blas::{Blas, Product},
    cache, libraries,
    memory::Pool,
    staging::Staging,
};
use crate::error::{Error, Result};

/// What a card is.
#[derive(Debug, Clone)]
pub struct Properties {
    /// Its number, from 0.
    pub ordinal: usize,
    /// What its maker calls it.
    pub name: String,
    /// Its compute capability: 9.0 is 90.
    pub capability: u32,
    /// How many multiprocessors it has.
    pub multiprocessors: usize,
    /// Bytes of memory.
    pub memory: usize,
    /// The version of CUDA that the driver knows: 13.0 is 13000.
    pub driver: i32,
    /// Other facts, by name, as `rcaffe devices` prints them.
    pub facts: Vec<(&'static str, i64)>,
}

/// What a card was asked to do since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernels and products, those in replayed graphs included.
    pub launches: u64,
    /// Bytes copied from the host.
    pub bytes_up: u64,
    /// Bytes copied to the host.
    pub bytes_down: u64,
    /// How often memory was asked for.
    pub allocations: u64,
    /// Bytes of memory held now.
    pub memory: u64,
}

/// A card with a context and one stream.
#[derive(Debug)]
pub struct Card {
    properties: Properties,
    context: Handle<sys::CUcontext>,
    stream: Handle<sys::CUstream>,
    pool: Mutex<Pool>,
    staging: Mutex<Hidden<Staging>>,
    kernels: Mutex<HashMap<(&'static str, &'static str), Handle<sys::CUfunction>>>,
    modules: Mutex<HashMap<&'static str, Handle<sys::CUmodule>>>,
    blas: Mutex<Option<Blas>>,
    math: Mutex<Math>,
    /// The first call that failed, and what it said.
    failure: Mutex<Option<(String, String)>>,
    has_failed: AtomicBool,
    is_capturing: AtomicBool,
    launches: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

/// A handle of the driver.
#[derive(Debug, Clone, Copy)]
struct Handle<T>(T);

// SAFETY: contexts, streams, modules and functions may be used by any thread that has made the context current.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Handle<T> {}

/// What has nothing to show.
struct Hidden<T>(T);

impl<T> std::fmt::Debug for Hidden<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("…")
    }
}

/// All cards that were opened.
static CARDS: Mutex<Vec<&'static Card>> = Mutex::new(Vec::new());

thread_local! {
    /// The card whose context is current in this thread.
    static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Card {
    /// All cards that the driver finds.
    ///
    /// # Errors
    /// When there is no driver, or it does not work.
    pub fn list() -> Result<Vec<Properties>> {
        (0..count()?).map(properties).collect()
    }

    /// The card of this number.
    ///
    /// # Errors
    /// When there is no driver, or no such card.
    pub fn open(ordinal: usize) -> Result<&'static Card> {
        let mut cards = lock(&CARDS);
        if let Some(card) = cards.iter().find(|card| card.properties.ordinal == ordinal) {
            return Ok(card);
        }
        let count = count()?;
        if ordinal >= count {
            let message = format!(
                "there is no GPU {ordinal}, the driver finds {count}, counted from 0; `rcaffe devices` lists them"
            );
            return Err(Error::config("--gpu", message));
        }
        libraries::nvrtc()?;
        libraries::cublas()?;
        let properties = properties(ordinal)?;
        let device = result::device::get(ordinal as i32).map_err(|error| failed("cuDeviceGet", error))?;
        // SAFETY: the device is one of the driver's.
        let context = unsafe { result::primary_ctx::retain(device) }
            .map_err(|error| failed("cuDevicePrimaryCtxRetain", error))?;
        // SAFETY: the context was made just now, and is never given back.
        unsafe { result::ctx::set_current(context) }.map_err(|error| failed("cuCtxSetCurrent", error))?;
        CURRENT.set(Some(ordinal));
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking)
            .map_err(|error| failed("cuStreamCreate", error))?;
        let card: &'static Card = Box::leak(Box::new(Card {
            properties,
            context: Handle(context),
            stream: Handle(stream),
            pool: Mutex::default(),
            staging: Mutex::new(Hidden(Staging::default())),
            kernels: Mutex::default(),
            modules: Mutex::default(),
            blas: Mutex::default(),
            math: Mutex::default(),
            failure: Mutex::default(),
            has_failed: AtomicBool::new(false),
            is_capturing: AtomicBool::new(false),
            launches: AtomicU64::new(0),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
        }));
        cards.push(card);
        Ok(card)
    }

    /// What the card is.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// How many multiprocessors it has.
    pub fn multiprocessors(&self) -> usize {
        self.properties.multiprocessors
    }

    /// From now on products are rounded so.
    pub fn set_math(&self, math: Math) {
        let mut now = lock(&self.math);
        if *now != math {
            *now = math;
            *lock(&self.blas) = None;
        }
    }

    /// What it was asked to do so far.
    pub fn counters(&self) -> Counters {
        let pool = lock(&self.pool);
        Counters {
            launches: self.launches.load(Relaxed),
            bytes_up: self.bytes_up.load(Relaxed),
            bytes_down: self.bytes_down.load(Relaxed),
            allocations: pool.allocations,
            memory: pool.held as u64,
        }
    }

    /// Bytes that are free, and all bytes.
    ///
    /// # Errors
    /// When a call has failed.
    pub fn memory(&self) -> Result<[usize; 2]> {
        let sizes = self.attempt("cuMemGetInfo", result::mem_get_info);
        self.check()?;
        let (free, all) = sizes.unwrap_or_default();
        Ok([free, all])
    }

    /// Runs a kernel in this grid, behind all that was given to the card; does nothing for an empty grid. The arguments are those of the
    /// kernel, in its order: the caller answers for that, and for pointers to as much memory as the kernel touches.
    pub fn launch(&'static self, source: &Source, kernel: &'static str, grid: Grid, arguments: &[&dyn Argument]) {
        if grid.is_empty() || self.has_failed() {
            return;
        }
        let [x, y, z] = match grid.checked() {
            Ok(blocks) => blocks,
            Err(message) => return self.fail(kernel.to_string(), message),
        };
        let function = match self.function(source, kernel) {
            Ok(function) => function,
            Err(error) => return self.fail_with(error),
        };
        let mut places: Vec<*mut c_void> = arguments.iter().map(|argument| argument.place()).collect();
        self.launches.fetch_add(1, Relaxed);
        self.attempt(kernel, || {
            // SAFETY: function and stream are alive, the arguments live until the call has copied them.
            unsafe { result::launch_kernel(function, (x, y, z), (grid.threads, 1, 1), 0, self.stream.0, &mut places) }
        });
    }

    /// A product of matrices, behind all that was given to the card.
    pub fn product(&'static self, product: Product, a: Pointer, b: Pointer, c: Pointer) {
        if self.has_failed() {
            return;
        }
        self.enter();
        let math = *lock(&self.math);
        let mut blas = lock(&self.blas);
        if blas.is_none() {
            match Blas::new(self, math) {
                Ok(new) => *blas = Some(new),
                Err(error) => return self.fail_with(error),
            }
        }
        self.launches.fetch_add(1, Relaxed);
        if let Some(Err(error)) = blas.as_ref().map(|blas| blas.product(product, a, b, c)) {
            self.fail("cublasSgemm".into(), format!("{:?}", error.0));
        }
    }

    /// Copies values to the card, behind all that was given to it; the values are free when the call returns.
    pub fn send<T: Copy>(&self, values: &[T], to: Pointer) {
        if values.is_empty() || self.has_failed() || self.refuses_while_capturing("a copy to the card") {
            return;
        }
        self.bytes_up.fetch_add(size_of_val(values) as u64, Relaxed);
        // SAFETY: plain values are bytes.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
        let mut staging = lock(&self.staging);
        self.attempt("cuMemcpyHtoDAsync", || {
            // SAFETY: `attempt` made the context current; the memory holds as much, for which the caller answers.
            unsafe { staging.0.send(bytes, to.0, self.stream.0) }
        });
    }

    /// Copies values from the card and waits for them.
    pub fn receive<T: Copy>(&self, from: Pointer, values: &mut [T]) {
        if values.is_empty() || self.has_failed() || self.refuses_while_capturing("a copy from the card") {
            return;
        }
        self.bytes_down.fetch_add(size_of_val(values) as u64, Relaxed);
        self.attempt("cuMemcpyDtoHAsync", || {
            // SAFETY: the memory holds as much, for which the caller answers; the values are not touched before the stream is done.
            unsafe {
                result::memcpy_dtoh_async(values, from.0, self.stream.0)?;
                result::stream::synchronize(self.stream.0)
            }
        });
    }

    /// Sets bytes to zero, behind all that was given to the card.
    pub fn clear(&self, at: Pointer, bytes: usize) {
        if bytes > 0 {
            // SAFETY: the memory holds as much, for which the caller answers.
            self.attempt("cuMemsetD8Async", || unsafe { result::memset_d8_async(at.0, 0, bytes, self.stream.0) });
        }
    }

    /// Waits until the card has done all that was given to it.
    pub fn synchronize(&self) {
        // SAFETY: the stream is alive.
        self.attempt("cuStreamSynchronize", || unsafe { result::stream::synchronize(self.stream.0) });
    }

    /// Whether all went well so far.
    ///
    /// # Errors
    /// Names the first call that failed.
    pub fn check(&self) -> Result<()> {
        if !self.has_failed() {
            return Ok(());
        }
        let (call, message) = lock(&self.failure).clone().unwrap_or_default();
        Err(Error::cuda(call, message))
    }

    /// The stream that all work goes to.
    pub(super) fn stream(&self) -> sys::CUstream {
        self.stream.0
    }

    /// Whether work is recorded, not done.
    pub fn is_capturing(&self) -> bool {
        self.is_capturing.load(Relaxed)
    }

    pub(super) fn set_capturing(&self, capturing: bool) {
        self.is_capturing.store(capturing, Relaxed);
    }

    pub(super) fn count_launches(&self, launches: u64) {
        self.launches.fetch_add(launches, Relaxed);
    }

    /// Memory from the pool; 0 when there is none.
    pub(super) fn allocate(&self, bytes: usize) -> u64 {
        if bytes > 0 && self.refuses_while_capturing("asking for memory") {
            return 0;
        }
        let mut pool = lock(&self.pool);
        self.attempt("cuMemAlloc", || pool.take(bytes)).unwrap_or(0)
    }

    pub(super) fn give_back(&self, address: u64, bytes: usize) {
        lock(&self.pool).put(address, bytes);
    }

    /// Makes a call of the driver with the card's context, unless one has failed before; `None` when it fails.
    pub(super) fn attempt<R>(&self, call: &str, work: impl FnOnce() -> Result<R, result::DriverError>) -> Option<R> {
        if self.has_failed() {
            return None;
        }
        self.enter();
        match work() {
            Ok(result) => Some(result),
            Err(error) => {
                self.fail(call.to_string(), describe(error));
                None
            }
        }
    }

    /// What is recorded must not need the host: says so as a failure.
    fn refuses_while_capturing(&self, what: &str) -> bool {
        let refuses = self.is_capturing();
        if refuses {
            self.fail(what.to_string(), "cannot be part of a captured iteration; this is a mistake in rcaffe".into());
        }
        refuses
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Relaxed)
    }

    fn fail(&self, call: String, message: String) {
        let mut failure = lock(&self.failure);
        failure.get_or_insert((call, message));
        self.has_failed.store(true, Relaxed);
    }

    fn fail_with(&self, error: Error) {
        match error {
            Error::Cuda { call, message, .. } => self.fail(call, message),
            other => self.fail("CUDA".into(), other.to_string()),
        }
    }

    /// Makes the card's context current in this thread.
    fn enter(&self) {
        let ordinal = Some(self.properties.ordinal);
        if CURRENT.get() != ordinal {
            // SAFETY: the context is never given back.
            match unsafe { result::ctx::set_current(self.context.0) } {
                Ok(()) => CURRENT.set(ordinal),
                Err(error) => self.fail("cuCtxSetCurrent".into(), describe(error)),
            }
        }
    }

    fn function(&self, source: &Source, kernel: &'static str) -> Result<sys::CUfunction> {
        let mut kernels = lock(&self.kernels);
        if let Some(function) = kernels.get(&(source.name, kernel)) {
            return Ok(function.0);
        }
        self.enter();
        let module = self.module(source)?;
        let name = CString::new(kernel).unwrap_or_default();
        // SAFETY: the module is alive and never unloaded.
        let function = unsafe { result::module::get_function(module, name) };
        let function = function.map_err(|error| failed(&format!("kernel {kernel} of {}.cu", source.name), error))?;
        kernels.insert((source.name, kernel), Handle(function));
        Ok(function)
    }

    fn module(&self, source: &Source) -> Result<sys::CUmodule> {
        let mut modules = lock(&self.modules);
        if let Some(module) = modules.get(source.name) {
            return Ok(module.0);
        }
        let mut image = cache::image(source, self.properties.capability, self.properties.driver)?;
        // PTX is a C string.
        image.push(0);
        // SAFETY: the image is what the compiler made, whole and with a zero at its end.
        let module = unsafe { result::module::load_data(image.as_ptr().cast()) };
        let module = module.map_err(|error| failed(&format!("loading {}.cu", source.name), error))?;
        modules.insert(source.name, Handle(module));
        Ok(module)
    }
}

impl PartialEq for Card {
    fn eq(&self, other: &Card) -> bool {
        self.properties.ordinal == other.properties.ordinal
    }
}

impl Eq for Card {}

/// How many cards the driver finds.
fn count() -> Result<usize> {
    libraries::driver()?;
    result::init().map_err(|error| failed("cuInit", error))?;
    let count = result::device::get_count().map_err(|error| failed("cuDeviceGetCount", error))?;
    match count {
        0 => Err(Error::cuda("cuDeviceGetCount", "the driver finds no GPU; leave --gpu out to run on the CPU")),
        count => Ok(count as usize),
    }
}

fn properties(ordinal: usize) -> Result<Properties> {
    use sys::CUdevice_attribute_enum as Attribute;
    let device = result::device::get(ordinal as i32).map_err(|error| failed("cuDeviceGet", error))?;
    // SAFETY: the device is one of the driver's, here and below.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) }.unwrap_or_default();
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device) }.map_err(|error| failed("cuDeviceTotalMem", error))?;
    let mut driver = 0;
    // SAFETY: a number to write to.
    unsafe { sys::cuDriverGetVersion(&mut driver) };
    let facts = [
        ("Clock rate (kHz)", Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        ("Memory clock rate (kHz)", Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
        ("Memory bus width (bits)", Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
        ("L2 cache (bytes)", Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
        ("Shared memory per block (bytes)", Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
        (
            "Shared memory per multiprocessor (bytes)",
            Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
        ),
        ("Registers per block", Attribute::CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
        ("Threads per block", Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
        ("Threads per multiprocessor", Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR),
        ("Warp size", Attribute::CU_DEVICE_ATTRIBUTE_WARP_SIZE),
        ("PCI bus", Attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID),
    ];
    let [major, minor] = [
        Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
        Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
    ]
    .map(attribute);
    Ok(Properties {
        ordinal,
        name: result::device::get_name(device).map_err(|error| failed("cuDeviceGetName", error))?,
        capability: (10 * major + minor).max(0) as u32,
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT).max(1) as usize,
        memory,
        driver,
        facts: facts.map(|(name, fact)| (name, i64::from(attribute(fact)))).to_vec(),
    })
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind the locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(call: &str, error: result::DriverError) -> Error {
    Error::cuda(call, describe(error))
}

/// The driver's words for an error, and what to do.
fn describe(error: result::DriverError) -> String {
    use sys::CUresult as Code;
    let text =
        |text: Result<&std::ffi::CStr, _>| text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let advice = match error.0 {
        Code::CUDA_ERROR_OUT_OF_MEMORY => "; a smaller batch takes less memory, `nvidia-smi` shows who else has it",
        Code::CUDA_ERROR_NO_DEVICE => "; leave --gpu out to run on the CPU",
        Code::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => "; the driver was updated: restart the machine",
        Code::CUDA_ERROR_INVALID_IMAGE
        | Code::CUDA_ERROR_NO_BINARY_FOR_GPU
        | Code::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            "; NVRTC is newer than the driver: update the driver, or let RCAFFE_CUDA_PATH name an older toolkit"
        }
        Code::CUDA_ERROR_ILLEGAL_ADDRESS | Code::CUDA_ERROR_LAUNCH_FAILED | Code::CUDA_ERROR_ASSERT => {
            "; this is a mistake in rcaffe: please report it with the output of `rcaffe selftest --gpu 0`"
        }
        _ => "",
    };
    format!("{}: {}{advice}", text(error.error_name()), text(error.error_string()))
}
