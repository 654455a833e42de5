//! Exact resume: what a run's path depends on besides weights, history and iteration.

use super::{SmoothedLoss, Solver};
use crate::{
    error::{Error, Result},
    proto::RunState,
    rng::Random,
};

impl Solver {
    /// The state of the run at this moment, or, during a test pass, from before it: a resumed run begins the pass anew.
    pub(super) fn run_state(&self) -> RunState {
        self.before_test.clone().unwrap_or_else(|| self.present_state())
    }

    fn present_state(&self) -> RunState {
        let nets = std::iter::once(&self.net).chain(self.test_nets.iter().map(|test| &test.net));
        RunState {
            random: self.random.lock().state(),
            loss: self.smoothed.losses().to_vec(),
            loss_start: Some(self.start as u32),
            smoothed_loss: Some(self.smoothed.value()),
            layer: (0..).zip(nets).flat_map(|(number, net)| net.states(number)).collect(),
            best: self.best.as_ref().and_then(|best| best.value()),
            ..self.schedule_state()
        }
    }

    /// Keeps the state of this moment for the snapshots that are written until [`end_pass`](Solver::end_pass).
    pub(super) fn begin_pass(&mut self) {
        if self.before_test.is_none() {
            self.before_test = Some(self.present_state());
        }
    }

    /// From here on snapshots hold the state of their own moment again.
    pub(super) fn end_pass(&mut self) {
        self.before_test = None;
    }

    /// Goes on from the state of a run. One of Caffe has none: data and random streams begin anew then.
    ///
    /// # Errors
    /// When it is damaged; `origin` names the file.
    pub(super) fn restore_run(&mut self, state: &RunState, origin: &str) -> Result<()> {
        let random = Random::from_state(&state.random);
        *self.random.lock() = random.ok_or_else(|| Error::data(origin, "the state of the random engine is damaged"))?;
        for layer in &state.layer {
            let net = match layer.net() {
                0 => Some(&mut self.net),
                number => self.test_nets.get_mut(number as usize - 1).map(|test| &mut test.net),
            };
            if let Some(net) = net {
                net.restore_state(layer);
            }
        }
        let (window, start) = (self.parameter().average_loss().max(1) as usize, state.loss_start() as usize);
        // With another average_loss the mean begins anew.
        if state.loss.len() == window.min(self.iteration.saturating_sub(start)) {
            let smoothed = SmoothedLoss::restored(window, &state.loss, state.smoothed_loss());
            self.resumed_loss = Some((start, smoothed));
        }
        if let (Some(best), Some(value)) = (&mut self.best, state.best) {
            best.restore(value);
        }
        Ok(())
    }
}
