//! A schedule in words: its parts, its length in epochs, its cycles, and where it goes against the paper's advice.

use std::fmt;

use super::{Cycle, Part, Schedule, TrainingSet};
use crate::prototxt::number::{general, stream};

/// Section 3.2 of the paper: stepsize of two to ten epochs.
const STEPSIZE_IN_EPOCHS: std::ops::RangeInclusive<f64> = 2.0..=10.0;

/// Where a schedule goes against the paper's advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The stage of its solver, counted from 0.
    pub stage: usize,
    /// What is so, and what would be better.
    pub text: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Schedule {
    /// What the schedule is, a line each: parts, images and epochs, cycles and whether training ends with one.
    pub fn summary(&self, set: Option<&TrainingSet>) -> Vec<String> {
        let mut lines: Vec<String> = self.parts.iter().map(|part| part.line(self.is_of_several_files())).collect();
        lines.push(self.length(set));
        let cycles = self.parts.iter().flat_map(|part| &part.cycles);
        let (whole, cut): (Vec<&Cycle>, Vec<&Cycle>) = cycles.partition(|cycle| cycle.whole);
        if let Some(last) = self.parts.last().filter(|_| !(whole.is_empty() && cut.is_empty())) {
            let cut = if cut.is_empty() { String::new() } else { format!(", {} cut short", cut.len()) };
            let end = match (last.cyclical, last.ends_with_a_cycle()) {
                (false, _) => "training ends in a policy without cycles",
                (true, true) if last.cycles.last().is_some_and(|cycle| cycle.end == self.end()) => {
                    "training ends at the end of a cycle"
                }
                (true, true) => "training ends behind the last cycle",
                (true, false) => "training ends within a cycle",
            };
            lines.push(format!("{}{cut}; {end}", counted(whole.len(), "whole cycle")));
        }
        lines
    }

    /// Where the schedule goes against the advice of the paper (arXiv 1506.01186, section 3.2) to end with a cycle, a line each.
    pub fn warnings(&self) -> Vec<Advice> {
        let warning = |part: &Part| Some(part.advice(part.end_warning(part.iterations.end == self.end())?));
        self.parts.iter().filter_map(warning).collect()
    }

    /// Where half a cycle is longer or shorter than the paper advises (section 3.2), a line each; the paper's own schedules
    /// have such too.
    pub fn notes(&self, set: Option<&TrainingSet>) -> Vec<Advice> {
        let note = |part: &Part| Some(part.advice(part.stepsize_note(set?)?));
        self.parts.iter().filter_map(note).collect()
    }

    fn is_of_several_files(&self) -> bool {
        self.parts.windows(2).any(|pair| pair[0].file != pair[1].file)
    }

    fn length(&self, set: Option<&TrainingSet>) -> String {
        let end = self.end();
        let Some(set) = set else { return format!("max_iter: {}", counted(end, "iteration")) };
        let images = end * set.per_iteration;
        let mut line = format!("max_iter: {} of {} = {images} images", counted(end, "iteration"), set.per_iteration);
        match (set.images(), set.epochs(end)) {
            (Some(count), Some(epochs)) => {
                line += &format!(" = {} of {count} ({})", epochs_text(epochs), set.extent.source);
            }
            _ if set.extent.images.is_err() => line += &format!("; {} cannot be opened here", set.extent.source),
            _ => {}
        }
        line
    }
}

impl Part {
    fn line(&self, with_file: bool) -> String {
        let name = if with_file { format!("{}, stage {}", self.file, self.stage + 1) } else { self.name() };
        let (low, high) = self.bounds();
        let rates = if low == high { stream(low) } else { format!("{} to {}", stream(low), stream(high)) };
        let mut line = format!(
            "{name}: {}, iterations {} to {}, lr {rates}",
            self.policy, self.iterations.start, self.iterations.end
        );
        let whole: Vec<_> = self.cycles.iter().filter(|cycle| cycle.whole).collect();
        if let Some(first) = whole.first() {
            let length = first.end - first.begin;
            let same = whole.iter().all(|cycle| cycle.end - cycle.begin == length);
            let text = if same { format!("of {length} iterations") } else { "of growing length".into() };
            line += &format!(", {} {text}", counted(whole.len(), "whole cycle"));
        }
        if self.policy == "plateau" {
            line += " (without the drops, which depend on the loss)";
        }
        line
    }

    fn advice(&self, text: String) -> Advice {
        Advice { stage: self.stage, text }
    }

    fn name(&self) -> String {
        format!("stage {}", self.stage + 1)
    }

    /// Training, or a stage of it, that ends within a cycle.
    fn end_warning(&self, is_last: bool) -> Option<String> {
        let cycle = self.cycles.last().filter(|cycle| !cycle.whole)?;
        let what = if is_last { "training".to_owned() } else { self.name() };
        // A cycle that is cut at its begin only comes to its own end.
        let rate = self.points.last()?.rate;
        let (low, high) = self.bounds();
        if cycle.begin == self.iterations.start && f64::from(rate - low) < 0.02 * f64::from(high - low) {
            return None;
        }
        let before = self.cycles.iter().rev().find(|cycle| cycle.whole).map(|cycle| cycle.end);
        let length = self.cycles.iter().find(|cycle| cycle.whole).map(|cycle| cycle.end - cycle.begin);
        let better = match (before, length) {
            (Some(end), Some(length)) => format!("; end at {end} or {}", end + length),
            _ => String::new(),
        };
        Some(format!(
            "{what} ends at iteration {}, within a cycle, with lr {}: the paper advises to stop at the end of one, where the \
             rate is lowest and accuracy peaks{better}",
            self.iterations.end,
            stream(rate)
        ))
    }

