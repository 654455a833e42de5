//! `rcaffe time`: how long a net takes, layer by layer.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use log::info;

use super::{
    device,
    flags::{PhaseName, State},
    model,
};
use crate::{
    error::{Error, Result},
    net::Net,
    report::lines::tool,
};

/// Measures a net: the mean time of each layer, forward and backward, in milliseconds; then the memory of each blob.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Net to measure (prototxt)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Passes to measure
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true)]
    pub iterations: i32,
    /// Phase of the net: TRAIN or TEST
    #[arg(long, value_name = "PHASE", default_value = "TRAIN", ignore_case = true, hide_possible_values = true)]
    pub phase: PhaseName,
    /// GPU to run on [default: the CPU]; needs a build with CUDA
    #[arg(long, value_name = "N")]
    pub gpu: Option<String>,
    /// Level and stages.
    #[command(flatten)]
    pub state: State,
}

const EXAMPLES: &str = "\
Example:
  rcaffe time --model models/alexnet.prototxt --iterations 10";

/// Runs the command.
///
/// # Errors
/// When the net cannot be built or run.
pub fn run(args: &Args) -> Result<()> {
    if args.iterations < 1 {
        return Err(Error::config("--iterations", "must be at least 1"));
    }
    device::choose(args.gpu.as_deref(), None)?;
    let mut net = model::build(&args.model, args.phase, Some(&args.state), None)?;
    info!("{}", tool::performing_forward());
    info!("{}", tool::initial_loss(net.forward()?));
    info!("{}", tool::performing_backward());
    net.backward()?;
    let passes = args.iterations as usize;
    info!("{}", tool::benchmark_begins());
    info!("{}", tool::timing(passes));
    let mut times = Times::new(net.layer_names().count());
    for pass in 1..=passes {
        let spent = times.measure(&mut net)?;
        info!("{}", tool::timed_iteration(pass, milliseconds(spent) as f32));
    }
    times.print(&net, passes);
    print_memory(&net);
    info!("{}", tool::benchmark_ends());
    Ok(())
}

/// Sums over the passes, layer by layer.
struct Times {
    forward: Vec<Duration>,
    backward: Vec<Duration>,
    total: Duration,
}

impl Times {
    fn new(layers: usize) -> Self {
        Times { forward: vec![Duration::ZERO; layers], backward: vec![Duration::ZERO; layers], total: Duration::ZERO }
    }

    fn measure(&mut self, net: &mut Net) -> Result<Duration> {
        let start = Instant::now();
        for (layer, sum) in self.forward.iter_mut().enumerate() {
            let start = Instant::now();
            net.forward_layer(layer)?;
            *sum += start.elapsed();
        }
        for (layer, sum) in self.backward.iter_mut().enumerate().rev() {
            let start = Instant::now();
            net.backward_layer(layer)?;
            *sum += start.elapsed();
        }
        self.total += start.elapsed();
        Ok(start.elapsed())
    }

    fn print(&self, net: &Net, passes: usize) {
        let mean = |sum: Duration| milliseconds(sum) / passes as f64;
        info!("{}", tool::average_per_layer());
        for (layer, name) in net.layer_names().enumerate() {
            info!("{}", tool::layer_time(name, "forward", mean(self.forward[layer])));
            info!("{}", tool::layer_time(name, "backward", mean(self.backward[layer])));
        }
        info!("{}", tool::average("Forward pass", mean(self.forward.iter().sum())));
        info!("{}", tool::average("Backward pass", mean(self.backward.iter().sum())));
        info!("{}", tool::average("Forward-Backward", mean(self.total)));
        info!("{}", tool::total_time(milliseconds(self.total) as f32));
    }
}

/// What each blob occupies; views of another blob occupy nothing.
fn print_memory(net: &Net) {
    let blobs = net.memory();
    info!("Memory per blob: ");
    for blob in &blobs {
        let (data, diff) = (kibibytes(blob.data_bytes), kibibytes(blob.diff_bytes));
        info!("{:>10}\tdata: {data:.1} KiB, diff: {diff:.1} KiB ({})", blob.name, blob.shape);
    }
    let blobs: usize = blobs.iter().map(|blob| blob.data_bytes + blob.diff_bytes).sum();
    let parameters = (net.parameters().data().len() + net.parameters().diff().len()) * size_of::<f32>();
    info!("Memory in all: {:.1} KiB of blobs, {:.1} KiB of parameters", kibibytes(blobs), kibibytes(parameters));
}

fn kibibytes(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
