//! `1cycle` of Smith, *A disciplined approach to neural network hyper-parameters: Part 1* (arXiv 1803.09820).
//!
//! The logs of its Caffe runs (github.com/lnsmith54/hyperParam1) show what the paper leaves open: the rate falls from max_lr to
//! 0, not to base_lr, and stays at base_lr / 1000 from then on. `stepsize` is half a cycle. Only itr / stepsize rounded to f32
//! and the ramp in f64 give the logs' last digits.

use super::{
    Settings,
    cyclical::{Position, between, max_lr},
};

/// With itr = iteration - start_lr_policy: base_lr to max_lr up to itr = stepsize, max_lr to 0 up to 2·stepsize, then
/// `base_lr / 1000`.
pub(super) fn one_cycle(settings: &Settings, iteration: i32) -> f32 {
    let Some(position) = Position::of(settings, iteration) else {
        return settings.base_lr;
    };
    if position.cycle > 0 {
        return (f64::from(settings.base_lr) * 0.001) as f32;
    }
    let halves = f64::from(position.iterations as f32 / settings.stepsize as f32);
    if halves < 1.0 {
        between(settings.base_lr, max_lr(settings), halves)
    } else {
        between(0.0, max_lr(settings), (2.0 - halves).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::super::{
        LearningRate,
        tests::{assert_near, learning_rate},
    };
    use crate::prototxt::{number::stream, read_solver};

    /// Learning rate, momentum and weight decay as Smith's Caffe logged them, to the last printed digit.
    #[test]
    fn schedules_are_those_of_smiths_logs() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/smith");
        let mut rows = 0;
        for run in fs::read_dir(folder).unwrap() {
            let run = run.unwrap().path();
            let learning_rate = LearningRate::new(&read_solver(&run.join("solver.prototxt")).unwrap().message).unwrap();
            for row in fs::read_to_string(run.join("log.csv")).unwrap().lines().skip(1) {
                let iteration = row.split(',').next().unwrap().parse().unwrap();
                let rate = stream(learning_rate.rate(iteration));
                let momentum = stream(learning_rate.momentum(iteration));
                let decay = stream(learning_rate.weight_decay(iteration));
                assert_eq!(format!("{iteration},{rate},{momentum},{decay}"), row, "{}", run.display());
                rows += 1;
            }
        }
        assert_eq!(rows, 242);
    }

    #[test]
    fn the_corners_of_the_cycle() {
        let options = "lr_policy: \"1cycle\" base_lr: 0.1 max_lr: 0.5 stepsize: 10 start_lr_policy: 100";
        let expected =
            [(0, 0.1), (100, 0.1), (105, 0.3), (110, 0.5), (111, 0.45), (119, 0.05), (120, 0.0001), (9000, 0.0001)];
        assert_near(&learning_rate(options), &expected);
    }
}
