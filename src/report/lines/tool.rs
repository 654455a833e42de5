//! What the commands `train`, `test` and `time` say themselves, as Caffe's tool does.

use super::weighted;
use crate::prototxt::number::stream;

/// The device, where it is the CPU.
pub fn use_cpu() -> String {
    "Use CPU.".into()
}

/// The devices, where they are GPUs.
pub fn using_gpus(ordinal: usize) -> String {
    format!("Using GPUs {ordinal}")
}

/// The name of a GPU.
pub fn gpu(ordinal: usize, name: &str) -> String {
    format!("GPU {ordinal}: {name}")
}

/// `train --snapshot`.
pub fn resuming(file: &str) -> String {
    format!("Resuming from {file}")
}

/// Weights to finetune from are loaded.
pub fn finetuning(file: &str) -> String {
    format!("Finetuning from {file}")
}

/// Everything is set up.
pub fn starting() -> String {
    "Starting Optimization".into()
}

/// `test`: before the first batch.
pub fn running(iterations: usize) -> String {
    format!("Running for {iterations} iterations.")
}

/// `test`: one value of one output for one batch.
pub fn batch(number: usize, blob: &str, value: f32) -> String {
    format!("Batch {number}, {blob} = {}", stream(value))
}

/// `test`: the mean loss.
pub fn loss(value: f32) -> String {
    format!("Loss: {}", stream(value))
}

/// `test`: the mean of one value of one output.
pub fn score(blob: &str, mean: f32, loss_weight: f32) -> String {
    format!("{blob} = {}{}", stream(mean), weighted(loss_weight, mean))
}

/// `time`: before the pass that is not timed.
pub fn performing_forward() -> String {
    "Performing Forward".into()
}

/// `time`: the loss of the pass that is not timed.
pub fn initial_loss(loss: f32) -> String {
    format!("Initial loss: {}", stream(loss))
}

/// `time`: before the backward pass that is not timed.
pub fn performing_backward() -> String {
    "Performing Backward".into()
}

/// `time`: the clock starts.
pub fn benchmark_begins() -> String {
    "*** Benchmark begins ***".into()
}

/// `time`: how many iterations are timed.
pub fn timing(iterations: usize) -> String {
    format!("Testing for {iterations} iterations.")
}

/// `time`: one iteration, counted from 1.
pub fn timed_iteration(number: usize, milliseconds: f32) -> String {
    format!("Iteration: {number} forward-backward time: {} ms.", stream(milliseconds))
}

/// `time`: before the layers' means.
pub fn average_per_layer() -> String {
    "Average time per layer: ".into()
}

/// `time`: a layer's mean; `direction` is `forward` or `backward`.
pub fn layer_time(layer: &str, direction: &str, milliseconds: f64) -> String {
    format!("{layer:>10}\t{direction}: {} ms.", stream(milliseconds))
}

/// `time`: the mean of a whole pass; `pass` is `Forward pass`, `Backward pass` or `Forward-Backward`.
pub fn average(pass: &str, milliseconds: f64) -> String {
    format!("Average {pass}: {} ms.", stream(milliseconds))
}

/// `time`: everything.
pub fn total_time(milliseconds: f32) -> String {
    format!("Total Time: {} ms.", stream(milliseconds))
}

/// `time`: the clock has stopped.
pub fn benchmark_ends() -> String {
    "*** Benchmark ends ***".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_set_in_a_column_of_ten() {
        assert_eq!(layer_time("conv1", "forward", 1.25), "     conv1\tforward: 1.25 ms.");
        assert_eq!(layer_time("inception_3a/1x1", "forward", 2.0), "inception_3a/1x1\tforward: 2 ms.");
    }
}