    /// Half a cycle that is far from the paper's two to ten epochs.
    fn stepsize_note(&self, set: &TrainingSet) -> Option<String> {
        if self.policy == "sgdr" || self.policy == "1cycle" {
            return None;
        }
        let cycle = self.cycles.iter().find(|cycle| cycle.whole)?;
        let stepsize = (cycle.end - cycle.begin) / 2;
        let epochs = set.epochs(stepsize)?;
        if STEPSIZE_IN_EPOCHS.contains(&epochs) || epochs == 0.0 {
            return None;
        }
        let per_epoch = set.images()? as f64 / set.per_iteration as f64;
        let [low, high] =
            [STEPSIZE_IN_EPOCHS.start(), STEPSIZE_IN_EPOCHS.end()].map(|epochs| (epochs * per_epoch).ceil());
        Some(format!(
            "{}: stepsize {stepsize} is {}: the paper advises 2 to 10 epochs, here {low} to {high} iterations",
            self.name(),
            epochs_text(epochs)
        ))
    }
}

fn epochs_text(epochs: f64) -> String {
    let number = general(epochs, 3);
    format!("{number} {}", if number == "1" { "epoch" } else { "epochs" })
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{super::*, Advice};
    use crate::prototxt::parse_solver;

    fn documents(texts: &[&str]) -> Vec<Document<SolverParameter>> {
        let net = r#"net_param { layer { name: "data" type: "Data" top: "x" top: "y"
            data_param { source: "synthetic:shapes/train" batch_size: 50 } } }"#;
        texts.iter().map(|text| parse_solver(format!("{text} {net}"), "solver").unwrap()).collect()
    }

    fn said(texts: &[&str]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let documents = documents(texts);
        let set = TrainingSet::of(&documents[0]).unwrap();
        let schedule = Schedule::of(&documents).unwrap();
        let texts = |advice: Vec<Advice>| advice.into_iter().map(|advice| advice.text).collect();
        (schedule.summary(set.as_ref()), texts(schedule.warnings()), texts(schedule.notes(set.as_ref())))
    }

    const RANGE: &str = "lr_policy: \"triangular\" base_lr: 0.1 max_lr: 0.5";

    #[test]
    fn epochs_cycles_and_end_are_said() {
        let (summary, warnings, notes) = said(&[&format!("{RANGE} stepsize: 500 max_iter: 2000 iter_size: 2")]);
        assert_eq!(
            summary,
            [
                "stage 1: triangular, iterations 0 to 2000, lr 0.1 to 0.5, 2 whole cycles of 1000 iterations",
                "max_iter: 2000 iterations of 100 = 200000 images = 20 epochs of 10000 (synthetic:shapes/train)",
                "2 whole cycles; training ends at the end of a cycle",
            ]
        );
        assert!(warnings.is_empty() && notes.is_empty(), "{warnings:?} {notes:?}");
    }

    #[test]
    fn an_end_within_a_cycle_is_warned_of_with_better_ones() {
        let (summary, warnings, _) = said(&[&format!("{RANGE} stepsize: 500 max_iter: 1300")]);
        assert_eq!(summary[2], "1 whole cycle, 1 cut short; training ends within a cycle");
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].starts_with("training ends at iteration 1300, within a cycle, with lr 0.3392:"),
            "{warnings:?}"
        );
        assert!(warnings[0].ends_with("end at 1000 or 2000"), "{warnings:?}");
    }

    #[test]
    fn a_stepsize_far_from_two_to_ten_epochs_is_noted() {
        let (_, _, notes) = said(&[&format!("{RANGE} stepsize: 50 max_iter: 200")]);
        let expected =
            "stage 1: stepsize 50 is 0.25 epochs: the paper advises 2 to 10 epochs, here 400 to 2000 iterations";
        assert_eq!(notes, [expected]);
    }

    #[test]
    fn behind_the_one_cycle_is_a_good_end() {
        let (summary, warnings, _) =
            said(&["lr_policy: \"1cycle\" base_lr: 0.1 max_lr: 0.5 stepsize: 500 max_iter: 1200"]);
        assert_eq!(summary[2], "1 whole cycle; training ends behind the last cycle");
        assert!(warnings.is_empty(), "{warnings:?}");
        let (_, warnings, _) = said(&["lr_policy: \"1cycle\" base_lr: 0.1 max_lr: 0.5 stepsize: 500 max_iter: 800"]);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn solvers_follow_one_another() {
        let first = format!("{RANGE} stepsize: 500 max_iter: 1000");
        let documents = documents(&[&first, "lr_policy: \"fixed\" base_lr: 0.01 max_iter: 1500"]);
        let schedule = Schedule::of(&documents).unwrap();
        let points = schedule.points(&(999..1001));
        assert_eq!(
            points.iter().map(|point| (point.iteration, point.stage)).collect::<Vec<_>>(),
            [(999, 0), (1000, 1)]
        );
        assert_eq!((points[1].rate, schedule.end(), schedule.cycle_ends()), (0.01, 1500, vec![1000]));
        let summary = schedule.summary(None);
        assert_eq!(summary.last().unwrap(), "1 whole cycle; training ends in a policy without cycles");
        let error = Schedule::of(&documents[1..].iter().chain(&documents[..1]).cloned().collect::<Vec<_>>()).err();
        assert!(error.unwrap().to_string().contains("must be above 1500"));
    }
}
