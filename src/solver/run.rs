//! The training loop.

use std::time::Instant;

use super::{Event, Iteration, Pace, Request, Solver, nets::end_of, tell};
use crate::{
    error::{Error, Result},
    ops::update::{Parameters, Preparation, Regularization, norm, scale, update},
    tensor::Device,
};

impl Solver {
    /// Trains to `max_iter` with tests and snapshots as the solver file says, from the iteration that was reached.
    ///
    /// # Errors
    /// When a layer, a test or a snapshot fails, or the loss stops being a number.
    pub fn solve(&mut self) -> Result<()> {
        let start = self.train()?;
        self.finish(start)
    }

    /// Iterates to `max_iter`, and leaves the end to the caller. Returns the iteration that it began with.
    pub(super) fn train(&mut self) -> Result<usize> {
        let end = end_of(self.parameter()).ok_or_else(|| {
            Error::config("max_iter", "is not given: the iteration to end at").at(&self.sources().place("max_iter"))
        })?;
        let policy = self.learning_rate.policy_at(self.iteration).to_string();
        let (net, iteration) = (self.net.name().to_string(), self.iteration);
        self.tell(&Event::Solving { net: &net, policy: &policy, iteration, end });
        let start = self.begin();
        while self.iteration < end && !self.stopping {
            if self.test_is_due() && (self.iteration > 0 || self.parameter().test_initialization()) {
                self.test_all()?;
            }
            if !self.stopping {
                self.iterate(start)?;
                self.answer_requests()?;
            }
        }
        Ok(start)
    }

    /// Begins a run at the present iteration: the clock and the smoothed loss start afresh, the loss where a snapshot was made
    /// after a resume. Returns the iteration at which the smoothed loss begins.
    pub fn begin(&mut self) -> usize {
        let window = self.parameter().average_loss().max(1) as usize;
        let afresh = (self.iteration, super::SmoothedLoss::new(window));
        (self.start, self.smoothed) = self.resumed_loss.take().unwrap_or(afresh);
        self.clock = Instant::now();
        self.stopping = false;
        self.end_pass();
        self.start
    }

    /// One iteration of the run whose smoothed loss begins at `start`: `iter_size` passes forward and backward, then the update. Returns the
    /// loss.
    ///
    /// # Errors
    /// When a layer fails or the loss stops being a number.
    pub fn iterate(&mut self, start: usize) -> Result<f32> {
        self.announce_stage();
        self.net.replace_gradients();
        let display = divides(self.parameter().display(), self.iteration);
        self.net.debug_info = display && self.parameter().debug_info();
        let passes = self.parameter().iter_size().max(1);
        let mut loss = 0.0;
        for _ in 0..passes {
            loss += self.net.forward_backward()?;
        }
        loss /= passes as f32;
        self.check_finite(loss)?;
        self.smoothed.add(loss, self.iteration - start);
        if self.learning_rate.observe(self.iteration, self.smoothed.value()) {
            let step = self.learning_rate.steps_taken(self.iteration);
            self.tell(&Event::Plateau { iteration: self.iteration, step });
        }
        let rate = self.learning_rate.rate(self.iteration);
        self.tell_iteration(display, loss, rate);
        self.update()?;
        Ok(loss)
    }

    /// The end of an iteration whose gradients the net holds: the update. For those who run the passes themselves.
    ///
    /// # Errors
    /// When a gradient is not finite.
    pub fn update(&mut self) -> Result<()> {
        self.apply_update(self.learning_rate.rate(self.iteration))?;
        self.iteration += 1;
        Ok(())
    }

    fn tell_iteration(&mut self, display: bool, loss: f32, rate: f32) {
        let pace = Pace {
            seconds: self.clock.elapsed().as_secs_f32(),
            iterations: self.iteration.abs_diff(self.last_displayed),
        };
        if display {
            self.clock = Instant::now();
            self.last_displayed = self.iteration;
        }
        let wants_norm = self.observers.iter().any(|observer| observer.wants_gradient_norm());
        let gradient_norm = wants_norm.then(|| self.gradient_norm());
        let event = Event::Iteration(Iteration {
            iteration: self.iteration,
            display,
            loss,
            smoothed_loss: self.smoothed.value(),
            rate,
            momentum: self.learning_rate.momentum(self.iteration),
            weight_decay: self.learning_rate.weight_decay(self.iteration),
            gradient_norm,
            more_than_the_rate_changes: self.learning_rate.more_than_the_rate_changes(self.iteration),
            pace,
            net: &self.net,
        });
        tell(&mut self.observers, &event);
    }

