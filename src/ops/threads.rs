//! The threads that ops run on: they begin on CPUs of their own, and between the ops of a pass they wait awake.
//!
//! A small net's op takes some tens of microseconds. A thread that sleeps between two of them takes as long to wake, or much longer: the
//! system may give it the CPU of the thread that wakes it, where it does not run before the other waits.

use std::{
    error::Error as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// The stack of each thread, in bytes: that of a main thread.
const STACK: usize = 8 << 20;

/// How long a thread waits awake for the next op.
const PATIENCE: Duration = Duration::from_millis(2);

/// Threads that wait awake, or work meanwhile.
static AWAKE: AtomicUsize = AtomicUsize::new(0);

/// Starts the threads: so many, or one for each CPU that the process may use.
///
/// # Errors
/// When the number is 0 or the system has no more threads.
pub fn start(threads: Option<usize>) -> Result<()> {
    let fail = |why: String| Err(Error::config("--threads", why));
    if threads == Some(0) {
        return fail("must be at least 1".into());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).stack_size(STACK);
    match (pool.start_handler(begin_on_own_cpu).build_global(), threads) {
        (Ok(()), _) => Ok(()),
        // The system's own reason is the source; without one they run already.
        (Err(error), None) if error.source().is_none() => Ok(()),
        (Err(error), _) => {
            let wanted =
                threads.map_or_else(|| "as many threads as CPUs".into(), |threads| format!("{threads} threads"));
            fail(format!("the system does not start {wanted} ({error}); take fewer with --threads N"))
        }
    }
}

/// Runs `work` on one of the threads: an op that begins there works on at once, where another thread would wake one of them and wait.
pub fn within<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Has the other threads wait awake for ops, for a while; for a caller that is one of them.
pub(crate) fn stay_awake() {
    let Some(caller) = rayon::current_thread_index() else { return };
    let others = rayon::current_num_threads() - 1;
    if others == 0 || AWAKE.compare_exchange(0, others, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    rayon::spawn_broadcast(move |thread| {
        if thread.index() != caller {
            wait();
            AWAKE.fetch_sub(1, Ordering::Relaxed);
        }
    });
}

/// Works when there is something to do, until there was nothing for long.
fn wait() {
    let mut last = Instant::now();
    while last.elapsed() < PATIENCE {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => last = Instant::now(),
            // For the threads that load data.
            _ => std::thread::yield_now(),
        }
    }
}

/// Moves the thread of this number to a CPU of its own, which the system may change later.
#[cfg(target_os = "linux")]
fn begin_on_own_cpu(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    // Where the system does not tell or allow it, threads stay where they are.
    let Ok(all) = sched_getaffinity(None) else { return };
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).cycle();
    if let Some(cpu) = cpus.nth(number) {
        let mut own = CpuSet::new();
        own.set(cpu);
        if sched_setaffinity(None, &own).is_ok() {
            let _ = sched_setaffinity(None, &all);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn begin_on_own_cpu(_: usize) {}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn threads_that_wait_awake_work_and_go_to_sleep_in_the_end() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let sums = pool.install(|| {
            let pass = |_| {
                stay_awake();
                (0..1000_u64).into_par_iter().sum::<u64>()
            };
            (0..100).map(pass).collect::<Vec<_>>()
        });
        assert_eq!(sums, [499_500; 100]);
        let begin = Instant::now();
        while AWAKE.load(Ordering::Relaxed) > 0 {
            assert!(begin.elapsed() < Duration::from_secs(30), "they wait on and on");
            std::thread::yield_now();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_may_still_run_on_every_cpu() {
        use rustix::thread::sched_getaffinity;

        let before = sched_getaffinity(None).unwrap();
        for number in [0, 1, 5000] {
            begin_on_own_cpu(number);
            assert!(sched_getaffinity(None).unwrap() == before);
        }
    }
}
