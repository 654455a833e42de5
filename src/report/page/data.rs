//! The curves of a page: which there are, in which panel, and as JSON for the script.

use serde_json::{Value, json};

use super::Page;
use crate::report::{
    chart::HUES,
    curves::{is_accuracy, words},
    runs::{Record, Run, X},
};

/// The most points that a curve has in the page; beyond it, the lowest and highest of each stretch are kept.
const POINTS: usize = 3000;
/// The most panels.
const PANELS: usize = 10;

/// The curves of a page.
pub(super) struct Curves {
    pub panels: Vec<Panel>,
    records: Vec<Value>,
    x: Vec<&'static str>,
}

/// Curves over one y axis.
pub(super) struct Panel {
    pub title: String,
    /// Quantities, as [`Run::series`] knows them.
    names: Vec<String>,
    /// Not as high as others.
    low: bool,
    smooth: bool,
    log: bool,
    series: Vec<Value>,
}

impl Curves {
    /// The curves of all runs.
    pub fn of(page: &Page) -> Self {
        let mut panels = panels(&page.runs);
        for panel in &mut panels {
            panel.fill(&page.runs);
        }
        panels.retain(|panel| !panel.series.is_empty());
        panels.truncate(PANELS);
        let records: Vec<Value> = page.runs.iter().map(records).collect();
        let known = |mode: &&str| records.iter().any(|run| run["records"].get(*mode).is_some());
        let x = ["iter", "epoch", "time", "lr"].into_iter().filter(known).collect();
        Curves { panels, records, x }
    }

    /// What the script reads. No `<` is in it, so that nothing in it can end the script element.
    pub fn json(&self, live: bool) -> String {
        let panel = |panel: &Panel| json!({ "title": panel.title, "low": panel.low, "smooth": panel.smooth, "log": panel.log, "series": panel.series });
        let panels: Vec<Value> = self.panels.iter().map(panel).collect();
        let all = json!({ "live": live, "hues": HUES, "x": self.x, "runs": self.records, "panels": panels });
        all.to_string().replace('<', "\\u003c")
    }
}

/// The panels that the runs have curves for: accuracies, below them the learning rate, losses, and what else there is.
fn panels(runs: &[Run]) -> Vec<Panel> {
    let mut names: Vec<String> = Vec::new();
    for name in runs.iter().flat_map(Run::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let panel = |title: &str, names: Vec<String>, low: bool| Panel {
        title: title.into(),
        smooth: !["learning rate", "momentum"].contains(&title),
        log: title == "loss",
        names,
        low,
        series: Vec::new(),
    };
    let take = |wanted: &dyn Fn(&str) -> bool| names.iter().filter(|name| wanted(name)).cloned().collect::<Vec<_>>();
    let mut panels = vec![
        panel("accuracy", take(&is_accuracy), false),
        panel("learning rate", take(&|name| name == "lr"), true),
        panel("loss", take(&|name| name.contains("loss") && (name != "smoothed_loss" || !has_loss(runs))), false),
    ];
    if runs.iter().any(|run| changes(run, "momentum")) {
        panels.push(panel("momentum", vec!["momentum".into()], true));
    }
    for name in ["gradient_norm", "images_per_second"] {
        panels.push(panel(&words(name), take(&|other| other == name), true));
    }
    for name in &names {
        let other =
            (name.starts_with("test ") || name.starts_with("train ")) && !is_accuracy(name) && !name.contains("loss");
        if other {
            panels.push(panel(name, vec![name.clone()], false));
        }
    }
    panels
}

fn has_loss(runs: &[Run]) -> bool {
    runs.iter().flat_map(|run| &run.train).any(|record| record.loss.is_some())
}

fn changes(run: &Run, name: &str) -> bool {
    run.series(name, X::Iteration).is_some_and(|points| points.iter().any(|point| point.1 != points[0].1))
}

impl Panel {
    /// The series of all runs: a colour for each run, tests dashed where there is training too; of one run a colour for each curve.
    fn fill(&mut self, runs: &[Run]) {
        let mut found = Vec::new();
        for (number, run) in runs.iter().enumerate() {
            let of_run: Vec<(&String, Vec<(f64, f64)>)> =
                self.names.iter().filter_map(|name| Some((name, run.series(name, X::Iteration)?))).collect();
            // The loss of training is an output of the net too.
            let same = |index: usize| of_run[..index].iter().any(|(_, points)| *points == of_run[index].1);
            found.extend((0..of_run.len()).filter(|index| !same(*index)).map(|index| (number, of_run[index].clone())));
        }
        let one_each = (0..runs.len()).all(|run| found.iter().filter(|(number, _)| *number == run).count() <= 1);
        for (index, (run, (name, points))) in found.into_iter().enumerate() {
            let label = match (runs.len(), one_each) {
                (1, _) => words(name),
                (_, true) => runs[run].name.clone(),
                _ => format!("{} {}", runs[run].name, words(name)),
            };
            let points = thinned(&points, POINTS);
            let iterations: Vec<f64> = points.iter().map(|point| point.0).collect();
            let values: Vec<Option<f64>> = points.iter().map(|point| finite(point.1)).collect();
            let hue = if runs.len() > 1 { run } else { index };
            let dashed = runs.len() > 1 && !one_each && name.starts_with("test");
            let series = json!({
                "run": run, "name": label, "hue": hue, "dashed": dashed, "iter": iterations, "y": values
            });
            self.series.push(series);
        }
    }
}

/// Six digits are more than a screen shows.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then(|| format!("{value:.6e}").parse().unwrap_or(value))
}

