//! Test passes.

use super::{Event, Request, Score, Solver, TestResult, tell};
use crate::{error::Result, net::Net};

impl Solver {
    /// Runs every test net over its batches and tells the means of its outputs.
    ///
    /// # Errors
    /// When a layer of a test net fails.
    pub fn test_all(&mut self) -> Result<()> {
        self.begin_pass();
        for index in 0..self.test_nets.len() {
            self.test(index)?;
            // A pass that was broken off is begun anew after a resume.
            if self.stopping {
                return Ok(());
            }
        }
        self.end_pass();
        Ok(())
    }

    fn test(&mut self, index: usize) -> Result<()> {
        let iteration = self.iteration;
        self.tell(&Event::Testing { iteration, net: index });
        let mut scores = Scores::default();
        let batches = self.test_nets[index].batches;
        for _ in 0..batches {
            self.answer_requests_while_testing()?;
            if self.stopping {
                self.tell(&Event::TestInterrupted);
                return Ok(());
            }
            let test = &mut self.test_nets[index];
            let loss = test.net.forward()?;
            scores.add(loss, &test.net);
        }
        let with_loss = self.parameter().test_compute_loss();
        let (loss, scores) = scores.means(batches);
        let rate = self.learning_rate.rate(iteration);
        let result = TestResult { iteration, net: index, rate, loss: with_loss.then_some(loss), scores: &scores };
        tell(&mut self.observers, &Event::Tested(result));
        self.keep_best(index, &scores)
    }

    fn answer_requests_while_testing(&mut self) -> Result<()> {
        while let Some(request) = (self.requests)() {
            match request {
                Request::Snapshot => self.snapshot()?,
                Request::Stop => {
                    self.stopping = true;
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Sums over the batches of a test pass.
#[derive(Default)]
pub struct Scores {
    loss: f32,
    sums: Vec<Score>,
}

impl Scores {
    /// Takes in the outputs of one batch.
    pub fn add(&mut self, loss: f32, net: &Net) {
        self.loss += loss;
        let first = self.sums.is_empty();
        let mut position = 0;
        for output in net.outputs() {
            for &value in output.blob.data().host().iter() {
                if first {
                    self.sums.push(Score { name: output.name.to_string(), value, loss_weight: output.loss_weight });
                } else if let Some(sum) = self.sums.get_mut(position) {
                    sum.value += value;
                }
                position += 1;
            }
        }
    }

    /// The means of the loss and of each output value.
    pub fn means(mut self, batches: usize) -> (f32, Vec<Score>) {
        for score in &mut self.sums {
            score.value /= batches as f32;
        }
        (self.loss / batches as f32, self.sums)
    }
}
