//! Which device a command runs on.

use log::{info, warn};

use crate::{
    cuda::{Card, Math},
    error::{Error, Result},
    proto::{SolverParameter, solver_parameter::SolverMode},
    report::lines::tool,
    tensor::Device,
};

/// Flags of every command that runs nets.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Choice {
    /// GPU to run on, by its number (`rcaffe devices` lists them) [default: what the solver's solver_mode says, else the CPU]
    #[arg(long, value_name = "N")]
    pub gpu: Option<String>,
    /// How a GPU rounds products of matrices and convolutions: f32, or tf32, faster and with three digits
    #[arg(long, value_name = "KIND", default_value = "f32", hide_default_value = true)]
    pub math: MathName,
}

/// A rounding as `--math` writes it.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MathName {
    /// As f32.
    #[default]
    F32,
    /// Factors rounded to ten bits behind the point.
    Tf32,
}

impl Choice {
    /// The device that `--gpu` or the solver's `solver_mode` asks for, and Caffe's lines about it.
    ///
    /// A solver that says nothing means the GPU, as in Caffe's file format, but only if there is one. Without a GPU that can be used the run
    /// goes to the CPU with a line that says why.
    ///
    /// # Errors
    /// When `--gpu` asks for what is not there.
    pub fn choose(&self, solver: Option<&SolverParameter>) -> Result<Device> {
        let asked = self.gpu.as_deref().filter(|gpu| !gpu.is_empty());
        let opened = match (asked, solver) {
            (Some(gpu), _) => open(gpu).map(Some)?,
            (None, Some(solver)) if solver.solver_mode() == SolverMode::Gpu => by_solver(solver),
            _ => None,
        };
        let Some(card) = opened else {
            info!("{}", tool::use_cpu());
            return Ok(Device::Cpu);
        };
        let properties = card.properties();
        info!("{}", tool::using_gpus(properties.ordinal));
        info!("{}", tool::gpu(properties.ordinal, &properties.name));
        card.set_math(match self.math {
            MathName::F32 => Math::F32,
            MathName::Tf32 => Math::Tf32,
        });
        Ok(Device::Cuda(card))
    }
}

/// The card that a flag names.
///
/// # Errors
/// When it is not there.
pub fn open(gpu: &str) -> Result<&'static Card> {
    Card::open(ordinal(gpu)?)
}

/// The card for a solver that means the GPU, if it can be used.
fn by_solver(solver: &SolverParameter) -> Option<&'static Card> {
    let ordinal = solver.device_id().max(0) as usize;
    let card = Card::open(ordinal);
    if let Err(error) = &card {
        let asks = if solver.solver_mode.is_some() {
            "solver_mode is GPU"
        } else {
            "solver_mode is not given, which means GPU"
        };
        // What is missing is enough here: `rcaffe devices` says the rest.
        let why = match error {
            Error::Cuda { call, .. } => call.clone(),
            other => other.to_string(),
        };
        warn!("{asks}, but {why}: running on the CPU (`solver_mode: CPU` asks for that, `rcaffe devices` says more)");
    }
    card.ok()
}

/// The card that the flag names.
fn ordinal(gpu: &str) -> Result<usize> {
    if gpu == "all" || gpu.contains(',') {
        let message = format!("{gpu:?} asks for several GPUs; this version trains on one: give its number");
        return Err(Error::config("--gpu", message));
    }
    gpu.trim()
        .parse()
        .map_err(|_| Error::config("--gpu", format!("{gpu:?} is not the number of a GPU; `rcaffe devices` lists them")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_single_gpu_is_refused_by_name() {
        for (gpu, part) in
            [("0,1", "several GPUs"), ("all", "several GPUs"), ("first", "not the number"), ("-1", "not the number")]
        {
            let error = Choice { gpu: Some(gpu.into()), ..Choice::default() }.choose(None).unwrap_err().to_string();
            assert!(error.starts_with("--gpu: ") && error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_solver_for_the_cpu_runs_there() {
        let solver = SolverParameter { solver_mode: Some(SolverMode::Cpu.into()), ..SolverParameter::default() };
        assert_eq!(
            Choice { gpu: Some(String::new()), ..Choice::default() }.choose(Some(&solver)).unwrap(),
            Device::Cpu
        );
        assert_eq!(Choice::default().choose(None).unwrap(), Device::Cpu);
    }
}
