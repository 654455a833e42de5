//! Steps of recurrent nets: hidden states that begin anew, and the cell of an LSTM (Hochreiter and Schmidhuber, *Long
//! Short-Term Memory*, 1997, with forget gates).

mod cpu;
mod cuda;

use crate::tensor::{Buffer, Device};

/// The blobs of one step of an LSTM, for N streams and H cells each.
#[derive(Debug, Clone, Copy)]
pub struct LstmStep<'a> {
    /// c of the step before, N×H.
    pub previous: &'a Buffer,
    /// What enters the gates i, f, o and the candidate g: N×4H, for each stream i, f, o, g one behind the other.
    pub gates: &'a Buffer,
    /// For each stream 0 where a new sequence begins, otherwise 1.
    pub continues: &'a Buffer,
    /// c, N×H.
    pub cell: &'a Buffer,
    /// h, N×H.
    pub hidden: &'a Buffer,
}

/// The gradients that belong to an [`LstmStep`].
#[derive(Debug, Clone, Copy)]
pub struct LstmStepDiff<'a> {
    /// That of c, N×H.
    pub cell: &'a Buffer,
    /// That of h, N×H.
    pub hidden: &'a Buffer,
    /// That of c of the step before, N×H; overwritten.
    pub previous: &'a Buffer,
    /// That of what enters the gates, N×4H; overwritten.
    pub gates: &'a Buffer,
}

/// c = continues·σ(f)·c₋₁ + σ(i)·tanh(g), h = σ(o)·tanh(c).
pub fn lstm_forward(device: Device, step: LstmStep<'_>) {
    match device {
        Device::Cpu => cpu::lstm_forward(step),
        Device::Cuda(card) => cuda::lstm_forward(card, step),
    }
}

/// The gradient of [`lstm_forward`]; `step` as it was then.
pub fn lstm_backward(device: Device, step: LstmStep<'_>, diff: LstmStepDiff<'_>) {
    match device {
        Device::Cpu => cpu::lstm_backward(step, diff),
        Device::Cuda(card) => cuda::lstm_backward(card, step, diff),
    }
}

/// y = x with each stream's row multiplied by its factor (`continues`); rows × values.
pub fn scale_rows(device: Device, x: &Buffer, factors: &Buffer, y: &Buffer) {
    match device {
        Device::Cpu => cpu::scale_rows(x, &factors.host(), y),
        Device::Cuda(card) => cuda::scale_rows(card, x, factors, y),
    }
}
