//! One quantity of a run over another, ready to be drawn.

use super::{
    Record, Run,
    columns::{TRAIN, column},
};

/// What a quantity is drawn over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum X {
    /// The iteration.
    Iteration,
    /// The learning rate.
    Rate,
    /// Passes over the training set.
    Epoch,
    /// Seconds of running.
    Seconds,
}

impl Run {
    /// The points of a quantity: `loss`, `smoothed_loss`, `lr`, `momentum`, `images_per_second`, `gradient_norm`, `epoch`,
    /// `seconds`, or an output of the net by its name.
    ///
    /// An output is the test's where a test has it, else the training net's; `train NAME`, `test NAME` and `test#1 NAME` (the second
    /// test net) say which. `loss` is that of training; where only the smoothed loss is known, that. A test has the rate, epoch
    /// and time of its iteration. `None` when the run has no such points.
    pub fn series(&self, y: &str, x: X) -> Option<Vec<(f64, f64)>> {
        let points = match Wanted::parse(y) {
            Wanted::Train(name) => self.of_training(name, x),
            Wanted::Test(net, name) => self.of_test(net, name, x),
            Wanted::Either(name) => {
                let of_training = || self.of_training(name, x);
                let of_test =
                    || (0..=self.last_net()).map(|net| self.of_test(net, name, x)).find(|points| !points.is_empty());
                match column(name) {
                    Some(_) => of_training(),
                    None => of_test().unwrap_or_else(of_training),
                }
            }
        };
        (!points.is_empty()).then_some(points)
    }

    /// The names that [`series`](Run::series) knows in this run.
    pub fn names(&self) -> Vec<String> {
        let columns = TRAIN.iter().map(|column| column.name.to_string());
        let train = self.train.iter().flat_map(|record| &record.outputs).map(|(name, _)| format!("train {name}"));
        let test = self.test.iter().flat_map(|record| record.outputs.iter().map(move |(name, _)| (record.net, name)));
        let test = test.map(|(net, name)| if net == 0 { format!("test {name}") } else { format!("test#{net} {name}") });
        let mut names: Vec<String> = Vec::new();
        for name in columns.chain(train).chain(test) {
            if !names.contains(&name) && self.series(&name, X::Iteration).is_some() {
                names.push(name);
            }
        }
        names
    }

    fn last_net(&self) -> usize {
        self.test.iter().map(|record| record.net).max().unwrap_or(0)
    }

    fn of_training(&self, name: &str, x: X) -> Vec<(f64, f64)> {
        let points = |name: &str| points(self.train.iter(), |record| Some((at(record, x)?, value(record, name)?)));
        let found = points(name);
        if found.is_empty() && name == "loss" { points("smoothed_loss") } else { found }
    }

    fn of_test(&self, net: usize, name: &str, x: X) -> Vec<(f64, f64)> {
        let records = self.test.iter().filter(|record| record.net == net);
        let of_output = |record: &Record| record.output(name).or_else(|| value(record, name));
        points(records, |record| {
            Some((at(record, x).or_else(|| self.training_at(record.iteration, x))?, of_output(record)?))
        })
    }

    /// The x of training at an iteration, or the last known before it: the last line of a log has no rate.
    fn training_at(&self, iteration: u64, x: X) -> Option<f64> {
        let behind = self.train.partition_point(|record| record.iteration <= iteration);
        let before = self.train[..behind].iter().rev().find_map(|record| at(record, x));
        before.or_else(|| at(self.train.first()?, x))
    }
}

enum Wanted<'a> {
    Train(&'a str),
    Test(usize, &'a str),
    Either(&'a str),
}

impl<'a> Wanted<'a> {
    fn parse(y: &'a str) -> Self {
        let test = |rest: &'a str| {
            let (number, name) = rest.split_once(' ')?;
            let net = if number.is_empty() { 0 } else { number.strip_prefix('#')?.parse().ok()? };
            Some(Wanted::Test(net, name))
        };
        match (y.strip_prefix("train "), y.strip_prefix("test").and_then(test)) {
            (Some(name), _) => Wanted::Train(name),
            (None, Some(test)) => test,
            (None, None) => Wanted::Either(y),
        }
    }
}

fn value(record: &Record, name: &str) -> Option<f64> {
    column(name).map_or_else(|| record.output(name), |column| (column.value)(record))
}

fn at(record: &Record, x: X) -> Option<f64> {
    match x {
        X::Iteration => Some(record.iteration as f64),
        X::Rate => record.lr,
        X::Epoch => record.epoch,
        X::Seconds => record.seconds,
    }
}

fn points<'a>(
    records: impl Iterator<Item = &'a Record>,
    point: impl Fn(&Record) -> Option<(f64, f64)>,
) -> Vec<(f64, f64)> {
    records.filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let outputs = |pairs: &[(&str, f64)]| pairs.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        let train = |iteration, lr, loss: f64| Record {
            iteration,
            lr: Some(lr),
            smoothed_loss: Some(loss),
            outputs: outputs(&[("loss", loss / 2.0), ("aux", 1.0)]),
            ..Record::default()
        };
        let test = |iteration, net, accuracy| Record {
            iteration,
            net,
            outputs: outputs(&[("accuracy", accuracy), ("loss", 9.0)]),
            ..Record::default()
        };
        Run {
            train: vec![train(0, 0.1, 4.0), train(10, 0.2, 2.0)],
            test: vec![test(0, 0, 0.5), test(0, 1, 0.6), test(15, 0, 0.7)],
            ..Run::default()
        }
    }

    #[test]
    fn names_find_their_numbers() {
        let run = run();
        let values = |y| run.series(y, X::Iteration);
        assert_eq!(values("loss"), Some(vec![(0.0, 4.0), (10.0, 2.0)]));
        assert_eq!(values("train aux"), Some(vec![(0.0, 1.0), (10.0, 1.0)]));
        assert_eq!(values("aux"), values("train aux"));
        assert_eq!(values("accuracy"), Some(vec![(0.0, 0.5), (15.0, 0.7)]));
        assert_eq!(values("test loss"), Some(vec![(0.0, 9.0), (15.0, 9.0)]));
        assert_eq!(values("test#1 accuracy"), Some(vec![(0.0, 0.6)]));
        assert_eq!((values("test#2 accuracy"), values("momentum"), values("nothing")), (None, None, None));
        let names = ["smoothed_loss", "lr", "train loss", "train aux", "test accuracy", "test loss"];
        assert!(names.iter().all(|name| run.names().contains(&name.to_string())), "{:?}", run.names());
    }

    #[test]
    fn a_test_has_the_rate_of_the_iteration_before_it() {
        assert_eq!(run().series("accuracy", X::Rate), Some(vec![(0.1, 0.5), (0.2, 0.7)]));
        assert_eq!(run().series("accuracy", X::Epoch), None);
    }
}
