//! Launches of `update.cu`.

use super::{Parameters, Preparation, Regularization, Rule, Segment, Workspace};
use crate::{
    cuda::{Argument, Card, Grid, Source},
    tensor::Buffer,
};

static KERNELS: Source = Source { name: "update", text: include_str!("update.cu") };

/// Values of a block: `PART` of the kernels.
const PART: usize = 4096;
const THREADS: u32 = 256;

/// `Factors` of the kernels.
#[repr(C)]
struct Factors {
    first: f32,
    second: f32,
    delta: f32,
    correction: f32,
    scale: f32,
    is_l1: u32,
}

// SAFETY: five floats and an unsigned int, as in the kernels.
unsafe impl Argument for Factors {}

pub(super) fn update(
    card: &'static Card,
    rule: Rule,
    preparation: Preparation,
    parameters: Parameters<'_>,
    workspace: &mut Workspace,
) {
    let Parameters { data, diff, histories, segments } = parameters;
    let (kernel, factors) = factors(rule, preparation);
    workspace.fill_table(segments);
    let second = histories.get(1).filter(|_| rule.histories() > 1).map(|history| history.device_mut(card));
    card.launch(
        &KERNELS,
        kernel,
        Grid::blocks(data.len().div_ceil(PART), THREADS),
        &[
            &data.device_mut(card),
            &diff.device_mut(card),
            &histories[0].device_mut(card),
            &second.unwrap_or_default(),
            &workspace.table.device(card),
            &factors,
            &workspace.bad.device_mut(card),
            &(data.len() as u32),
            &(segments.len() as u32),
        ],
    );
}

fn factors(rule: Rule, preparation: Preparation) -> (&'static str, Factors) {
    let is_l1 = u32::from(preparation.regularization == Regularization::L1);
    let none = Factors { first: 0.0, second: 0.0, delta: 0.0, correction: 0.0, scale: preparation.scale, is_l1 };
    match rule {
        Rule::Sgd { momentum } => ("sgd", Factors { first: momentum, ..none }),
        Rule::Nesterov { momentum } => ("nesterov", Factors { first: momentum, ..none }),
        Rule::AdaGrad { delta } => ("ada_grad", Factors { delta, ..none }),
        Rule::RmsProp { decay, delta } => ("rms_prop", Factors { first: decay, delta, ..none }),
        Rule::AdaDelta { momentum, delta } => ("ada_delta", Factors { first: momentum, delta, ..none }),
        Rule::Adam { beta1, beta2, delta, correction } => {
            ("adam", Factors { first: beta1, second: beta2, delta, correction, ..none })
        }
    }
}

/// The L2 norm of a buffer, in the workspace.
pub(super) fn norm(card: &'static Card, buffer: &Buffer, workspace: &mut Workspace) -> f32 {
    let parts = buffer.len().div_ceil(PART);
    workspace.sums.resize(parts);
    workspace.norm.resize(1);
    let (count, from) = (buffer.len() as u32, buffer.device(card));
    let (sums, norm) = (&workspace.sums, &workspace.norm);
    card.launch(&KERNELS, "squares_of_parts", Grid::blocks(parts, THREADS), &[&sums.device_mut(card), &from, &count]);
    let sums = sums.device(card);
    card.launch(
        &KERNELS,
        "norm_of_squares",
        Grid::blocks(1, THREADS),
        &[&norm.device_mut(card), &sums, &(parts as u32)],
    );
    norm.host()[0]
}

impl Workspace {
    /// The segments as the kernels read them: four numbers of four bytes each.
    fn fill_table(&mut self, segments: &[Segment]) {
        self.table.grow(4 * segments.len());
        let mut table = self.table.host_mut();
        for (row, segment) in table.chunks_exact_mut(4).zip(segments) {
            row.copy_from_slice(&[
                segment.start as u32,
                segment.count as u32,
                segment.rate.to_bits(),
                segment.decay.to_bits(),
            ]);
        }
    }
}
