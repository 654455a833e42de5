//! From one solver to the next: what a snapshot would carry, without the files, and the schedule's part of it.

use std::path::{Path, PathBuf};

use super::{Event, Request, Solver, lr::Plateau};
use crate::{
    error::Result,
    proto::{NetParameter, RunState, SolverState},
};

/// What a solver hands to the one that goes on after it.
pub struct Carried {
    weights: NetParameter,
    state: SolverState,
    requests: Box<dyn FnMut() -> Option<Request> + Send>,
    last_snapshot: Option<PathBuf>,
}

impl Solver {
    /// Trains as [`Solver::solve`] does, for a solver that another one follows: what Caffe does at the end of a run, a last loss
    /// and a last test, is left to that one; the last snapshot is written. `None` when the run was stopped.
    ///
    /// # Errors
    /// When a layer, a test or a snapshot fails, or the loss stops being a number.
    pub fn solve_and_carry(mut self) -> Result<Option<Carried>> {
        let start = self.train()?;
        if self.stopping {
            self.finish(start)?;
            return Ok(None);
        }
        self.snapshot_after_train()?;
        let state = self.state(Path::new(""));
        let weights = self.net.to_message(false);
        Ok(Some(Carried { weights, state, requests: self.requests, last_snapshot: self.last_snapshot }))
    }

    /// Goes on where another solver ended, as if from its snapshot; `file` names that solver in messages.
    ///
    /// # Errors
    /// When this solver's net or update rule does not fit what was carried.
    pub fn take_over(&mut self, carried: Carried, file: &str) -> Result<()> {
        self.net.copy_weights(&carried.weights, file)?;
        self.restore_state(&carried.state, Path::new(file))?;
        self.requests = carried.requests;
        self.last_snapshot = carried.last_snapshot;
        Ok(())
    }

    /// The schedule's part of the state: what `plateau` remembers, and the last rate for the log.
    pub(super) fn schedule_state(&self) -> RunState {
        RunState {
            plateau: self.learning_rate.plateau().map(Plateau::to_message),
            last_rate: self.iteration.checked_sub(1).map(|last| self.learning_rate.rate(last)),
            ..RunState::default()
        }
    }

    /// Takes over the schedule's part of a state. One without the last rate was written by Caffe, whose plateau keeps no more
    /// than the step.
    pub(super) fn restore_schedule(&mut self, state: &SolverState) {
        let run = state.run.as_ref();
        let (plateau, from) = (run.and_then(|run| run.plateau.as_ref()), run.and_then(|run| run.last_rate));
        let step = if from.is_none() || plateau.is_some() { state.current_step() } else { 0 };
        self.learning_rate.restore_plateau(Plateau::from_message(plateau, state.iter(), step));
        let to = self.learning_rate.rate(self.iteration);
        self.tell(&Event::Resumed { iteration: self.iteration, from, to });
    }
}