/// A run's name, and its epochs, times and rates by iteration.
fn records(run: &Run) -> Value {
    let step = run.train.len().div_ceil(POINTS).max(1);
    let last = run.train.len().saturating_sub(1);
    let kept: Vec<_> = run.train.iter().enumerate().filter(|(index, _)| index % step == 0 || *index == last).collect();
    let column = |value: fn(&Record) -> Option<f64>| -> Option<Vec<f64>> {
        kept.iter().map(|(_, record)| value(record).and_then(finite)).collect::<Option<Vec<f64>>>()
    };
    // Where a log's last lines lack a number, the one before stands in for it.
    let filled = |value: fn(&Record) -> Option<f64>| -> Option<Vec<f64>> {
        let mut before = run.train.iter().find_map(value)?;
        let next = |record| {
            before = value(record).and_then(finite).unwrap_or(before);
            before
        };
        Some(kept.iter().map(|(_, record)| *record).map(next).collect())
    };
    let mut records = json!({ "iter": kept.iter().map(|(_, record)| record.iteration).collect::<Vec<_>>() });
    let columns = [("epoch", column(|r| r.epoch)), ("time", column(|r| r.seconds)), ("lr", filled(|r| r.lr))];
    for (name, values) in columns {
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            records[name] = json!(values);
        }
    }
    json!({ "name": run.name, "records": records })
}

/// At most about `count` points, of each stretch the lowest and the highest.
fn thinned(points: &[(f64, f64)], count: usize) -> Vec<(f64, f64)> {
    if points.len() <= count {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(count / 2);
    let mut kept = Vec::with_capacity(count + 2);
    for group in points.chunks(stretch) {
        let lowest = (0..group.len()).min_by(|one, other| group[*one].1.total_cmp(&group[*other].1)).unwrap_or(0);
        let highest = (0..group.len()).max_by(|one, other| group[*one].1.total_cmp(&group[*other].1)).unwrap_or(0);
        kept.push(group[lowest.min(highest)]);
        if lowest != highest {
            kept.push(group[lowest.max(highest)]);
        }
    }
    if let (Some(last), Some(end)) = (points.last(), kept.last())
        && last.0 > end.0
    {
        kept.push(*last);
    }
    kept
}
