//! `rcaffe selftest`: a card against the CPU.

use std::path::PathBuf;

use super::{device, output};
use crate::{
    error::{Error, Result},
    selftest,
};

/// Test a GPU: every op against the CPU, every golden case of the layers, and how fast the ops are.
///
/// Prints a table: cases and the largest error of each op (as a part of the largest value; 0 is the same bits), the time of a large
/// call, its bytes and operations per second, and which part that is of what the card was measured to do at best. The exit code is
/// 1 when a check fails.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// GPU to test, by its number
    #[arg(long, value_name = "N", default_value = "0")]
    pub gpu: String,
    /// Folder of the golden cases
    #[arg(long, value_name = "DIR", default_value = "tests/golden/layers")]
    pub cases: PathBuf,
    /// Check only, with small sizes; time nothing
    #[arg(long)]
    pub quick: bool,
    /// Run only what has this in its name
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
}

const EXAMPLES: &str = "\
Example:
  rcaffe selftest --gpu 0";

/// Runs the command.
///
/// # Errors
/// When there is no such card, or a check fails.
pub fn run(args: &Args) -> Result<()> {
    let card = device::open(&args.gpu)?;
    let properties = card.properties();
    output::line(format_args!(
        "GPU {}: {}, compute capability {}.{}, {} multiprocessors, CUDA {}.{}",
        properties.ordinal,
        properties.name,
        properties.capability / 10,
        properties.capability % 10,
        properties.multiprocessors,
        properties.driver / 1000,
        properties.driver % 1000 / 10
    ))?;
    let options = selftest::Options { cases: args.cases.clone(), quick: args.quick, only: args.only.clone() };
    let report = selftest::run(card, &options, &mut |line| output::line(line))?;
    let (checks, failures) = (report.checks, report.failures.len());
    if failures > 0 {
        let message = format!("{failures} failures in {checks} checks; the lines with FAILED say which");
        return Err(Error::cuda("selftest", message));
    }
    output::line(format_args!("{checks} checks passed"))
}