    fn apply_update(&mut self, rate: f32) -> Result<()> {
        self.clip_gradients();
        let parameter = &self.document.message;
        let regularization =
            if parameter.regularization_type() == "L1" { Regularization::L1 } else { Regularization::L2 };
        let preparation = Preparation { scale: 1.0 / parameter.iter_size().max(1) as f32, regularization };
        let weight_decay = self.learning_rate.weight_decay(self.iteration);
        for (segment, learnable) in self.segments.iter_mut().zip(self.net.parameters().learnable()) {
            segment.rate = rate * learnable.lr_mult;
            segment.decay = weight_decay * learnable.decay_mult;
        }
        let rule = self.update.rule(self.iteration, self.learning_rate.momentum(self.iteration));
        let parameters = Parameters {
            data: self.net.parameters().data(),
            diff: self.net.parameters().diff(),
            histories: &self.history,
            segments: &self.segments,
        };
        update(self.net.device(), rule, preparation, parameters, &mut self.workspace);
        match self.net.device() {
            Device::Cpu => self.check_steps(rate),
            // A card is not waited for here: the loss of the next iteration, or the next snapshot, asks.
            Device::Cuda(card) => card.check(),
        }
    }

    /// Whether all steps of the updates so far were finite.
    pub(super) fn check_steps(&self, rate: f32) -> Result<()> {
        match self.workspace.bad_segment() {
            // Gradients come from behind: the last parameter concerned is the first that was.
            Some(index) if !self.keeps_going => {
                let learnable = &self.net.parameters().learnable()[index];
                let blame = format!("the gradient of parameter {:?} of layer {:?}", learnable.name, learnable.layer);
                Err(self.not_finite(&format!("{blame} is not finite"), rate))
            }
            _ => Ok(()),
        }
    }

    fn clip_gradients(&mut self) {
        let limit = self.parameter().clip_gradients();
        if limit < 0.0 {
            return;
        }
        let norm = self.gradient_norm();
        if norm > limit {
            let factor = limit / norm;
            scale(self.net.device(), self.net.parameters().diff(), factor);
            self.tell(&Event::Clipped { norm, limit, factor });
        }
    }

    /// The L2 norm of the gradient of all parameters.
    fn gradient_norm(&mut self) -> f32 {
        norm(self.net.device(), self.net.parameters().diff(), &self.segments, &mut self.workspace)
    }

    fn answer_requests(&mut self) -> Result<()> {
        let request = (self.requests)();
        if divides(self.parameter().snapshot(), self.iteration) || request == Some(Request::Snapshot) {
            self.snapshot()?;
        }
        self.stopping |= request == Some(Request::Stop);
        Ok(())
    }

    /// The end of a run as Caffe has it: a last snapshot, a last loss, a last test pass, where their intervals ask for them.
    pub(super) fn finish(&mut self, start: usize) -> Result<()> {
        self.snapshot_after_train()?;
        if self.stopping {
            self.tell(&Event::StoppedEarly);
            return Ok(());
        }
        // The pass for the last loss takes a batch that is not part of the run.
        self.begin_pass();
        if divides(self.parameter().display(), self.iteration) {
            let loss = self.net.forward()?;
            self.smoothed.add(loss, self.iteration - start);
            let (iteration, loss) = (self.iteration, self.smoothed.value());
            self.tell(&Event::LastLoss { iteration, loss });
        }
        if self.test_is_due() {
            self.test_all()?;
        }
        self.tell(&Event::Done);
        Ok(())
    }

    pub(super) fn snapshot_after_train(&mut self) -> Result<()> {
        let written = divides(self.parameter().snapshot(), self.iteration);
        if self.parameter().snapshot_after_train() && !written {
            self.snapshot()?;
        }
        Ok(())
    }

    fn announce_stage(&mut self) {
        let iteration = self.iteration;
        if let Some(step) = self.learning_rate.multistep_at(iteration) {
            self.tell(&Event::Multistep { iteration, step });
        }
        if let Some((stage, stages)) = self.learning_rate.stage_beginning_at(iteration) {
            let policy = self.learning_rate.policy_at(iteration).to_string();
            let end = self.learning_rate.stage_end(stage);
            self.tell(&Event::Stage { stage, stages, iteration, end, policy: &policy });
        }
    }

    /// A loss that is no number ends the run, naming the first layer whose output is none.
    fn check_finite(&self, loss: f32) -> Result<()> {
        if loss.is_finite() || self.keeps_going {
            return Ok(());
        }
        // The rate of the update that led here.
        let rate = self.learning_rate.rate(self.iteration.saturating_sub(1));
        self.check_steps(rate)?;
        let culprit = self.net.first_non_finite().map_or_else(String::new, |place| format!(", first in {place}"));
        Err(self.not_finite(&format!("the loss is {loss}{culprit}"), rate))
    }

    fn not_finite(&self, what: &str, rate: f32) -> Error {
        let snapshot = match &self.last_snapshot {
            Some(path) => format!("; last good snapshot: {}", path.display()),
            None => String::new(),
        };
        let message = format!("{what} (lr {rate}); try a lower base_lr or max_lr, or clip_gradients{snapshot}");
        Error::NonFinite { iteration: self.iteration, message }
    }

    fn test_is_due(&self) -> bool {
        divides(self.parameter().test_interval(), self.iteration)
    }

    pub(super) fn tell(&mut self, event: &Event<'_>) {
        tell(&mut self.observers, event);
    }
}

/// Whether an interval is set and ends at this iteration.
fn divides(interval: i32, iteration: usize) -> bool {
    interval > 0 && iteration.is_multiple_of(interval as usize)
}
