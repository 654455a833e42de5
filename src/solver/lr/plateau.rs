//! `plateau` of SSD Caffe and Intel Caffe: the rate drops when the loss has found no new minimum for a while.
//!
//! The one policy that depends on more than the iteration. What it remembers is part of the solver's state, so that a resumed
//! run drops where the uninterrupted one does.

use super::{Settings, caffe::stepped};
use crate::{
    error::{Error, Result},
    proto::PlateauState,
};

/// What the policy remembers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// The lowest smoothed loss so far.
    pub minimum_loss: f32,
    /// The iteration of that loss, or of the last drop if that came later.
    pub last_event: i32,
    /// Drops so far: `current_step` of Caffe's snapshots.
    pub current_step: i32,
}

impl Plateau {
    /// Nothing seen yet, at this iteration.
    pub fn begin(iteration: i32) -> Self {
        Plateau { minimum_loss: f32::MAX, last_event: iteration, current_step: 0 }
    }

    /// From a snapshot, whose fields of Caffe's are `iter` and `current_step`; one that Caffe wrote has no more.
    pub fn from_message(message: Option<&PlateauState>, iteration: i32, current_step: i32) -> Self {
        let fresh = Plateau { current_step: current_step.max(0), ..Plateau::begin(iteration) };
        let Some(message) = message else { return fresh };
        Plateau {
            minimum_loss: message.minimum_loss.unwrap_or(fresh.minimum_loss),
            last_event: message.last_event.unwrap_or(fresh.last_event),
            ..fresh
        }
    }

    /// For a snapshot, beside `current_step`.
    pub fn to_message(self) -> PlateauState {
        PlateauState { minimum_loss: Some(self.minimum_loss), last_event: Some(self.last_event) }
    }

    /// Takes in the smoothed loss of an iteration: a new minimum, or a drop when `windows[current_step]` iterations have
    /// passed since the last minimum or drop. Returns whether the rate drops.
    pub(super) fn observe(&mut self, windows: &[i32], iteration: i32, smoothed_loss: f32) -> bool {
        if smoothed_loss < self.minimum_loss {
            self.minimum_loss = smoothed_loss;
            self.last_event = iteration;
        }
        let Some(&window) = windows.get(self.current_step as usize) else { return false };
        let drops = i64::from(iteration) >= i64::from(self.last_event) + i64::from(window);
        if drops {
            self.current_step += 1;
            self.last_event = iteration;
        }
        drops
    }
}

/// `base_lr · gamma^(drops so far)`.
pub(super) fn plateau(settings: &Settings, _: i32) -> f32 {
    stepped(settings, settings.drops)
}

/// Drops so far.
pub(super) fn drops(settings: &Settings, _: i32) -> i32 {
    settings.drops
}

/// Refuses a solver without windows, or windows without length.
pub(super) fn check(settings: &Settings) -> Result<()> {
    if settings.plateau_winsize.is_empty() {
        let message = "is missing: after how many iterations without a new minimum of the loss does the rate drop?";
        return Err(Error::config("plateau_winsize", message));
    }
    match settings.plateau_winsize.iter().find(|&&window| window < 1) {
        Some(window) => Err(Error::config("plateau_winsize", format!("must be at least 1 iteration, not {window}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimum_or_a_drop_opens_a_new_window() {
        let mut state = Plateau::begin(0);
        let losses = [5.0, 4.0, 4.0, 4.0, 3.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 2.0, 9.0, 9.0];
        let drops = (0..).zip(losses).filter(|&(iteration, loss)| state.observe(&[3, 2], iteration, loss));
        let drops: Vec<i32> = drops.map(|(iteration, _)| iteration).collect();
        // Minimum at 4, so the first at 7; the second two later; then no window is left.
        assert_eq!(drops, [7, 9]);
        assert_eq!(state, Plateau { minimum_loss: 2.0, last_event: 11, current_step: 2 });
    }

    #[test]
    fn a_snapshot_keeps_what_it_remembers() {
        let state = Plateau { minimum_loss: 0.1, last_event: 70, current_step: 2 };
        assert_eq!(Plateau::from_message(Some(&state.to_message()), 99, 2), state);
        let fresh = Plateau { current_step: 2, ..Plateau::begin(99) };
        assert_eq!(Plateau::from_message(None, 99, 2), fresh);
    }
}
