//! The nets of the golden cases with other values, on the CPU and on a card, run as training runs them: layers may do the work of those
//! behind, and two passes follow each other.

use super::{
    check::Outcome,
    golden::{self, Case},
};
use crate::{
    data::npz::Named,
    error::Result,
    net::Net,
    rng::Random,
    tensor::{Blob, Device},
};

/// Passes forward and backward.
const PASSES: usize = 2;

/// Runs a case's net on both and compares all blobs.
pub fn run(case: &Case, device: Device) -> Outcome {
    let mut outcome = Outcome::default();
    match both(case, device) {
        Err(error) => outcome.failures.push(error.to_string()),
        Ok([on_cpu, on_card]) => {
            for ((name, expected), (_, actual)) in on_cpu.iter().zip(&on_card) {
                outcome.comparisons += 1;
                let difference = golden::difference(case.is_exact(device), Some(actual), expected);
                outcome.failures.extend(difference.map(|difference| format!("{name} {difference}")));
            }
        }
    }
    outcome
}

fn both(case: &Case, device: Device) -> Result<[Vec<Named>; 2]> {
    Ok([computed(case, Device::Cpu)?, computed(case, device)?])
}

fn computed(case: &Case, device: Device) -> Result<Vec<Named>> {
    let mut net = case.net(device)?;
    let mut inputs = case.inputs()?;
    let mut random = Random::new(7);
    for _ in 0..PASSES {
        inputs.iter_mut().for_each(|input| vary(input, &mut random));
        pass(&mut net, &inputs, case.backward)?;
    }
    Ok(net.arrays())
}

fn pass(net: &mut Net, inputs: &[Named], backward: bool) -> Result<()> {
    net.set_arrays(inputs, "data:", Blob::data)?;
    net.forward()?;
    if backward {
        net.clear_gradients();
        net.set_arrays(inputs, "diff:", Blob::diff)?;
        net.backward()?;
    }
    Ok(())
}

/// Other values, of which those that are whole numbers stay: labels, indices, sequence marks.
fn vary((_, array): &mut Named, random: &mut Random) {
    if array.iter().any(|value| value.fract() != 0.0) {
        array.iter_mut().for_each(|value| *value *= random.uniform(0.8, 1.2));
    }
}
