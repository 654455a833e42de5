//! What the solver says: setup, iterations, tests, snapshots, the end.

use super::weighted;
use crate::{prototxt::number::stream, solver::NetSource};

/// Before anything else; `text` is the solver's message in text format.
pub fn initializing(text: &str) -> String {
    format!("Initializing solver from parameters: \n{text}")
}

/// Before the training net is made.
pub fn creating_training_net(source: NetSource<'_>) -> String {
    match source {
        NetSource::Net(file) => format!("Creating training net from net file: {file}"),
        NetSource::PhaseNet(file) => format!("Creating training net from train_net file: {file}"),
        NetSource::NetParam => "Creating training net specified in net_param.".into(),
        NetSource::PhaseNetParam => "Creating training net specified in train_net_param.".into(),
    }
}

/// Before a test net is made.
pub fn creating_test_net(number: usize, source: NetSource<'_>) -> String {
    let source = match source {
        NetSource::Net(file) => format!("net file: {file}"),
        NetSource::PhaseNet(file) => format!("test_net file: {file}"),
        NetSource::NetParam => "net_param".into(),
        NetSource::PhaseNetParam => "test_net_param".into(),
    };
    format!("Creating test net (#{number}) specified by {source}")
}

/// When all nets are made.
pub fn scaffolding_done() -> String {
    "Solver scaffolding done.".into()
}

/// When training begins.
pub fn solving(net: &str) -> String {
    format!("Solving {net}")
}

/// When training begins, after [`solving`].
pub fn learning_rate_policy(policy: &str) -> String {
    format!("Learning Rate Policy: {policy}")
}

/// A stage of a staged schedule begins (rcaffe's own line).
pub fn stage(number: usize, stages: usize, iteration: usize, until: usize, policy: &str) -> String {
    format!("Stage {number} of {stages}: iterations {iteration} to {until}, lr_policy {policy}")
}

/// The momentum of a snapshot is loaded.
pub fn restoring_history() -> String {
    "SGDSolver: restoring history".into()
}

/// A snapshot or the solver before this one is taken over (rcaffe's own line): the learning rate of the last iteration, where
/// it is known, and of the next one.
pub fn resumed(iteration: usize, from: Option<f32>, to: f32) -> String {
    let from = from.map(|rate| format!("{} → ", stream(rate))).unwrap_or_default();
    format!("resumed at iteration {iteration}, lr {from}{}", stream(to))
}

/// `plateau` lowers the learning rate, in SSD Caffe's words.
pub fn plateau(iteration: usize, step: usize) -> String {
    format!("Plateau Status: Iteration {iteration}, step = {step}")
}

/// Every `display` iterations. `per_second` counts iterations since the last such line, `seconds` is the time since then.
pub fn iteration(iteration: usize, per_second: f32, seconds: f32, display: usize, loss: f32) -> String {
    let (per_second, seconds, loss) = (stream(per_second), stream(seconds), stream(loss));
    format!("Iteration {iteration} ({per_second} iter/s, {seconds}s/{display} iters), loss = {loss}")
}

/// After training, if the last iteration is one that is displayed.
pub fn last_iteration(iteration: usize, loss: f32) -> String {
    format!("Iteration {iteration}, loss = {}", stream(loss))
}

/// After [`iteration`], once for each value of each output of the training net; `number` counts them from 0.
pub fn train_output(number: usize, blob: &str, value: f32, loss_weight: f32) -> String {
    output("Train", number, blob, value, loss_weight)
}

/// With [`iteration`], when the update is made.
pub fn learning_rate(iteration: usize, rate: f32) -> String {
    format!("Iteration {iteration}, lr = {}", stream(rate))
}

/// [`learning_rate`] where momentum or weight decay change too, in the words of Smith's Caffe.
pub fn schedule(iteration: usize, rate: f32, momentum: f32, weight_decay: f32) -> String {
    let (momentum, weight_decay) = (stream(momentum), stream(weight_decay));
    format!("{}, momentum = {momentum}, weight decay = {weight_decay}", learning_rate(iteration, rate))
}

