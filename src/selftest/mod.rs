//! A card against the CPU: every op on random shapes, every golden case of the layers, and how fast the ops are.
//!
//! `rcaffe selftest --gpu 0` runs it on a card; the tests run the same on an emulated one. An op with code for cards has a row in
//! [`ops::FAMILIES`]: a function that computes random cases on both and compares ([`check`]). The cases of `tests/golden/layers` hold
//! what Caffe computed ([`golden`]); each net of theirs is also run with other values on both, as training runs it.

pub mod check;
pub mod golden;
mod nets;
pub mod ops;
mod table;

use std::path::PathBuf;

use crate::{cuda::Card, error::Result, ops::peak::Peak, tensor::Device};
use check::{Outcome, Trial};

/// What to test.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of golden cases.
    pub cases: PathBuf,
    /// Checks only, no times: small sizes.
    pub quick: bool,
    /// Only what has this in its name.
    pub only: Option<String>,
}

/// What was tested, and how it went.
#[derive(Debug, Default)]
pub struct Report {
    /// How many checks ran.
    pub checks: usize,
    /// What went wrong, one line each.
    pub failures: Vec<String>,
}

/// Tests a card; every line of the report goes to `line` when it is known.
///
/// # Errors
/// When the card fails, or a line cannot be printed.
pub fn run(card: &'static Card, options: &Options, line: &mut dyn FnMut(&str) -> Result<()>) -> Result<Report> {
    let mut report = Report::default();
    let peaks = (!options.quick).then(|| Peak::measure(Device::Cuda(card)));
    card.check()?;
    if let Some(peaks) = peaks {
        line(&format!(
            "measured peaks: {:.0} GB/s (a copy), {:.2} TFLOP/s (a product of matrices)",
            peaks.bytes / 1e9,
            peaks.operations / 1e12
        ))?;
    }
    line(&table::head())?;
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    for (family, checks) in ops::FAMILIES {
        for check in checks.iter().filter(|check| wanted(&format!("{family} {}", check.name))) {
            let mut trial = Trial::new(card, check.name, options.quick);
            (check.run)(&mut trial);
            let outcome = trial.finish();
            card.check()?;
            line(&table::row(family, check.name, &outcome, peaks))?;
            report.add(&format!("{family}, {}", check.name), outcome, line)?;
        }
    }
    for (kind, suite) in [("golden case", golden::run as Suite), ("net on CPU and card", nets::run)] {
        let outcomes = match golden::cases(&options.cases) {
            Ok(cases) => cases,
            Err(error) => {
                line(&format!("{kind}s: none, {error}; --cases names their folder"))?;
                continue;
            }
        };
        let mut run = 0;
        for case in outcomes.iter().filter(|case| wanted(&format!("{kind} {}", case.name))) {
            let outcome = suite(case, Device::Cuda(card));
            card.check()?;
            run += 1;
            report.add(&format!("{kind} {}", case.name), outcome, line)?;
        }
        line(&format!("{kind}s: {run}"))?;
    }
    Ok(report)
}

/// Runs a case of a folder on a device.
type Suite = fn(&golden::Case, Device) -> Outcome;

impl Report {
    fn add(&mut self, what: &str, outcome: Outcome, line: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
        self.checks += 1;
        for failure in outcome.failures {
            let failure = format!("{what}: {failure}");
            line(&format!("FAILED {failure}"))?;
            self.failures.push(failure);
        }
        Ok(())
    }
}
