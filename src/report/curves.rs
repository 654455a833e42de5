//! Runs as a picture: which quantities go on which axis, smoothing, names and colours.

use super::{
    chart::{Axis, Chart, Look, Series},
    runs::{Run, X},
};
use crate::error::{Error, Result};

/// What to draw of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// The quantities, as [`Run::series`] knows them; none for the test accuracy, or the loss where there is no test, and
    /// the learning rate.
    pub y: Vec<String>,
    /// What they are drawn over.
    pub x: X,
    /// Means over this many points, with the points themselves in a paler colour; 1 or less for the points alone. Learning rate and
    /// momentum stay as they are.
    pub smooth: usize,
    /// Above the picture; the run's name where there is one run and no title.
    pub title: String,
    /// Whether the left axis is logarithmic.
    pub log_y: bool,
    /// Whether the x axis is logarithmic; that of the learning rate is where it spans two powers of ten.
    pub log_x: bool,
}

impl Default for Curves {
    fn default() -> Self {
        Curves { y: Vec::new(), x: X::Iteration, smooth: 1, title: String::new(), log_y: false, log_x: false }
    }
}

/// The chart of some runs. The learning rate has the axis on the right where it is drawn with something else; so has the second
/// of two quantities of different kinds.
///
/// ```
/// use rcaffe::report::{curves::{Curves, chart}, runs::Run};
///
/// let run = Run::read("tests/golden/log/caffe.log".as_ref())?;
/// let chart = chart(&[run], &Curves { y: vec!["accuracy".into(), "lr".into()], ..Curves::default() })?;
/// let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
/// assert_eq!(names, ["accuracy", "learning rate"]);
/// # Ok::<(), rcaffe::Error>(())
/// ```
///
/// # Errors
/// When there are no runs, or no run has one of the quantities.
pub fn chart(runs: &[Run], curves: &Curves) -> Result<Chart> {
    if runs.is_empty() {
        return Err(Error::config("RUN", "give at least one log, csv or jsonl file"));
    }
    let chosen;
    let y = if curves.y.is_empty() {
        chosen = usual(runs, curves.x);
        &chosen
    } else {
        &curves.y
    };
    let right = on_the_right(y);
    let (axis_right, axis_left): (Vec<&String>, Vec<&String>) = y.iter().partition(|name| right.contains(name));
    let mut chart = Chart::new(x_axis(runs, curves), y_axis(&axis_left, curves.log_y));
    for (number, run) in runs.iter().enumerate() {
        for (index, name) in y.iter().enumerate() {
            let Some(points) = run.series(name, curves.x) else { continue };
            let side = axis_right.contains(&name);
            let hue = hue(runs.len(), axis_left.len(), (number, index), side);
            let label = label(runs, run, name, axis_left.len(), side);
            let mut add =
                |series: Series| chart.series.push(if side { series.right().hue(hue) } else { series.hue(hue) });
            if curves.smooth > 1 && !is_schedule(name) {
                add(Series::new("", points.clone()).look(Look::Faint));
                add(Series::new(label, smoothed(&points, curves.smooth)));
            } else {
                add(Series::new(label, points));
            }
        }
    }
    for name in y {
        if !runs.iter().any(|run| run.series(name, curves.x).is_some()) {
            return Err(missing(runs, name, curves.x));
        }
    }
    if !axis_right.is_empty() {
        let mut axis = y_axis(&axis_right, false);
        if runs.len() > 1 {
            axis.label.push_str(" (dashed)");
        }
        chart.right = Some(axis);
    }
    scale_time(&mut chart, curves.x);
    chart.title = match runs {
        [run] if curves.title.is_empty() => run.name.clone(),
        _ => curves.title.clone(),
    };
    Ok(chart)
}

/// The first test output that is an accuracy, or else the loss; and the learning rate where it is not the x axis.
fn usual(runs: &[Run], x: X) -> Vec<String> {
    let names: Vec<String> = runs.iter().flat_map(Run::names).collect();
    let accuracy = names.iter().find(|name| name.starts_with("test") && is_accuracy(name));
    let mut y = vec![accuracy.map_or("loss".to_string(), |name| name.trim_start_matches("test ").to_string())];
    if x != X::Rate && runs.iter().any(|run| run.series("lr", x).is_some()) {
        y.push("lr".into());
    }
    y
}

