//! A net from the flags that name it: `--model`, `--phase`, `--level`, `--stage`, `--weights`, `--seed`.

use std::path::Path;

use super::flags::{PhaseName, State};
use crate::{error::Result, net::Net, prototxt::read_net, rng::SharedRandom, snapshot::read_weights};

/// Builds a net; without a seed its random engine starts as Caffe's tool leaves it, from a seed of the moment.
///
/// # Errors
/// When the file cannot be read or the net cannot be built.
pub fn build(model: &Path, phase: PhaseName, state: Option<&State>, seed: Option<u32>) -> Result<Net> {
    let mut document = read_net(model)?;
    let net_state = document.message.state.get_or_insert_default();
    net_state.set_phase(phase.into());
    if let Some(state) = state {
        net_state.level = Some(state.level);
        net_state.stage.extend(state.stages());
    }
    let random = seed.map_or_else(SharedRandom::of_the_moment, SharedRandom::new);
    Net::new(&document.message, &document.file, random)
}

/// Loads weights from files separated by commas.
///
/// # Errors
/// When a file cannot be read or does not fit the net.
pub fn load(net: &mut Net, files: &str) -> Result<()> {
    for name in files.split(',').map(str::trim) {
        net.copy_weights(&read_weights(Path::new(name))?, name)?;
    }
    Ok(())
}
