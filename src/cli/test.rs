//! `rcaffe test`: scores a net.

use std::{fs, path::PathBuf};

use log::info;

use super::{
    device,
    flags::{PhaseName, State},
    model, output,
};
use crate::{
    error::{Error, Result},
    net::Net,
    report::{
        chart,
        confusion::{Confusion, Predictions},
        lines::tool,
    },
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
    /// Where to run.
    #[command(flatten)]
    pub device: device::Choice,
    /// Count which classes are taken for which: prints the matrix, recall and precision of each class
    #[arg(long)]
    pub confusion: bool,
    /// Names of the classes for --confusion, one a line [default: numbers]
    #[arg(long, value_name = "FILE", requires = "confusion")]
    pub labels: Option<PathBuf>,
    /// File for the matrix: a row of names, then a row for each true class
    #[arg(long, value_name = "FILE", requires = "confusion")]
    pub csv: Option<PathBuf>,
    /// Picture of the matrix (.svg or .png)
    #[arg(long, value_name = "FILE", requires = "confusion")]
    pub plot: Option<PathBuf>,
    /// Level and stages.
    #[command(flatten)]
    pub state: State,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe test --model models/cifar10_full.prototxt --weights cifar10_full_iter_25000.caffemodel --iterations 100
  rcaffe test --model net.prototxt --weights net.caffemodel --confusion --labels names.txt --plot confusion.svg";

/// Runs the command.
///
/// # Errors
/// When a file cannot be used, or the weights do not fit the net.
pub fn run(args: &Args) -> Result<()> {
    if args.iterations < 1 {
        return Err(Error::config("--iterations", "must be at least 1"));
    }
    args.plot.as_deref().map(chart::check_extension).transpose()?;
    [&args.csv, &args.plot].into_iter().flatten().try_for_each(|path| output::check_folder(path))?;
    let device = args.device.choose(None)?;
    let mut net = model::build(&args.model, PhaseName::Test, Some(&args.state), None)?;
    model::load(&mut net, &args.weights)?;
    net.run_on(device);
    let mut matrix = if args.confusion { Some(Matrix::new(args, &net)?) } else { None };
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
        if let Some(Matrix { predictions, confusion }) = &mut matrix {
            predictions.count(&net, confusion);
        }
    }
    let (loss, scores) = scores.means(args.iterations as usize);
    info!("{}", tool::loss(loss));
    for score in scores {
        info!("{}", tool::score(&score.name, score.value, score.loss_weight));
    }
    matrix.map_or(Ok(()), |matrix| matrix.show(args))
}

/// The confusion matrix on its way.
struct Matrix {
    predictions: Predictions,
    confusion: Confusion,
}

impl Matrix {
    fn new(args: &Args, net: &Net) -> Result<Self> {
        let predictions = Predictions::of(net)?;
        let classes = predictions.classes();
        let names = match &args.labels {
            None => (0..classes).map(|class| class.to_string()).collect(),
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|cause| Error::io(path, cause))?;
                let names: Vec<String> =
                    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
                if names.len() != classes {
                    let message = format!("{} has {} names, the net {classes} classes", path.display(), names.len());
                    return Err(Error::config("--labels", message));
                }
                names
            }
        };
        Ok(Matrix { predictions, confusion: Confusion::new(names) })
    }

    fn show(self, args: &Args) -> Result<()> {
        for line in self.confusion.table() {
            output::line(line)?;
        }
        for (truth, prediction, count) in self.confusion.worst(5) {
            output::line(format_args!("{count} of {truth} were taken for {prediction}"))?;
        }
        if let Some(path) = &args.csv {
            fs::write(path, self.confusion.csv()).map_err(|cause| Error::io(path, cause))?;
        }
        let title = format!("Confusion of {}", args.model.file_name().unwrap_or_default().to_string_lossy());
        args.plot.as_deref().map_or(Ok(()), |path| self.confusion.grid(&title).write(path))
    }
}
