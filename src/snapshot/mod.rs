//! Snapshots: weights and solver state on disk, written so that a killed run never leaves half a file.
