//! Which device a command runs on.

use log::{info, warn};

use crate::{
    error::{Error, Result},
    proto::{SolverParameter, solver_parameter::SolverMode},
    report::lines::tool,
    tensor::Device,
};

/// The device that `--gpu` or the solver's `solver_mode` asks for, and Caffe's line about it.
///
/// As in Caffe's tool, a solver without `solver_mode` runs on the CPU. One that says GPU does too, with a warning: the file
/// may be one that must stay as it is.
///
/// # Errors
/// When `--gpu` is given: this version has no CUDA back end.
pub fn choose(gpu: Option<&str>, solver: Option<&SolverParameter>) -> Result<Device> {
    if gpu.is_some_and(|devices| !devices.is_empty()) {
        let message = "this build has no CUDA back end yet; leave the flag out to run on the CPU";
        return Err(Error::config("--gpu", message));
    }
    if solver.is_some_and(|solver| solver.solver_mode == Some(SolverMode::Gpu.into())) {
        warn!("solver_mode is GPU, but this build has no CUDA back end yet: running on the CPU");
    }
    info!("{}", tool::use_cpu());
    Ok(Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_asked_for_by_flag_are_refused_by_name() {
        let error = choose(Some("0,1"), None).unwrap_err();
        assert!(error.to_string().starts_with("--gpu: "), "{error}");
        assert_eq!(choose(Some(""), None).unwrap(), Device::Cpu);
    }

    #[test]
    fn a_solver_for_the_gpu_runs_on_the_cpu() {
        let solver = SolverParameter { solver_mode: Some(SolverMode::Gpu.into()), ..SolverParameter::default() };
        assert_eq!(choose(None, Some(&solver)).unwrap(), Device::Cpu);
    }
}
