//! `rcaffe layers`: the table of layer types.

use std::ops::RangeInclusive;

use super::output;
use crate::{
    error::Result,
    layers::{ANY, LayerType, TABLE, Tops},
};

/// List the layer types: inputs and outputs, gradient, devices, one line on each.
///
/// Inputs and outputs are the numbers of bottoms and tops. Below Caffe 1.0's own types stand those that forks of Caffe added.
///
/// Example: rcaffe layers
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print the table in Markdown.
    #[arg(long)]
    markdown: bool,
}

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &Args) -> Result<()> {
    output::text(&if args.markdown { markdown() } else { plain() })
}

/// Caffe's own types, then those of forks.
fn rows() -> impl Iterator<Item = &'static LayerType> {
    let (caffe, forks): (Vec<_>, Vec<_>) = TABLE.iter().partition(|row| row.fork.is_none());
    caffe.into_iter().chain(forks)
}

const HEADER: [&str; 5] = ["type", "in → out", "gradient", "devices", "what"];

fn cells(row: &LayerType) -> [String; 5] {
    let gradient = if row.gradient { "yes" } else { "no" };
    let what = match row.fork {
        Some(fork) => format!("{} ({fork})", row.summary),
        None => row.summary.to_owned(),
    };
    [row.name.into(), format!("{} → {}", range(&row.bottoms), tops(&row.tops)), gradient.into(), "CPU".into(), what]
}

fn range(range: &RangeInclusive<usize>) -> String {
    match (*range.start(), *range.end()) {
        (least, ANY) => format!("{least}+"),
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least}–{most}"),
    }
}

fn tops(tops: &Tops) -> String {
    match tops {
        Tops::Count(count) | Tops::Automatic(count) => range(count),
        Tops::AsBottoms => "as in".into(),
    }
}

fn plain() -> String {
    let lines: Vec<_> = [HEADER.map(String::from)].into_iter().chain(rows().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            text += &format!("{cell:width$}  ");
        }
        text += &format!("{}\n", line[4]);
    }
    let forks = TABLE.iter().filter(|row| row.fork.is_some()).count();
    text += &format!("\n{} types of Caffe 1.0, {forks} of forks\n", TABLE.len() - forks);
    text
}

fn markdown() -> String {
    let line = |cells: [String; 5]| format!("| {} |\n", cells.join(" | "));
    let header = line(HEADER.map(String::from)) + "|---|---|---|---|---|\n";
    rows()
        .map(cells)
        .map(|[name, rest @ ..]| {
            let [a, b, c, d] = rest;
            line([format!("`{name}`"), a, b, c, d])
        })
        .fold(header, |text, line| text + line.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_line_and_a_row() {
        let (plain, markdown) = (plain(), markdown());
        for row in TABLE {
            let begins = |text: &str, start: String| text.lines().any(|line| line.starts_with(&start));
            assert!(begins(&plain, format!("{} ", row.name)) && begins(&markdown, format!("| `{}` |", row.name)));
        }
    }

    #[test]
    fn numbers_of_bottoms_and_tops() {
        assert_eq!((range(&(1..=1)), range(&(1..=2)), range(&(2..=ANY))), ("1".into(), "1–2".into(), "2+".into()));
        assert_eq!(tops(&Tops::AsBottoms), "as in");
    }
}