/// Whether a name is that of an accuracy.
pub fn is_accuracy(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("acc") || name.contains("top-") || name.contains("top_")
}

fn is_schedule(name: &str) -> bool {
    ["lr", "momentum", "epoch", "seconds"].contains(&name)
}

/// Of quantities, those that have the axis on the right.
fn on_the_right(y: &[String]) -> Vec<&String> {
    let schedules: Vec<&String> = y.iter().filter(|name| is_schedule(name)).collect();
    if !schedules.is_empty() && schedules.len() < y.len() {
        return schedules;
    }
    let kind = |name: &str| {
        if is_accuracy(name) {
            "accuracy".into()
        } else if name.contains("loss") {
            "loss".into()
        } else {
            name.to_string()
        }
    };
    match y {
        [first, second] if kind(first) != kind(second) => vec![second],
        _ => Vec::new(),
    }
}

/// One colour for each run, or for each curve of the left axis where there are several for a run.
fn hue(runs: usize, left: usize, (run, index): (usize, usize), right: bool) -> usize {
    match (runs, right) {
        (1, _) => index,
        (_, true) => run * left.max(1),
        (_, false) => run * left.max(1) + if left > 1 { index } else { 0 },
    }
}

fn label(runs: &[Run], run: &Run, name: &str, left: usize, right: bool) -> String {
    match (runs.len() > 1, right) {
        (false, _) => words(name),
        // The dashes and the colour say what it is.
        (true, true) => String::new(),
        (true, false) if left == 1 => run.name.clone(),
        (true, false) => format!("{} {}", run.name, words(name)),
    }
}

/// A quantity in words.
pub fn words(name: &str) -> String {
    match name {
        "lr" => "learning rate".into(),
        "images_per_second" => "images per second".into(),
        "gradient_norm" => "gradient norm".into(),
        "smoothed_loss" => "smoothed loss".into(),
        "seconds" => "seconds".into(),
        other => other.into(),
    }
}

fn y_axis(names: &[&String], log: bool) -> Axis {
    let label = names.iter().map(|name| words(name)).collect::<Vec<_>>().join(", ");
    if log { Axis::log(label) } else { Axis::linear(label) }
}

fn x_axis(runs: &[Run], curves: &Curves) -> Axis {
    let label = match curves.x {
        X::Iteration => "iteration",
        X::Rate => "learning rate",
        X::Epoch => "epoch",
        X::Seconds => "seconds",
    };
    let rates = || runs.iter().flat_map(|run| &run.train).filter_map(|record| record.lr).filter(|rate| *rate > 0.0);
    let (low, high) = rates().fold((f64::MAX, f64::MIN), |(low, high), rate| (low.min(rate), high.max(rate)));
    let wide = curves.x == X::Rate && high > 100.0 * low;
    if curves.log_x || wide { Axis::log(label) } else { Axis::linear(label) }
}

/// Seconds become minutes or hours where there are many.
fn scale_time(chart: &mut Chart, x: X) {
    if x != X::Seconds {
        return;
    }
    let last = chart.series.iter().flat_map(|series| &series.points).map(|point| point.0).fold(0.0, f64::max);
    let (unit, name) = match last {
        ..600.0 => return,
        600.0..36_000.0 => (60.0, "minutes"),
        _ => (3600.0, "hours"),
    };
    chart.x.label = name.into();
    for point in chart.series.iter_mut().flat_map(|series| &mut series.points) {
        point.0 /= unit;
    }
}

/// The mean of `count` values around each, fewer at the ends. Values that are not finite are left out.
pub fn smoothed(points: &[(f64, f64)], count: usize) -> Vec<(f64, f64)> {
    let (before, after) = ((count.max(1) - 1) / 2, count.max(1) / 2);
    let mean = |index: usize| {
        let window = &points[index.saturating_sub(before)..(index + after + 1).min(points.len())];
        let (sum, number) = window
            .iter()
            .filter(|point| point.1.is_finite())
            .fold((0.0, 0.0), |(sum, number), point| (sum + point.1, number + 1.0));
        (points[index].0, sum / number)
    };
    (0..points.len()).map(mean).collect()
}

