//! A card: opened once per process, used by all nets.

use std::{
    cell::Cell,
    ffi::c_void,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use cudarc::driver::{result, sys};

use super::{
    Argument, Grid, Math, Pointer, Source,
    blas::Blas,
    dnn::Dnn,
    failure::{describe, failed},
    kernels::Kernels,
    libraries,
    memory::Pool,
    profile::Profile,
    properties::{Properties, count, properties},
    staging::Staging,
};
use crate::error::{Error, Result};

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
    /// Bytes of memory in use now.
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
    kernels: Mutex<Kernels>,
    pub(super) blas: Mutex<Option<Blas>>,
    /// cuDNN, once it was asked for; `Some(None)` where there is none.
    pub(super) dnn: Mutex<Option<Option<Dnn>>>,
    pub(super) math: Mutex<Math>,
    /// While launches are timed.
    pub(super) profile: Mutex<Option<Profile>>,
    /// The first call that failed, and what it said.
    failure: Mutex<Option<(String, String)>>,
    has_failed: AtomicBool,
    is_capturing: AtomicBool,
    pub(super) launches: AtomicU64,
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
            blas: Mutex::default(),
            dnn: Mutex::default(),
            math: Mutex::default(),
            profile: Mutex::default(),
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

    /// How products are rounded.
    pub fn math(&self) -> Math {
        *lock(&self.math)
    }

    /// What it was asked to do so far.
    pub fn counters(&self) -> Counters {
        let pool = lock(&self.pool);
        Counters {
            launches: self.launches.load(Relaxed),
            bytes_up: self.bytes_up.load(Relaxed),
            bytes_down: self.bytes_down.load(Relaxed),
            allocations: pool.allocations,
            memory: pool.used as u64,
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
        self.enter();
        let function = match lock(&self.kernels).get(&self.properties, source, kernel) {
            Ok(function) => function,
            Err(error) => return self.fail_with(error),
        };
        let mut places: Vec<*mut c_void> = arguments.iter().map(|argument| argument.place()).collect();
        self.launches.fetch_add(1, Relaxed);
        self.attempt(kernel, || {
            self.timed(kernel, || {
                // SAFETY: function and stream are alive, the arguments live until the call has copied them.
                unsafe {
                    result::launch_kernel(function, (x, y, z), (grid.threads, 1, 1), 0, self.stream.0, &mut places)
                }
            })
        });
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

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Relaxed)
    }

    pub(super) fn fail(&self, call: String, message: String) {
        let mut failure = lock(&self.failure);
        failure.get_or_insert((call, message));
        self.has_failed.store(true, Relaxed);
    }

    pub(super) fn fail_with(&self, error: Error) {
        match error {
            Error::Cuda { call, message, .. } => self.fail(call, message),
            other => self.fail("CUDA".into(), other.to_string()),
        }
    }

    /// Makes the card's context current in this thread.
    pub(super) fn enter(&self) {
        let ordinal = Some(self.properties.ordinal);
        if CURRENT.get() != ordinal {
            // SAFETY: the context is never given back.
            match unsafe { result::ctx::set_current(self.context.0) } {
                Ok(()) => CURRENT.set(ordinal),
                Err(error) => self.fail("cuCtxSetCurrent".into(), describe(error)),
            }
        }
    }
}

impl PartialEq for Card {
    fn eq(&self, other: &Card) -> bool {
        self.properties.ordinal == other.properties.ordinal
    }
}

impl Eq for Card {}

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind the locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
