//! `rcaffe data`: makes the databases of a public data set.

use std::path::PathBuf;

use clap::ValueEnum;

use super::output;
use crate::{
    data::datasets::{DataSet, Outcome},
    error::Result,
};

/// Makes a public data set's databases, as Caffe's own converters do.
///
/// cifar10 makes cifar10_train_lmdb, cifar10_test_lmdb and mean.binaryproto; mnist makes mnist_train_lmdb and
/// mnist_test_lmdb. The official files are downloaded and verified unless DIR holds them or --from names them. A data set
/// that is complete is left alone; an interrupted download goes on where it stopped.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Data set to make
    #[arg(value_enum, value_name = "SET")]
    pub set: SetName,
    /// Folder to make it in
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Folder with the official files, plain or gzipped, or their archive; nothing is downloaded then
    #[arg(long, value_name = "PATH")]
    pub from: Option<PathBuf>,
    /// Address of a folder to download from, instead of the official servers
    #[arg(long, value_name = "URL", conflicts_with = "from")]
    pub mirror: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  rcaffe data cifar10 data
  rcaffe data cifar10 data --from cifar-10-binary.tar.gz
  rcaffe data mnist data --from folder_with_the_idx_files";

/// A data set, as the command line names it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SetName {
    /// CIFAR-10: 60,000 colour images of 32×32, ten classes
    Cifar10,
    /// MNIST: 70,000 gray images of 28×28, ten digits
    Mnist,
}

/// Runs the command.
///
/// # Errors
/// When a file is missing or damaged, the network fails, or the folder cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let set = match args.set {
        SetName::Cifar10 => DataSet::Cifar10,
        SetName::Mnist => DataSet::Mnist,
    };
    match set.make(&args.folder, args.from.as_deref(), args.mirror.as_deref())? {
        Outcome::Complete => output::line("complete already, nothing to do:")?,
        Outcome::Made { from } => output::line(format!("made from {}:", from.display()))?,
    }
    for product in set.products(&args.folder) {
        output::line(format!("  {}", product.display()))?;
    }
    Ok(())
}
