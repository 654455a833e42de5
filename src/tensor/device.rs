//! Where arithmetic runs.

use crate::cuda::Card;

/// The machine that an op runs on; each op family chooses its code by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The host's cores, all that the process may use or as many as `--threads` says.
    #[default]
    Cpu,
    /// An NVIDIA GPU.
    Cuda(&'static Card),
}

impl Device {
    /// The card, if it is one.
    pub fn card(self) -> Option<&'static Card> {
        match self {
            Device::Cpu => None,
            Device::Cuda(card) => Some(card),
        }
    }

    /// Waits until all that was given to a card is done.
    pub fn synchronize(self) {
        if let Device::Cuda(card) = self {
            card.synchronize();
        }
    }
}
