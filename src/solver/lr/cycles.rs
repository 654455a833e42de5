//! The cycles of a schedule: where each begins and ends.

use super::{LearningRate, Settings};

/// One cycle of a learning rate, as far as its stage lets it run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle {
    /// The stage that it belongs to, counted from 0.
    pub stage: usize,
    /// Its first iteration.
    pub begin: usize,
    /// The first iteration after it; that of the next cycle, or of the next stage.
    pub end: usize,
    /// Whether it runs from its own begin to its own end: no stage and no end of training cuts it.
    pub whole: bool,
}

impl LearningRate {
    /// The cycles of the iterations before `end`: two `stepsize`s of a cyclical policy or of `1cycle`, a period of `sgdr`. What
    /// lies before `start_lr_policy`, and all of the other policies, is no cycle.
    pub fn cycles(&self, end: usize) -> Vec<Cycle> {
        let mut cycles = Vec::new();
        let begins = std::iter::once(0).chain((0..self.stage_at(usize::MAX)).map(|stage| self.stage_end(stage)));
        for (stage, from) in begins.enumerate() {
            let last = stage == self.stage_at(usize::MAX);
            let to = if last { end } else { self.stage_end(stage).min(end) };
            let Some(lengths) = Lengths::of(self.settings_of(stage)) else { continue };
            lengths.between(stage, from, to, &mut cycles);
        }
        cycles
    }

    /// Whether the policy of this iteration runs in cycles.
    pub fn is_cyclical_at(&self, iteration: usize) -> bool {
        Lengths::of(self.settings_of(self.stage_at(iteration))).is_some()
    }
}

/// How long the cycles of a stage are, one after another.
struct Lengths {
    start: f64,
    first: f64,
    growth: f64,
    /// How many there are at most.
    most: usize,
}

impl Lengths {
    fn of(settings: &Settings) -> Option<Self> {
        let start = f64::from(settings.start_lr_policy);
        let both_ramps = 2.0 * f64::from(settings.stepsize);
        match settings.lr_policy.as_str() {
            "triangular" | "triangular2" | "exp_range" => {
                Some(Lengths { start, first: both_ramps, growth: 1.0, most: usize::MAX })
            }
            "1cycle" => Some(Lengths { start, first: both_ramps, growth: 1.0, most: 1 }),
            "sgdr" => {
                let (first, growth) = (f64::from(settings.period?), f64::from(settings.p_mult));
                Some(Lengths { start, first, growth, most: usize::MAX })
            }
            _ => None,
        }
    }

    /// Adds the cycles that lie in the iterations from `from` to `to`, or reach into them.
    fn between(&self, stage: usize, from: usize, to: usize, cycles: &mut Vec<Cycle>) {
        let (mut begin, mut length) = (self.start, self.first);
        if self.growth == 1.0 && begin < from as f64 && self.most > 1 {
            // Those that are over when the stage begins are skipped.
            begin += ((from as f64 - begin) / length).floor() * length;
        }
        for _ in 0..self.most {
            if begin >= to as f64 {
                break;
            }
            let end = begin + length;
            let (own_begin, own_end) = (begin.ceil().max(0.0) as usize, end.ceil().max(0.0) as usize);
            if own_end > from {
                let whole = begin >= from as f64 && own_end <= to;
                cycles.push(Cycle { stage, begin: own_begin.max(from), end: own_end.min(to), whole });
            }
            begin = end;
            length *= self.growth;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::learning_rate;

    fn cycles(options: &str, end: usize) -> Vec<(usize, usize, usize, bool)> {
        let found = learning_rate(options).cycles(end);
        found.iter().map(|cycle| (cycle.stage, cycle.begin, cycle.end, cycle.whole)).collect()
    }

    #[test]
    fn two_stepsizes_are_a_cycle() {
        let options = "lr_policy: \"triangular\" base_lr: 0.1 max_lr: 0.5 stepsize: 5 start_lr_policy: 3";
        assert_eq!(cycles(options, 30), [(0, 3, 13, true), (0, 13, 23, true), (0, 23, 30, false)]);
        assert_eq!(cycles(options, 3), []);
    }

    #[test]
    fn one_cycle_has_one_and_fixed_rates_none() {
        assert_eq!(cycles("lr_policy: \"1cycle\" base_lr: 0.1 max_lr: 0.5 stepsize: 5", 30), [(0, 0, 10, true)]);
        assert_eq!(cycles("lr_policy: \"decay\" base_lr: 0.1 max_lr: 0.5 stepsize: 5", 30), []);
    }

    #[test]
    fn periods_grow() {
        let options = "lr_policy: \"sgdr\" base_lr: 0.1 period: 10 p_mult: 2";
        assert_eq!(cycles(options, 50), [(0, 0, 10, true), (0, 10, 30, true), (0, 30, 50, false)]);
    }

    #[test]
    fn a_stage_begins_within_a_cycle_unless_it_says_where_to_start() {
        let options = |second: &str| {
            format!(
                "lr_policy: \"triangular2\" base_lr: 0.1 max_lr: 0.5 stepsize: 4 stage {{ max_iter: 12 }}
                 stage {{ stepsize: 5 {second} max_iter: 22 }}"
            )
        };
        assert_eq!(
            cycles(&options(""), 22),
            [(0, 0, 8, true), (0, 8, 12, false), (1, 12, 20, false), (1, 20, 22, false)]
        );
        assert_eq!(cycles(&options("reset: true"), 22)[2..], [(1, 12, 22, true)]);
    }
}
