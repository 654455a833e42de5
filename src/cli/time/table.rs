//! The layers' speed beside that of the machine.

use std::time::Duration;

use log::info;

use super::passes::{Passes, median, milliseconds};
use crate::{
    error::Result,
    net::{Cost, LayerCost, Net},
    ops::peak::Peak,
};

/// Prints the table, and what whole iterations took.
///
/// # Errors
/// None: counting cannot fail.
pub fn print(net: &mut Net, passes: &Passes) -> Result<()> {
    let names: Vec<String> = net.layer_names().map(String::from).collect();
    let costs = (0..names.len()).map(|layer| net.layer_cost(layer)).collect::<Result<Vec<_>>>()?;
    let peak = Peak::measure(net.device());
    let (product, copy) = (peak.operations / 1e9, peak.bytes / 1e9);
    info!("Peak: {product:.1} GFLOP/s (matrix product in f32), {copy:.1} GB/s (copy)");
    info!("Median time and speed of each layer:");
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(ALL.len());
    info!("{:width$}{}{}", "layer", heading("forward"), heading("backward"));
    let mut all = [Measured::default(); 2];
    for ((name, &LayerCost { forward, backward }), times) in
        names.iter().zip(&costs).zip(passes.forward.iter().zip(&passes.backward))
    {
        let layer = [Measured::new(times.0, forward), Measured::new(times.1, backward)];
        info!("{name:width$}{}{}", layer[0].columns(peak), layer[1].columns(peak));
        all = [all[0].and(layer[0]), all[1].and(layer[1])];
    }
    info!("{ALL:width$}{}{}", all[0].columns(peak), all[1].columns(peak));
    print_iterations(&passes.iterations(), all, peak);
    Ok(())
}

const ALL: &str = "all layers";

fn print_iterations(times: &[Duration], all: [Measured; 2], peak: Peak) {
    let [forward, backward] = all.map(|direction| direction.cost.operations as f64);
    let floor = (forward + backward) / peak.operations * 1e3;
    info!("Work: {:.3} GFLOP forward, {:.3} GFLOP backward; {floor:.3} ms at the peak", forward / 1e9, backward / 1e9);
    let (median, minimum) = (median(times), milliseconds(times.iter().copied().min().unwrap_or_default()));
    let share = 100.0 * floor / median;
    info!("Iteration: median {median:.3} ms, minimum {minimum:.3} ms; at the peak {share:.1} % of the median");
}

/// One direction of a layer, or of all.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    milliseconds: f64,
    cost: Cost,
}

/// The widths of the columns of one direction.
const WIDTHS: [usize; 4] = [13, 9, 8, 8];

fn heading(direction: &str) -> String {
    row([format!("{direction} ms"), "GFLOP/s".into(), "% peak".into(), "GB/s".into()])
}

fn row(columns: [String; 4]) -> String {
    columns.iter().zip(WIDTHS).map(|(text, width)| format!("{text:>width$}")).collect()
}

impl Measured {
    fn new(times: &[Duration], cost: Cost) -> Self {
        Measured { milliseconds: median(times), cost }
    }

    fn and(self, other: Measured) -> Self {
        let operations = self.cost.operations + other.cost.operations;
        let cost = Cost { operations, bytes: self.cost.bytes + other.cost.bytes };
        Measured { milliseconds: self.milliseconds + other.milliseconds, cost }
    }

    fn columns(self, peak: Peak) -> String {
        let per_second = |count: u64| (count > 0).then(|| count as f64 / (self.milliseconds / 1e3));
        let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.1}"));
        let operations = per_second(self.cost.operations);
        row([
            format!("{:.3}", self.milliseconds),
            number(operations.map(|speed| speed / 1e9)),
            number(operations.map(|speed| 100.0 * speed / peak.operations)),
            number(per_second(self.cost.bytes).map(|speed| speed / 1e9)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_speed_and_share_of_the_peak() {
        let peak = Peak { operations: 200e9, bytes: 20e9 };
        let times = [4, 1, 2].map(Duration::from_millis);
        let layer = Measured::new(&times, Cost { operations: 100_000_000, bytes: 8_000_000 });
        assert_eq!(layer.columns(peak).split_whitespace().collect::<Vec<_>>(), ["2.000", "50.0", "25.0", "4.0"]);
        let both = layer.and(Measured::new(&times[..2], Cost::default())).columns(peak);
        assert_eq!(both.split_whitespace().next(), Some("4.500"));
        let nothing = Measured::new(&times, Cost::default()).columns(peak);
        assert_eq!(nothing.split_whitespace().collect::<Vec<_>>(), ["2.000", "-", "-", "-"]);
    }
}
