//! The card: everything it holds, behind one lock.

use std::{
    cell::{Cell, UnsafeCell},
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use crate::{
    capture::Graph,
    codes::{Code, Done, INVALID_CONTEXT, NOT_INITIALIZED, code},
    kernels::{Function, Module},
    memory::Memory,
    streams::{Event, Operation, Stream},
};

/// What the card holds. Handles are numbers that are never used twice, whatever they stand for.
pub struct Card {
    pub is_initialized: bool,
    /// How often the primary context was retained.
    pub retained: usize,
    pub memory: Memory,
    pub pinned: Memory,
    pub streams: BTreeMap<usize, Stream>,
    pub events: BTreeMap<usize, Event>,
    pub modules: BTreeMap<usize, Module>,
    pub functions: BTreeMap<usize, Arc<Function>>,
    pub graphs: BTreeMap<usize, Graph>,
    pub executables: BTreeMap<usize, Arc<Vec<Operation>>>,
    handles: usize,
}

struct Shared(UnsafeCell<Card>);

// Used under LOCK only, and by the fault handler of the thread that holds it.
unsafe impl Sync for Shared {}

static LOCK: Mutex<()> = Mutex::new(());
static SHARED: Shared = Shared(UnsafeCell::new(Card {
    is_initialized: false,
    retained: 0,
    memory: Memory::new(),
    pinned: Memory::new(),
    streams: BTreeMap::new(),
    events: BTreeMap::new(),
    modules: BTreeMap::new(),
    functions: BTreeMap::new(),
    graphs: BTreeMap::new(),
    executables: BTreeMap::new(),
    handles: 0x1000,
}));

thread_local! {
    /// Whether the card's context is this thread's.
    pub static HAS_CONTEXT: Cell<bool> = const { Cell::new(false) };
}

/// The card, for whoever holds the lock or ends the process.
pub fn without_lock() -> &'static Card {
    unsafe { &*SHARED.0.get() }
}

/// A call that needs nothing.
pub fn call(run: impl FnOnce(&mut Card) -> Done) -> Code {
    // Whoever panicked under the lock ended the process: no panic leaves a function of C's.
    let _lock = LOCK.lock();
    code(run(unsafe { &mut *SHARED.0.get() }))
}

/// A call that needs `cuInit`.
pub fn initialized(run: impl FnOnce(&mut Card) -> Done) -> Code {
    call(|card| if card.is_initialized { run(card) } else { Err(NOT_INITIALIZED) })
}

/// A call that needs the thread's context.
pub fn in_context(run: impl FnOnce(&mut Card) -> Done) -> Code {
    initialized(|card| {
        if HAS_CONTEXT.get() && card.retained > 0 {
            return run(card);
        }
        note("a call on a thread without a current context");
        Err(INVALID_CONTEXT)
    })
}

impl Card {
    /// A handle that was not in use before.
    pub fn new_handle(&mut self) -> usize {
        self.handles += 16;
        self.handles
    }
}

/// A line on stderr about a call that fails: a real card does not say why.
pub fn note(what: &str) {
    eprintln!("emulated card: {what}");
}

/// A line on stderr about an operation, when they are wanted.
pub fn trace(what: impl FnOnce() -> String) {
    static WANTED: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| number("TRACE", 0) != 0);
    if *WANTED {
        eprintln!("emulated card: {}", what());
    }
}

/// A number from the environment.
pub fn number(name: &str, default: usize) -> usize {
    let value = std::env::var(format!("EMULATED_CARD_{name}"));
    value.ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Puts a file into the folder of records, when one is wanted.
pub fn record(name: &str, text: &str) {
    let Some(folder) = std::env::var_os("EMULATED_CARD_RECORD") else { return };
    let path = std::path::Path::new(&folder).join(name.replace('/', "_"));
    if let Err(error) = std::fs::write(&path, text) {
        note(&format!("{}: {error}", path.display()));
    }
}
