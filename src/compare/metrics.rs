//! Metrics: column by column, over the iterations that both files have.

use std::{collections::BTreeMap, path::Path};

use super::{
    Difference, What,
    values::{self, Scale},
};
use crate::{
    error::Result,
    report::runs::{Record, Run, columns},
};

/// Columns that differ from run to run of the same solver.
const TIMES: [&str; 2] = ["seconds", "images_per_second"];

type Rows<'a> = BTreeMap<u64, &'a Record>;

/// Compares two files; returns the number of columns, and those that differ.
pub fn compare(first: &Path, second: &Path) -> Result<(usize, Vec<Difference>)> {
    let (first, second) = (Run::read(first)?, Run::read(second)?);
    let mut compared = (0, Vec::new());
    phase("train", false, &rows(&first.train, 0), &rows(&second.train, 0), &mut compared);
    let nets = first.test.iter().chain(&second.test).map(|record| record.net + 1).max().unwrap_or(0);
    for net in 0..nets {
        let name = if net == 0 { "test".to_string() } else { format!("test#{net}") };
        phase(&name, true, &rows(&first.test, net), &rows(&second.test, net), &mut compared);
    }
    Ok(compared)
}

fn rows(records: &[Record], net: usize) -> Rows<'_> {
    records.iter().filter(|record| record.net == net).map(|record| (record.iteration, record)).collect()
}

fn phase(name: &str, test: bool, first: &Rows<'_>, second: &Rows<'_>, compared: &mut (usize, Vec<Difference>)) {
    let (count, differences) = compared;
    for (rows, others, what) in [(first, second, What::OnlyInFirst), (second, first, What::OnlyInSecond)] {
        let mut alone = rows.keys().filter(|iteration| !others.contains_key(iteration));
        if let Some(iteration) = alone.next() {
            let place = format!("{name}: {} rows, the first at iteration {iteration}", alone.count() + 1);
            differences.push(Difference { place, what });
        }
    }
    let common: Vec<(u64, &Record, &Record)> =
        first.iter().filter_map(|(iteration, record)| Some((*iteration, *record, *second.get(iteration)?))).collect();
    let own = columns::of_phase(test).iter().filter(|column| !TIMES.contains(&column.name));
    let own = own.map(|column| (column.name.to_string(), column.value));
    for (column, value) in own {
        let pairs = common.iter().map(|(iteration, a, b)| (*iteration, value(a), value(b)));
        one(format!("{name} {column}"), pairs.collect(), count, differences);
    }
    let mut outputs: Vec<&str> = Vec::new();
    for (output, _) in common.iter().flat_map(|(_, a, b)| a.outputs.iter().chain(&b.outputs)) {
        if !outputs.contains(&output.as_str()) {
            outputs.push(output);
        }
    }
    for output in outputs {
        let pairs = common.iter().map(|(iteration, a, b)| (*iteration, a.output(output), b.output(output)));
        one(format!("{name} output {output}"), pairs.collect(), count, differences);
    }
}

/// Compares a column, where it has numbers.
fn one(
    place: String,
    pairs: Vec<(u64, Option<f64>, Option<f64>)>,
    count: &mut usize,
    differences: &mut Vec<Difference>,
) {
    if pairs.iter().all(|(_, a, b)| a.is_none() && b.is_none()) {
        return;
    }
    *count += 1;
    let what = if pairs.iter().all(|pair| pair.1.is_none()) {
        Some(What::OnlyInSecond)
    } else if pairs.iter().all(|pair| pair.2.is_none()) {
        Some(What::OnlyInFirst)
    } else {
        // An empty cell beside a number differs from it as NaN does.
        let numbers = pairs.iter().map(|(_, a, b)| (a.unwrap_or(f64::NAN), b.unwrap_or(f64::NAN)));
        let values = values::compare(numbers, Scale::Own, |index| format!("iteration {}", pairs[index].0));
        values.map(|values| What::Values(values, None))
    };
    differences.extend(what.map(|what| Difference { place, what }));
}
