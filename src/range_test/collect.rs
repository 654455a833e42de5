//! Listens to the run of a range test: keeps what it measures, and stops it where going on tells nothing.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use log::info;

use super::{Options, RangeTest, Sample, lock};
use crate::{
    prototxt::number::stream,
    solver::{Event, Observer},
};

/// How much of the smoothed loss is that of the iteration before.
const MEMORY: f32 = 0.9;

/// Keeps losses and accuracies.
pub(super) struct Collector {
    test: Arc<Mutex<RangeTest>>,
    options: Options,
    stop: Arc<AtomicBool>,
    smoothed: f32,
    first: f32,
    lowest: f32,
    /// Iterations in a row with a loss as high as at the beginning.
    lost: usize,
}

impl Collector {
    pub fn new(test: Arc<Mutex<RangeTest>>, options: Options) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        Collector { test, options, stop, smoothed: 0.0, first: 0.0, lowest: f32::INFINITY, lost: 0 }
    }

    /// Raised when the test is to stop.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    fn iteration(&mut self, iteration: usize, rate: f32, loss: f32) {
        lock(&self.test).losses.push(Sample { iteration, rate, value: loss });
        // The first losses are noisy: the mean begins with the plain one, and the watch a little later.
        let memory = MEMORY.min(iteration as f32 / (iteration as f32 + 1.0));
        self.smoothed = memory * self.smoothed + (1.0 - memory) * loss;
        if iteration < self.options.iterations / 20 {
            self.first = self.smoothed;
            return;
        }
        self.lowest = self.lowest.min(self.smoothed);
        let worst = self.options.diverge * self.lowest;
        if self.lowest > 0.0 && self.smoothed > worst {
            let (loss, lowest) = (stream(self.smoothed), stream(self.lowest));
            self.end(format!("the loss, {loss}, was above {} times its lowest, {lowest}", self.options.diverge), rate);
        }
        let is_lost = self.lowest < 0.8 * self.first && self.smoothed > 0.98 * self.first;
        self.lost = if is_lost { self.lost + 1 } else { 0 };
        if self.lost > self.options.iterations / 20 {
            self.end("the loss was back at where it began".into(), rate);
        }
    }

    fn end(&self, why: String, rate: f32) {
        if !self.stop.swap(true, Ordering::Relaxed) {
            lock(&self.test).stopped = Some(format!("{why}, at lr {}", stream(rate)));
        }
    }
}

impl Observer for Collector {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Iteration(at) => self.iteration(at.iteration, at.rate, at.loss),
            Event::Tested(result) if result.net == 0 => {
                let mut test = lock(&self.test);
                let score = result.scores.iter().find(|score| Some(&score.name) == test.accuracy.as_ref());
                let Some(value) = score.map(|score| score.value) else { return };
                let rate = self.options.rate(result.iteration);
                test.accuracies.push(Sample { iteration: result.iteration, rate, value });
                let loss = test.losses.last().map_or_else(String::new, |last| format!(", loss {}", stream(last.value)));
                info!("Iteration {}, lr {}: accuracy {}{loss}", result.iteration, stream(rate), stream(value));
            }
            _ => {}
        }
    }
}
