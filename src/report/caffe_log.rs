//! The log of a run in Caffe's words: an observer that prints each event as Caffe's solver would.

use log::info;

use super::lines::{solver as lines, tool};
use crate::{
    prototxt::print_solver,
    solver::{Event, Iteration, Observer, TestResult},
};

/// Prints Caffe's lines through the `log` crate.
#[derive(Debug)]
pub struct CaffeLog {
    /// The `display` interval, which Caffe names in its lines.
    pub display: usize,
}

impl Observer for CaffeLog {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Initializing(parameter) => info!("{}", lines::initializing(&print_solver(parameter))),
            Event::CreatingTrainNet(source) => info!("{}", lines::creating_training_net(*source)),
            Event::CreatingTestNet(number, source) => info!("{}", lines::creating_test_net(*number, *source)),
            Event::Finetuning(file) => info!("{}", tool::finetuning(file)),
            Event::Ready => info!("{}", lines::scaffolding_done()),
            Event::Solving { net, policy, .. } => {
                info!("{}", lines::solving(net));
                info!("{}", lines::learning_rate_policy(policy));
            }
            Event::Stage { stage, stages, iteration, end, policy } => {
                info!("{}", lines::stage(stage + 1, *stages, *iteration, *end, policy));
            }
            Event::RestoringHistory => info!("{}", lines::restoring_history()),
            Event::Resumed { iteration, from, to } => info!("{}", lines::resumed(*iteration, *from, *to)),
            Event::Plateau { iteration, step } => info!("{}", lines::plateau(*iteration, *step)),
            Event::Multistep { iteration, step } => info!("{}", lines::multistep(*iteration, *step)),
            Event::Iteration(iteration) if iteration.display => self.iteration(iteration),
            Event::Iteration(_) => {}
            Event::Clipped { norm, limit, factor } => info!("{}", lines::clipping(*norm, *limit, *factor)),
            Event::Testing { iteration, net } => info!("{}", lines::testing(*iteration, *net)),
            Event::Tested(result) => tested(result),
            Event::Best { output, value } => info!("{}", lines::best(output, *value)),
            Event::TestInterrupted => info!("{}", lines::test_interrupted()),
            Event::SnapshotWeights(path) => info!("{}", lines::snapshotting(&path.display().to_string())),
            Event::SnapshotState(path) => info!("{}", lines::snapshotting_state(&path.display().to_string())),
            Event::LastLoss { iteration, loss } => info!("{}", lines::last_iteration(*iteration, *loss)),
            Event::StoppedEarly => info!("{}", lines::stopped_early()),
            Event::Done => info!("{}", lines::done()),
        }
    }
}

impl CaffeLog {
    fn iteration(&self, event: &Iteration<'_>) {
        let per_second =
            event.pace.iterations as f32 / if event.pace.seconds == 0.0 { 1.0 } else { event.pace.seconds };
        let (iteration, seconds) = (event.iteration, event.pace.seconds);
        info!("{}", lines::iteration(iteration, per_second, seconds, self.display, event.smoothed_loss));
        let mut number = 0;
        for output in event.net.outputs() {
            for &value in output.blob.data().host().iter() {
                info!("{}", lines::train_output(number, output.name, value, output.loss_weight));
                number += 1;
            }
        }
        if event.more_than_the_rate_changes {
            info!("{}", lines::schedule(iteration, event.rate, event.momentum, event.weight_decay));
        } else {
            info!("{}", lines::learning_rate(iteration, event.rate));
        }
    }
}

fn tested(result: &TestResult<'_>) {
    if let Some(loss) = result.loss {
        info!("{}", lines::test_loss(loss));
    }
    for (number, score) in result.scores.iter().enumerate() {
        info!("{}", lines::test_output(number, &score.name, score.value, score.loss_weight));
    }
}