fn missing(runs: &[Run], name: &str, x: X) -> Error {
    let here = if runs.len() == 1 { format!("{} has", runs[0].name) } else { "no run has".into() };
    let known = runs.iter().any(|run| run.series(name, X::Iteration).is_some());
    let message = if known {
        let what = match x {
            X::Rate => "learning rates",
            X::Epoch => "epochs; files that `rcaffe train --metrics` writes have them",
            X::Seconds => "times",
            X::Iteration => "iterations",
        };
        format!("{here}{} {what}", if runs.len() == 1 { " no" } else { "" })
    } else {
        let mut names: Vec<String> = runs.iter().flat_map(Run::names).collect();
        names.sort();
        names.dedup();
        format!("{here}{} such quantity; there are: {}", if runs.len() == 1 { " no" } else { "" }, names.join(", "))
    };
    Error::config(format!("--y {name}"), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{chart::Side, runs::Record};

    fn run(name: &str) -> Run {
        let train = (0..10).map(|index| Record {
            iteration: index * 10,
            lr: Some(0.001 * (index + 1) as f64),
            loss: Some(2.0 - 0.1 * index as f64),
            ..Record::default()
        });
        let test = [0, 90].map(|iteration| Record {
            iteration,
            outputs: vec![("accuracy".into(), 0.1 + iteration as f64 / 200.0)],
            ..Record::default()
        });
        Run { name: name.into(), train: train.collect(), test: test.to_vec(), solver_text: None }
    }

    fn names(chart: &Chart) -> Vec<(&str, Side, Option<usize>)> {
        chart.series.iter().map(|series| (series.name.as_str(), series.side, series.hue)).collect()
    }

    #[test]
    fn accuracy_and_rate_are_drawn_when_nothing_is_said() {
        let chart = chart(&[run("a")], &Curves::default()).unwrap();
        assert_eq!(names(&chart), [("accuracy", Side::Left, Some(0)), ("learning rate", Side::Right, Some(1))]);
        assert_eq!(
            (chart.title.as_str(), chart.x.label.as_str(), chart.y.label.as_str()),
            ("a", "iteration", "accuracy")
        );
        assert_eq!(chart.right.unwrap().label, "learning rate");
    }

    #[test]
    fn runs_share_a_picture_with_a_colour_each() {
        let chart = chart(&[run("a"), run("b")], &Curves::default()).unwrap();
        let expected = [
            ("a", Side::Left, Some(0)),
            ("", Side::Right, Some(0)),
            ("b", Side::Left, Some(1)),
            ("", Side::Right, Some(1)),
        ];
        assert_eq!(names(&chart), expected);
        assert_eq!(chart.right.unwrap().label, "learning rate (dashed)");
    }

    #[test]
    fn smoothing_is_a_mean_around_each_point_and_keeps_the_points() {
        let points = [(0.0, 0.0), (1.0, 3.0), (2.0, 6.0), (3.0, f64::NAN)];
        assert_eq!(smoothed(&points, 3), [(0.0, 1.5), (1.0, 3.0), (2.0, 4.5), (3.0, 6.0)]);
        let curves = Curves { y: vec!["loss".into(), "lr".into()], smooth: 3, ..Curves::default() };
        let looks: Vec<Look> = chart(&[run("a")], &curves).unwrap().series.iter().map(|series| series.look).collect();
        assert_eq!(looks, [Look::Faint, Look::Line, Look::Line]);
    }

    #[test]
    fn two_quantities_of_different_kinds_have_an_axis_each() {
        let curves = |y: &[&str]| Curves { y: y.iter().map(|name| name.to_string()).collect(), ..Curves::default() };
        let right = |y: &[&str]| chart(&[run("a")], &curves(y)).unwrap().right.map(|axis| axis.label);
        assert_eq!(right(&["accuracy", "loss"]), Some("loss".into()));
        assert_eq!(right(&["accuracy", "loss", "lr"]), Some("learning rate".into()));
        assert_eq!(right(&["lr"]), None);
    }

    #[test]
    fn what_no_run_has_is_an_error_that_names_what_there_is() {
        let curves = Curves { y: vec!["top5".into()], ..Curves::default() };
        let error = chart(&[run("a")], &curves).unwrap_err().to_string();
        assert!(
            error.starts_with("--y top5: a has no such quantity; there are: ") && error.contains("test accuracy"),
            "{error}"
        );
        let curves = Curves { x: X::Epoch, y: vec!["loss".into()], ..Curves::default() };
        let error = chart(&[run("a"), run("b")], &curves).unwrap_err().to_string();
        assert_eq!(error, "--y loss: no run has epochs; files that `rcaffe train --metrics` writes have them");
    }
}
