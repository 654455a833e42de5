//! The ends of a process: kernels that touch what they may not, and other bugs that a real card would not forgive.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    sync::{
        Once,
        atomic::{AtomicPtr, Ordering},
    },
};

use crate::{
    card,
    kernels::{Launch, Place},
};

/// The launch that runs.
static RUNNING: AtomicPtr<Launch> = AtomicPtr::new(std::ptr::null_mut());

/// Says what is wrong and ends the process.
pub fn fail(what: &str) -> ! {
    eprintln!("emulated card: {what}{}", place());
    std::process::abort()
}

/// Runs something as this launch: faults name it.
pub fn run_as(launch: &Launch, run: impl FnOnce()) {
    watch();
    RUNNING.store(std::ptr::from_ref(launch).cast_mut(), Ordering::SeqCst);
    run();
    RUNNING.store(std::ptr::null_mut(), Ordering::SeqCst);
}

/// Called by a module's threads.
pub unsafe extern "C" fn report(what: *const c_char, line: c_int) {
    fail(&format!("{} at line {line}", CStr::from_ptr(what).to_string_lossy()));
}

/// Where the running thread is, in words.
fn place() -> String {
    let launch = RUNNING.load(Ordering::SeqCst);
    if launch.is_null() {
        return String::new();
    }
    let launch = unsafe { &*launch };
    let Place { thread, block, threads, blocks } = unsafe { *launch.function.place };
    format!(
        ": kernel {} of {}, block {block:?} of {blocks:?}, thread {thread:?} of {threads:?}",
        launch.function.name, launch.function.program
    )
}

fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP] {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    });
}

unsafe extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    let what = match signal {
        libc::SIGSEGV | libc::SIGBUS => {
            let address = (*info).si_addr() as usize;
            // The thread that runs kernels holds the card's lock and will not go on.
            let memory = card::without_lock().memory.describe(address);
            format!("access to {address:#x}, {memory}")
        }
        libc::SIGFPE => "division by zero".into(),
        _ => "an index outside its array, or an address that its type may not have".into(),
    };
    fail(&what);
}
