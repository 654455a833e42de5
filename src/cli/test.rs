//! `rcaffe test`: scores a net.

use std::path::PathBuf;

use log::info;

use super::{
    device,
    flags::{PhaseName, State},
    model,
};
use crate::{
    error::{Error, Result},
    report::lines::tool,
    solver::Scores,
};

/// Scores trained weights: runs the TEST net over batches and prints the mean of each output.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Net to score (prototxt)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Weights to score (.caffemodel files separated by commas)
    #[arg(long, value_name = "FILES")]
    pub weights: String,
    /// Batches to run
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true)]
    pub iterations: i32,
    /// GPU to run on [default: the CPU]; needs a build with CUDA
    #[arg(long, value_name = "N")]
    pub gpu: Option<String>,
    /// Level and stages.
    #[command(flatten)]
    pub state: State,
}

const EXAMPLES: &str = "\
Example:
  rcaffe test --model models/cifar10_full.prototxt --weights cifar10_full_iter_25000.caffemodel --iterations 100";

/// Runs the command.
///
/// # Errors
/// When a file cannot be used, or the weights do not fit the net.
pub fn run(args: &Args) -> Result<()> {
    if args.iterations < 1 {
        return Err(Error::config("--iterations", "must be at least 1"));
    }
    device::choose(args.gpu.as_deref(), None)?;
    let mut net = model::build(&args.model, PhaseName::Test, Some(&args.state), None)?;
    model::load(&mut net, &args.weights)?;
    info!("{}", tool::running(args.iterations as usize));
    let mut scores = Scores::default();
    for batch in 0..args.iterations as usize {
        let loss = net.forward()?;
        for output in net.outputs() {
            for &value in output.blob.data().host().iter() {
                info!("{}", tool::batch(batch, output.name, value));
            }
        }
        scores.add(loss, &net);
    }
    let (loss, scores) = scores.means(args.iterations as usize);
    info!("{}", tool::loss(loss));
    for score in scores {
        info!("{}", tool::score(&score.name, score.value, score.loss_weight));
    }
    Ok(())
}
