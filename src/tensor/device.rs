//! Where arithmetic runs.

/// The machine that an op runs on; each op family chooses its code by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The host's cores, all that the process may use or as many as `--threads` says.
    #[default]
    Cpu,
}
