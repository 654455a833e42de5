//! Final and best numbers of each run, in a table.

use super::html::escaped;
use crate::report::{
    chart::HUES,
    curves::is_accuracy,
    runs::{Run, X},
};

/// The section with the table.
pub(super) fn section(runs: &[Run]) -> String {
    let outputs = outputs(runs);
    let extra = [("lr", "learning rate"), ("images_per_second", "images/s")];
    let extra: Vec<_> = extra.iter().filter(|(name, _)| runs.iter().any(|run| last(run, name).is_some())).collect();
    let heads: String = outputs
        .iter()
        .map(|name| format!("<th>{0}, final</th><th>{0}, best</th><th>at</th>", escaped(name)))
        .chain(extra.iter().map(|(_, words)| format!("<th>{words}</th>")))
        .collect();
    let best: Vec<Option<f64>> = outputs.iter().map(|name| of_all(runs, name)).collect();
    let row = |(index, run): (usize, &Run)| {
        let cells: String = outputs.iter().zip(&best).map(|(name, best)| cells(run, name, *best, runs.len())).collect();
        let rest: String = extra.iter().map(|(name, _)| cell(last(run, name).map(|point| point.1))).collect();
        format!(
            "<tr><th><span class=\"swatch\" style=\"background:var(--h{})\"></span>{}</th><td>{}</td><td>{}</td>{cells}{rest}</tr>\n",
            index % HUES,
            escaped(&run.name),
            iterations(run).map_or("–".into(), whole),
            last(run, "seconds").map_or("–".into(), |point| duration(point.1)),
        )
    };
    let rows: String = runs.iter().enumerate().map(row).collect();
    format!(
        "<section>\n<h2>Numbers</h2>\n<div class=\"scroll\"><table id=\"numbers\">\n<thead><tr><th>run</th><th>iterations</th>\
         <th>time</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )
}

/// Outputs of tests, accuracies first, and the loss of training.
fn outputs(runs: &[Run]) -> Vec<String> {
    let mut names: Vec<String> = runs.iter().flat_map(Run::names).filter(|name| name.starts_with("test")).collect();
    names.sort_by_key(|name| !is_accuracy(name));
    if runs.iter().any(|run| run.series("loss", X::Iteration).is_some()) {
        names.push("loss".into());
    }
    let mut unique: Vec<String> = Vec::new();
    names.retain(|name| {
        let new = !unique.contains(name);
        unique.push(name.clone());
        new
    });
    names
}

fn cells(run: &Run, name: &str, of_all: Option<f64>, runs: usize) -> String {
    let (Some(end), Some(best)) = (last(run, name), best(run, name)) else { return "<td>–</td>".repeat(3) };
    let class = if runs > 1 && Some(best.1) == of_all { " class=\"best\"" } else { "" };
    format!("<td>{}</td><td{class}>{}</td><td>{}</td>", short(end.1), short(best.1), whole(best.0))
}

fn cell(value: Option<f64>) -> String {
    format!("<td>{}</td>", value.map_or("–".into(), short))
}

fn last(run: &Run, name: &str) -> Option<(f64, f64)> {
    run.series(name, X::Iteration)?.last().copied()
}

/// The point with the largest accuracy, or the smallest value of anything else.
fn best(run: &Run, name: &str) -> Option<(f64, f64)> {
    let points = run.series(name, X::Iteration)?.into_iter().filter(|point| point.1.is_finite());
    // Of equal values the first.
    points.reduce(|best, point| if better(name, point.1, best.1) { point } else { best })
}

fn better(name: &str, value: f64, than: f64) -> bool {
    if is_accuracy(name) { value > than } else { value < than }
}

fn of_all(runs: &[Run], name: &str) -> Option<f64> {
    let values = runs.iter().filter_map(|run| best(run, name)).map(|point| point.1);
    values.reduce(|best, value| if better(name, value, best) { value } else { best })
}

fn iterations(run: &Run) -> Option<f64> {
    let last = |records: &[crate::report::runs::Record]| records.last().map(|record| record.iteration);
    last(&run.train).max(last(&run.test)).map(|count| count as f64)
}

/// Four digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !size.is_finite() => value.to_string(),
        size if size < 1e-3 => format!("{value:.3e}").replace(".000e", "e"),
        size if size >= 1e4 => whole(value.round()),
        size => {
            let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{value:.decimals$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
        }
    }
}

/// `25,000`.
pub(super) fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            out.push(',');
        }
        out.push(digit);
    }
    out.replace("-,", "-")
}

/// `21:45` or `1:02:03`.
fn duration(seconds: f64) -> String {
    let all = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02} h") } else { format!("{minutes}:{seconds:02} min") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_the_digits_that_matter() {
        let written = [0.8067, 0.5, 1.23456, 0.000012, 25_000.0, 87.3365, 0.001].map(short);
        assert_eq!(written, ["0.8067", "0.5", "1.235", "1.200e-5", "25,000", "87.34", "0.001"]);
        assert_eq!([59.6, 1305.0, 3723.0].map(duration), ["1:00 min", "21:45 min", "1:02:03 h"]);
        assert_eq!([999.0, 1000.0, 1_234_567.0].map(whole), ["999", "1,000", "1,234,567"]);
    }
}
