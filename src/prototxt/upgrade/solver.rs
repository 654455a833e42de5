//! The solver's old `solver_type`, and where its snapshots go if it does not say.

use std::path::Path;

use log::info;

use super::upgrade_net;
use crate::{
    Error, Result,
    proto::{SolverParameter, solver_parameter::SolverType},
};

/// Brings a solver and the nets written inside it to today's form.
///
/// # Errors
///
/// [`Error::Config`] if it has both `type` and `solver_type`, or for a net as [`upgrade_net`] says.
pub fn upgrade_solver(solver: &mut SolverParameter, file: &str) -> Result<()> {
    if let Some(number) = solver.solver_type.take() {
        info!("Attempting to upgrade input file specified using deprecated 'solver_type' field (enum): {file}");
        if solver.r#type.is_some() {
            let message = "the older form of \"type\" cannot stand beside it; remove solver_type";
            return Err(Error::config("solver_type", message));
        }
        solver.r#type = Some(type_name(SolverType::try_from(number).unwrap_or_default()).to_string());
        info!(
            "Successfully upgraded file specified using deprecated 'solver_type' field (enum) to 'type' field (string)."
        );
    }
    let nets = solver.net_param.iter_mut().chain(&mut solver.train_net_param).chain(&mut solver.test_net_param);
    for net in nets {
        upgrade_net(net, file)?;
    }
    Ok(())
}

fn type_name(old: SolverType) -> &'static str {
    match old {
        SolverType::Sgd => "SGD",
        SolverType::Nesterov => "Nesterov",
        SolverType::Adagrad => "AdaGrad",
        SolverType::Rmsprop => "RMSProp",
        SolverType::Adadelta => "AdaDelta",
        SolverType::Adam => "Adam",
    }
}

/// Where snapshots go if the solver read from this path does not say, or names a folder.
pub fn snapshot_prefix(solver: &mut SolverParameter, path: &Path) {
    let named = |prefix: &Path| Some(prefix.display().to_string());
    match solver.snapshot_prefix.as_deref().map(Path::new) {
        None => {
            solver.snapshot_prefix = named(&path.with_extension(""));
            info!("snapshot_prefix was not specified and is set to {}", solver.snapshot_prefix());
        }
        Some(folder) if folder.is_dir() => {
            solver.snapshot_prefix = named(&folder.join(path.file_stem().unwrap_or_default()));
            info!("snapshot_prefix was a directory and is replaced to {}", solver.snapshot_prefix());
        }
        Some(_) => {}
    }
}
