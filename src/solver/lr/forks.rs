//! Policies of forks that need nothing but the iteration.

use super::Settings;
use crate::error::{Error, Result};

/// The first `stagelr` whose `stageiter` the iteration has not gone beyond, the last one behind all of them (Intel Caffe,
/// `SGDSolver::GetLearningRate`). Iterations count from 0, so the first stage has `stageiter + 1` of them.
pub(super) fn multifixed(settings: &Settings, iteration: i32) -> f32 {
    let stage = settings.stageiter.iter().position(|&last| iteration <= last);
    let rate = stage.map_or(settings.stagelr.last(), |stage| settings.stagelr.get(stage));
    rate.copied().unwrap_or_default()
}

/// Refuses lists that do not belong together.
pub(super) fn check_multifixed(settings: &Settings) -> Result<()> {
    let (rates, ends) = (&settings.stagelr, &settings.stageiter);
    if rates.is_empty() {
        return Err(Error::config("stagelr", "is missing: \"multifixed\" takes its rates from it"));
    }
    if rates.len() != ends.len() {
        let message =
            format!("is given {} times for {} of stagelr: the last iteration of each", ends.len(), rates.len());
        return Err(Error::config("stageiter", message));
    }
    match ends.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => {
            let message = format!("must increase from one to the next, and {} follows {}", pair[1], pair[0]);
            Err(Error::config("stageiter", message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_rates, learning_rate, refusal};

    #[test]
    fn multifixed_goes_to_the_next_rate_behind_the_last_iteration_of_a_stage() {
        let rates = learning_rate("lr_policy: \"multifixed\" stagelr: [0.1, 0.5, 0.2] stageiter: [3, 5, 9]");
        assert_rates(&rates, &[(0, 0.1), (3, 0.1), (4, 0.5), (5, 0.5), (6, 0.2), (9, 0.2), (10, 0.2), (1000, 0.2)]);
    }

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        let cases = [
            ("", "stagelr: is missing"),
            ("stagelr: [1, 2] stageiter: 3", "stageiter: is given 1 times for 2 of stagelr"),
            ("stagelr: [1, 2] stageiter: [3, 3]", "stageiter: must increase from one to the next, and 3 follows 3"),
        ];
        for (options, expected) in cases {
            let message = refusal(&format!("lr_policy: \"multifixed\" {options}"));
            assert!(message.contains(expected), "{message}");
        }
    }
}
