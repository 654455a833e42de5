//! A solver's state to disk and back.

use std::path::{Path, PathBuf};

use super::{Event, Solver, Sources};
use crate::{
    error::{Error, Result},
    proto::{BlobProto, SolverState, solver_parameter::SnapshotFormat},
    snapshot::{StagedWeights, check_writable, checksum, extension, read_state, read_weights},
    tensor::Blob,
};

impl Solver {
    /// Writes `PREFIX_iter_N.caffemodel` and `PREFIX_iter_N.solverstate` (in HDF5 with `.h5` behind). Whatever interrupts this, each
    /// file is whole or not there, and a state stands beside the weights that it was written with.
    ///
    /// # Errors
    /// When a file cannot be written; snapshots written before stay as they are.
    pub fn snapshot(&mut self) -> Result<()> {
        self.write_snapshot(&format!("iter_{}", self.iteration))
    }

    /// Writes `PREFIX_NAME.caffemodel` and `PREFIX_NAME.solverstate`.
    pub(super) fn write_snapshot(&mut self, name: &str) -> Result<()> {
        self.check_steps(self.learning_rate.rate(self.iteration.saturating_sub(1)))?;
        let format = self.parameter().snapshot_format();
        let path = |kind: &str| format!("{}_{name}.{kind}{}", self.parameter().snapshot_prefix(), extension(format));
        let [weights, state] = ["caffemodel", "solverstate"].map(|kind| PathBuf::from(path(kind)));
        self.tell(&Event::SnapshotWeights(&weights));
        let with_diff = self.parameter().snapshot_diff();
        let net = match format {
            SnapshotFormat::Binaryproto => self.net.to_message(with_diff),
            SnapshotFormat::Hdf5 => self.net.to_message_of_owned(with_diff),
        };
        let staged = StagedWeights::write(&net, &weights, format)?;
        self.tell(&Event::SnapshotState(&state));
        staged.commit_with(self.state(&weights), &state, format)?;
        self.last_snapshot = Some(state);
        Ok(())
    }

    /// Continues from a `.solverstate`: iteration, history, and the weights that it names (beside it, when the name as written
    /// is not there). A state of rcaffe's also holds the places in the data, the random streams and the smoothed loss, so that the
    /// run is the one that never stopped; after a state of Caffe's they begin anew.
    ///
    /// # Errors
    /// When a file cannot be read or belongs to another net.
    pub fn restore(&mut self, path: &Path) -> Result<()> {
        let state = read_state(path)?;
        if let Some(name) = &state.learned_net {
            let weights = beside(Path::new(name), path);
            check_weights(&weights, &state, path)?;
            self.net.copy_weights(&read_weights(&weights)?, &weights.display().to_string())?;
        }
        self.restore_state(&state, path)?;
        self.last_snapshot = Some(path.to_path_buf());
        Ok(())
    }

    /// Takes over all of a state but the weights; `path` is where it comes from, for messages.
    pub(super) fn restore_state(&mut self, state: &SolverState, path: &Path) -> Result<()> {
        self.tell(&Event::RestoringHistory);
        self.restore_history(&state.history, path)?;
        self.iteration = state.iter().max(0) as usize;
        if let Some(run) = &state.run {
            self.restore_run(run, &path.display().to_string())?;
        }
        self.last_displayed = self.iteration;
        self.restore_schedule(state);
        Ok(())
    }

    fn restore_history(&mut self, history: &[BlobProto], path: &Path) -> Result<()> {
        let learnable = self.net.parameters().learnable();
        let wanted = learnable.len() * self.history.len();
        if history.len() != wanted {
            let message = format!(
                "holds {} history blobs, this solver has {wanted}; is this the snapshot of another net or solver type?",
                history.len()
            );
            return Err(Error::data(path.display().to_string(), message));
        }
        for (set, messages) in self.history.iter().zip(history.chunks(learnable.len().max(1))) {
            let mut start = 0;
            for (one, message) in learnable.iter().zip(messages) {
                let values = message.values();
                if !message.fits(one.blob.shape()) || values.len() != one.blob.count() {
                    let message = format!(
                        "history of parameter {:?} of layer {:?} has shape {}, the parameter has {}",
                        one.name,
                        one.layer,
                        message.dims(),
                        one.blob.shape()
                    );
                    return Err(Error::data(path.display().to_string(), message));
                }
                set.slice(start, values.len()).host_mut().copy_from_slice(&values);
                start += values.len();
            }
        }
        Ok(())
    }

    pub(super) fn state(&self, weights: &Path) -> SolverState {
        let mut history = Vec::new();
        for set in &self.history {
            let mut start = 0;
            for one in self.net.parameters().learnable() {
                let values = set.slice(start, one.blob.count());
                start += one.blob.count();
                history.push(Blob::from_buffers(one.blob.shape().clone(), values.clone(), values).to_message(false));
            }
        }
        SolverState {
            iter: Some(self.iteration as i32),
            learned_net: Some(weights.display().to_string()),
            history,
            current_step: Some(self.learning_rate.steps_taken(self.iteration.saturating_sub(1)) as i32),
            run: Some(self.run_state()),
        }
    }
}

/// Refuses snapshots that could not be written when they are due.
pub(super) fn check(sources: &Sources<'_>) -> Result<()> {
    let parameter = sources.parameter;
    if parameter.snapshot() == 0 && !parameter.snapshot_after_train() && parameter.snapshot_best.is_none() {
        return Ok(());
    }
    check_writable(parameter.snapshot_prefix()).map_err(|error| error.at(&sources.place("snapshot_prefix")))
}

/// Refuses weights that are not those written with the state: damaged, or of another run.
fn check_weights(weights: &Path, state: &SolverState, path: &Path) -> Result<()> {
    let wanted = state.run.as_ref().and_then(|run| run.weights_checksum);
    if wanted.is_none() || Some(checksum(weights)?) == wanted {
        return Ok(());
    }
    let message = format!(
        "is not the weight file that was written with {} (its checksum differs): it is damaged or of another run; to begin \
         anew with these weights, use --weights",
        path.display()
    );
    Err(Error::data(weights.display().to_string(), message))
}

/// The file as named, or the one of the same name in the folder of `reference`.
fn beside(named: &Path, reference: &Path) -> PathBuf {
    match (named.exists(), named.file_name(), reference.parent()) {
        (false, Some(name), Some(folder)) => folder.join(name),
        _ => named.to_path_buf(),
    }
}
