//! `snapshot_best`: a snapshot of the iteration whose test was the best so far.
//!
//! | option (`snapshot_best`) | default | meaning |
//! |---|---|---|
//! | `output` | | an output of a test net that is a single value |
//! | `test_net` | 0 | which test net, counted from 0 |
//! | `better` | SMALLER for a loss, else LARGER | which value is the better one |

use super::{Event, Score, Solver, Sources, nets::TestNet};
use crate::{
    error::Result,
    proto::{SnapshotBest, snapshot_best::Better},
};

/// The best test so far.
#[derive(Debug)]
pub(super) struct Best {
    output: String,
    net: usize,
    better: Better,
    value: Option<f32>,
}

impl Best {
    /// What `snapshot_best` asks for.
    ///
    /// # Errors
    /// When there is no such output.
    pub(super) fn new(sources: &Sources<'_>, nets: &[TestNet]) -> Result<Option<Self>> {
        let Some(options) = &sources.parameter.snapshot_best else { return Ok(None) };
        let fault = |field: &str, message: String| sources.config(&format!("snapshot_best.{field}"), message);
        let net = options.test_net() as usize;
        let Some(test) = nets.get(net) else {
            return Err(fault("test_net", format!("there is no test net {net}; the solver has {}", nets.len())));
        };
        let output = options.output();
        let Some(found) = test.net.outputs().find(|found| found.name == output) else {
            let names: Vec<_> = test.net.outputs().map(|output| format!("{:?}", output.name)).collect();
            let message = format!("{output:?} is no output of test net {net}; it has {}", names.join(", "));
            return Err(fault("output", message));
        };
        if found.blob.count() != 1 {
            let message = format!("{output:?} has {} values; it must be a single one", found.blob.count());
            return Err(fault("output", message));
        }
        let better = better(options, found.loss_weight);
        Ok(Some(Best { output: output.to_owned(), net, better, value: None }))
    }

    /// The best value so far.
    pub(super) fn value(&self) -> Option<f32> {
        self.value
    }

    /// Takes up the best value of a run before.
    pub(super) fn restore(&mut self, value: f32) {
        self.value = Some(value);
    }

    /// Takes in the scores of a test; true when they are better than all before. What is no number is never better.
    fn improves(&mut self, net: usize, scores: &[Score]) -> bool {
        let score = scores.iter().find(|score| net == self.net && score.name == self.output);
        let Some(value) = score.map(|score| score.value).filter(|value| !value.is_nan()) else { return false };
        let improves = self.value.is_none_or(|best| match self.better {
            Better::Larger => value > best,
            Better::Smaller => value < best,
        });
        if improves {
            self.value = Some(value);
        }
        improves
    }
}

fn better(options: &SnapshotBest, loss_weight: f32) -> Better {
    match (options.better, loss_weight == 0.0) {
        (Some(_), _) => options.better(),
        (None, true) => Better::Larger,
        (None, false) => Better::Smaller,
    }
}

impl Solver {
    /// Writes `PREFIX_best` when this test was better than all before.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(super) fn keep_best(&mut self, net: usize, scores: &[Score]) -> Result<()> {
        let Some(best) = self.best.as_mut() else { return Ok(()) };
        if !best.improves(net, scores) {
            return Ok(());
        }
        let (output, value) = (best.output.clone(), best.value.unwrap_or_default());
        if let Some(state) = &mut self.before_test {
            state.best = Some(value);
        }
        self.tell(&Event::Best { output: &output, value });
        self.write_snapshot("best")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(name: &str, value: f32) -> Score {
        Score { name: name.into(), value, loss_weight: 0.0 }
    }

    #[test]
    fn only_a_better_number_of_the_right_net_counts() {
        let mut best = Best { output: "accuracy".into(), net: 1, better: Better::Larger, value: None };
        let mut improves = |net, value| best.improves(net, &[score("loss", 9.0), score("accuracy", value)]);
        assert_eq!([improves(0, 0.9), improves(1, f32::NAN), improves(1, 0.5)], [false, false, true]);
        assert_eq!([improves(1, 0.5), improves(1, 0.4), improves(1, 0.6)], [false, false, true]);
        assert_eq!(best.value(), Some(0.6));
    }

    #[test]
    fn a_loss_should_be_small() {
        let options = SnapshotBest::default();
        assert_eq!((better(&options, 1.0), better(&options, 0.0)), (Better::Smaller, Better::Larger));
        let options = SnapshotBest { better: Some(Better::Larger as i32), ..options };
        assert_eq!(better(&options, 1.0), Better::Larger);
    }
}
