//! Signals: what Ctrl-C and a hang-up ask of a run.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT},
    flag,
};

use super::flags::SignalEffect;
use crate::{
    error::{Error, Result},
    solver::Request,
};

/// A function that says what signals have asked for since it was last called. A second Ctrl-C ends the program at once.
///
/// # Errors
/// When the system does not let signals be watched.
pub fn requests(
    sigint: SignalEffect,
    sighup: SignalEffect,
) -> Result<impl FnMut() -> Option<Request> + Send + 'static> {
    let unwatchable = |cause| Error::io("signals", cause);
    let watch = |signal, effect| -> Result<(Arc<AtomicBool>, SignalEffect)> {
        let raised = Arc::new(AtomicBool::new(false));
        if effect == SignalEffect::Stop {
            // Registered first, so that it sees the flag of the signal before this one.
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&raised)).map_err(unwatchable)?;
        }
        flag::register(signal, Arc::clone(&raised)).map_err(unwatchable)?;
        Ok((raised, effect))
    };
    let watched = [watch(SIGINT, sigint)?, watch(SIGHUP, sighup)?];
    Ok(move || {
        let raised = |(flag, effect): &(Arc<AtomicBool>, SignalEffect)| match effect {
            // The flag stays up, so that a second signal ends the program.
            SignalEffect::Stop => flag.load(Ordering::Relaxed).then_some(Request::Stop),
            SignalEffect::Snapshot => flag.swap(false, Ordering::Relaxed).then_some(Request::Snapshot),
            SignalEffect::None => None,
        };
        watched.iter().find_map(raised)
    })
}