/// `multistep` came to its next step.
pub fn multistep(iteration: usize, step: usize) -> String {
    format!("MultiStep Status: Iteration {iteration}, step = {step}")
}

/// `clip_gradients` was exceeded.
pub fn clipping(norm: f32, limit: f32, factor: f32) -> String {
    let (norm, limit, factor) = (stream(norm), stream(limit), stream(factor));
    format!("Gradient clipping: scaling down gradients (L2 norm {norm} > {limit}) by scale factor {factor}")
}

/// A test begins.
pub fn testing(iteration: usize, net: usize) -> String {
    format!("Iteration {iteration}, Testing net (#{net})")
}

/// The mean loss of a test, with `test_compute_loss`.
pub fn test_loss(loss: f32) -> String {
    format!("Test loss: {}", stream(loss))
}

/// After a test, once for each value of each output of the test net; `number` counts them from 0, `value` is the mean.
pub fn test_output(number: usize, blob: &str, value: f32, loss_weight: f32) -> String {
    output("Test", number, blob, value, loss_weight)
}

/// A test was better than all before (rcaffe's own line).
pub fn best(output: &str, value: f32) -> String {
    format!("Best {output} so far: {}", stream(value))
}

/// A test was stopped by a signal.
pub fn test_interrupted() -> String {
    "Test interrupted.".into()
}

/// Weights are written.
pub fn snapshotting(file: &str) -> String {
    format!("Snapshotting to {} file {file}", format_of(file))
}

/// The solver's state is written.
pub fn snapshotting_state(file: &str) -> String {
    format!("Snapshotting solver state to {} file {file}", format_of(file))
}

fn format_of(file: &str) -> &'static str {
    if file.ends_with(".h5") { "HDF5" } else { "binary proto" }
}

/// A signal ended training.
pub fn stopped_early() -> String {
    "Optimization stopped early.".into()
}

/// Training came to its end. Caffe says it twice: the solver, then the tool.
pub fn done() -> String {
    "Optimization Done.".into()
}

fn output(phase: &str, number: usize, blob: &str, value: f32, loss_weight: f32) -> String {
    format!("    {phase} net output #{number}: {blob} = {}{}", stream(value), weighted(loss_weight, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a run of Caffe 1.0.
    #[test]
    fn lines_of_training_are_caffes() {
        let line = iteration(20, 253.165, 0.079, 20, 2.138_15);
        assert_eq!(line, "Iteration 20 (253.165 iter/s, 0.079s/20 iters), loss = 2.13815");
        let line = train_output(0, "loss", 2.126_27, 1.0);
        assert_eq!(line, "    Train net output #0: loss = 2.12627 (* 1 = 2.12627 loss)");
        assert_eq!(learning_rate(80, 0.011_875), "Iteration 80, lr = 0.011875");
        assert_eq!(
            schedule(4000, 0.995_259, 0.867_062, 0.0001),
            "Iteration 4000, lr = 0.995259, momentum = 0.867062, weight decay = 0.0001"
        );
        assert_eq!(testing(25, 0), "Iteration 25, Testing net (#0)");
        assert_eq!(test_output(0, "accuracy", 0.252_5, 0.0), "    Test net output #0: accuracy = 0.2525");
        let line = snapshotting_state("snap_iter_50.solverstate");
        assert_eq!(line, "Snapshotting solver state to binary proto file snap_iter_50.solverstate");
        assert_eq!(snapshotting("a.caffemodel.h5"), "Snapshotting to HDF5 file a.caffemodel.h5");
    }

    #[test]
    fn a_loss_weight_scales_what_the_line_adds() {
        let line = test_output(1, "aux/loss", 2.0, 0.3);
        assert_eq!(line, "    Test net output #1: aux/loss = 2 (* 0.3 = 0.6 loss)");
    }
}
