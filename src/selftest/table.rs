//! The lines of the table of ops.

use super::check::{Outcome, Timing};
use crate::ops::peak::Peak;

/// The names of the columns.
pub fn head() -> String {
    format!(
        "{:<14} {:<28} {:>5} {:>9} {:>10} {:>8} {:>9} {:>8}",
        "family", "op", "cases", "error", "time", "GB/s", "TFLOP/s", "of peak"
    )
}

/// An op's line.
pub fn row(family: &str, op: &str, outcome: &Outcome, peaks: Option<Peak>) -> String {
    let error = if !outcome.failures.is_empty() {
        "FAILED".to_string()
    } else if outcome.worst == 0.0 {
        "0".to_string()
    } else {
        format!("{:.1e}", outcome.worst)
    };
    let speed = outcome.time.map_or_else(String::new, |time| speed(time, peaks));
    format!("{family:<14} {op:<28} {:>5} {error:>9}{speed}", outcome.comparisons)
}

fn speed(time: Timing, peaks: Option<Peak>) -> String {
    let bandwidth = time.bytes as f64 / time.seconds;
    let arithmetic = time.operations as f64 / time.seconds;
    // Whichever the op comes closer to is what it could be bound by.
    let part = peaks.map_or(f64::NAN, |peaks| (bandwidth / peaks.bytes).max(arithmetic / peaks.operations));
    format!(
        " {:>7.1} µs {:>8.1} {:>9.2} {:>7.0}%",
        1e6 * time.seconds,
        bandwidth / 1e9,
        arithmetic / 1e12,
        100.0 * part
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_below_their_heads() {
        let time = Some(Timing { seconds: 1e-3, bytes: 2_000_000_000, operations: 1_000_000_000 });
        let outcome = Outcome { comparisons: 24, worst: 1.5e-7, time, failures: Vec::new() };
        let peaks = Peak { bytes: 4e12, operations: 1e13 };
        let row = row("conv", "forward", &outcome, Some(peaks));
        assert_eq!(row.chars().count(), head().chars().count());
        assert!(row.ends_with("24    1.5e-7  1000.0 µs   2000.0      1.00      50%"), "{row}");
    }
}
