//! How long kernels take: two events around each launch, while someone asks for it.

use std::collections::BTreeMap;

use cudarc::driver::{result, sys};

use super::{Card, card::lock};

/// All launches of one kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KernelTime {
    /// How often it was launched.
    pub launches: u64,
    /// How long it ran in all.
    pub milliseconds: f64,
}

/// Launches with the events around them.
#[derive(Debug, Default)]
pub(super) struct Profile {
    launches: Vec<(&'static str, [sys::CUevent; 2])>,
}

// SAFETY: events belong to the context, not to a thread.
unsafe impl Send for Profile {}

impl Card {
    /// Does the work and times every launch in it, by kernel; what is replayed is not seen. Each launch takes a little longer.
    pub fn profile(&'static self, work: impl FnOnce()) -> BTreeMap<&'static str, KernelTime> {
        *lock(&self.profile) = Some(Profile::default());
        work();
        self.synchronize();
        let profile = lock(&self.profile).take().unwrap_or_default();
        let mut times: BTreeMap<&'static str, KernelTime> = BTreeMap::new();
        for (kernel, [start, end]) in profile.launches {
            let time = times.entry(kernel).or_default();
            time.launches += 1;
            time.milliseconds += self.attempt("cuEventElapsedTime", || elapsed(start, end)).unwrap_or(0.0);
            for event in [start, end] {
                // SAFETY: the event is alive, and nothing waits for it.
                let _ = unsafe { result::event::destroy(event) };
            }
        }
        times
    }

    /// Makes a launch, between two events when someone asks for times.
    pub(super) fn timed(
        &self,
        kernel: &'static str,
        launch: impl FnOnce() -> Result<(), result::DriverError>,
    ) -> Result<(), result::DriverError> {
        let mut profile = lock(&self.profile);
        let Some(profile) = profile.as_mut().filter(|_| !self.is_capturing()) else { return launch() };
        let event = || result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT);
        let [start, end] = [event()?, event()?];
        // SAFETY: events and stream are alive.
        unsafe { result::event::record(start, self.stream()) }?;
        launch()?;
        // SAFETY: as above.
        unsafe { result::event::record(end, self.stream()) }?;
        profile.launches.push((kernel, [start, end]));
        Ok(())
    }
}

/// The time between two events, in milliseconds. Drivers before CUDA 12.8 have the call by its first name only, those of 13 by both.
fn elapsed(start: sys::CUevent, end: sys::CUevent) -> Result<f64, result::DriverError> {
    type Elapsed = unsafe extern "C" fn(*mut f32, sys::CUevent, sys::CUevent) -> sys::CUresult;
    // SAFETY: the driver is loaded; the symbol, where it exists, is a function of this type.
    let Ok(elapsed) = (unsafe { sys::culib().get::<Elapsed>(b"cuEventElapsedTime") }) else {
        return Err(result::DriverError(sys::CUresult::CUDA_ERROR_NOT_FOUND));
    };
    let mut milliseconds = 0.0;
    // SAFETY: a number to write to, two events that have passed.
    unsafe { elapsed(&mut milliseconds, start, end) }.result()?;
    Ok(f64::from(milliseconds))
}
