//! `rcaffe dump`: one pass through a net, every blob written to a file, for comparisons with Caffe and between versions.

use std::path::PathBuf;

use super::{device, flags::PhaseName, model};
use crate::{data::npz, error::Result, tensor::Blob};

/// Run a net once and write all its blobs to an .npz file.
///
/// The file holds `data:NAME` and `diff:NAME` for every blob, `param:LAYER:I` and `param_diff:LAYER:I` for every parameter.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The net (prototxt)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Weights to load (.caffemodel files separated by commas) [default: drawn by the fillers]
    #[arg(long, value_name = "FILES")]
    pub weights: Option<String>,
    /// Arrays to set: `data:NAME` before the forward pass, `diff:NAME` before the backward pass
    #[arg(long, value_name = "NPZ")]
    pub inputs: Option<PathBuf>,
    /// Phase to build the net for
    #[arg(long, value_name = "PHASE", default_value = "TEST", ignore_case = true, hide_possible_values = true)]
    pub phase: PhaseName,
    /// Seed of the random engine, from which fillers and dropout draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u32,
    /// Run backward too
    #[arg(long)]
    pub backward: bool,
    /// The file to write
    #[arg(long, value_name = "NPZ")]
    pub out: PathBuf,
    /// Where to run.
    #[command(flatten)]
    pub device: device::Choice,
}

const EXAMPLES: &str = "\
Example:
  rcaffe dump --model net.prototxt --weights net.caffemodel --inputs in.npz --backward --out out.npz";

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or written, or the arrays do not fit the net.
pub fn run(args: &Args) -> Result<()> {
    let mut net = model::build(&args.model, args.phase, None, Some(args.seed))?;
    if let Some(weights) = &args.weights {
        model::load(&mut net, weights)?;
    }
    net.every_layer = true;
    net.run_on(args.device.choose(None)?);
    let inputs = args.inputs.as_deref().map_or_else(|| Ok(Vec::new()), npz::read)?;
    net.set_arrays(&inputs, "data:", Blob::data)?;
    net.forward()?;
    if args.backward {
        net.clear_gradients();
        net.set_arrays(&inputs, "diff:", Blob::diff)?;
        net.backward()?;
    }
    npz::write(&args.out, &net.arrays())
}
