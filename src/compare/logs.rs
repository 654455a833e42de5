//! Logs: line by line, those lines that say what a run did.
//!
//! Compared are the lines of iterations, outputs, learning rates, tests, snapshots, and of a run's beginning and end, in their order,
//! without glog's prefix, speeds and file names. The words must be the same; the numbers decide against the tolerance.

use std::{fs, path::Path};

use super::{
    Difference, What,
    values::{self, Scale},
};
use crate::{
    error::{Error, Result},
    report::runs::message_of,
};

/// Compares two logs; returns the number of lines, and those that differ.
pub fn compare(first: &Path, second: &Path) -> Result<(usize, Vec<Difference>)> {
    let (first, second) = (read(first)?, read(second)?);
    let count = first.len().max(second.len());
    let differences = (0..count).filter_map(|index| difference(first.get(index), second.get(index)));
    Ok((count, differences.collect()))
}

/// A line to be compared.
struct Line {
    /// Counted from 1.
    number: usize,
    text: String,
    /// The text with `#` for each number.
    words: String,
    numbers: Vec<f64>,
}

fn read(path: &Path) -> Result<Vec<Line>> {
    let bytes = fs::read(path).map_err(|cause| Error::io(path, cause))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<Line> = (1..).zip(text.lines()).filter_map(|(number, line)| Line::of(number, line)).collect();
    if lines.is_empty() {
        let message = "holds no line of a run (`Iteration 0, loss = ...`, `Test net output #0: ...`): is it a log?";
        return Err(Error::data(path.display().to_string(), message));
    }
    Ok(lines)
}

fn difference(first: Option<&Line>, second: Option<&Line>) -> Option<Difference> {
    let (a, b) = match (first, second) {
        (Some(a), Some(b)) => (a, b),
        (Some(a), None) => return Some(Difference { place: a.place(), what: What::OnlyInFirst }),
        (None, Some(b)) => return Some(Difference { place: b.place(), what: What::OnlyInSecond }),
        (None, None) => return None,
    };
    let place = if a.number == b.number {
        format!("line {}", a.number)
    } else {
        format!("lines {} and {}", a.number, b.number)
    };
    if a.words != b.words {
        return Some(Difference { place, what: What::Form(a.text.clone(), b.text.clone()) });
    }
    let pairs = a.numbers.iter().copied().zip(b.numbers.iter().copied());
    let values = values::compare(pairs, Scale::Own, |index| format!("number {}", index + 1))?;
    Some(Difference { place, what: What::Values(values, Some((a.text.clone(), b.text.clone()))) })
}

impl Line {
    /// The line, if it says what a run did.
    fn of(number: usize, line: &str) -> Option<Line> {
        let message = message_of(line);
        if !tells(message) {
            return None;
        }
        let text = without_files(&without_speed(message)).trim_end().to_string();
        let (words, numbers) = split(&text);
        Some(Line { number, text, words, numbers })
    }

    fn place(&self) -> String {
        format!("line {}: {}", self.number, self.text)
    }
}

fn tells(message: &str) -> bool {
    const WORDS: [&str; 9] = [
        "Solving ",
        "Learning Rate Policy",
        "Train net output",
        "Test net output",
        "Test loss",
        "Snapshotting",
        "Optimization",
        "Restoring",
        "Resuming",
    ];
    let digit = |rest: &str| rest.starts_with(|letter: char| letter.is_ascii_digit());
    WORDS.iter().any(|word| message.contains(word)) || message.split("Iteration ").skip(1).any(digit)
}

/// ` (253.165 iter/s, 0.079s/20 iters)` becomes ` (20 iters)`.
fn without_speed(message: &str) -> String {
    let parts = || {
        let (before, rest) = message.split_once(" (")?;
        let (speed, after) = rest.split_once(')')?;
        let (_, iterations) = speed.split_once(" iter/s, ")?.1.split_once("s/")?;
        Some(format!("{before} ({iterations}){after}"))
    };
    parts().unwrap_or_else(|| message.to_string())
}

/// `Snapshotting to binary proto file FILE`, `Resuming from FILE`.
fn without_files(message: &str) -> String {
    let mut words: Vec<&str> = message.split(' ').collect();
    for place in 1..words.len() {
        let names_file =
            words[place - 1] == "from" || words[place - 1] == "file" && message.starts_with("Snapshotting");
        if names_file && !words[place].is_empty() {
            words[place] = "FILE";
        }
    }
    words.join(" ")
}

/// A line's words, with `#` for each number, and its numbers.
fn split(text: &str) -> (String, Vec<f64>) {
    let (mut words, mut numbers) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match number_length(rest) {
            0 => letter.len_utf8(),
            length => length,
        };
        match rest[..length].parse::<f64>() {
            Ok(number) => {
                words.push('#');
                numbers.push(number);
            }
            Err(_) => words += &rest[..length],
        }
        rest = &rest[length..];
    }
    (words, numbers)
}

/// How many bytes of a text are a number (`-1.5e-05`, `.5`, `nan`, `inf`); 0 when it does not begin with one.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let whole = digits(sign);
    let mut end = sign + whole;
    if bytes.get(end) == Some(&b'.') && (whole > 0 || digits(end + 1) > 0) {
        end += 1 + digits(end + 1);
    }
    if end == sign {
        let word = &text[sign..];
        return if word.starts_with("nan") || word.starts_with("inf") { sign + 3 } else { 0 };
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        match digits(end + 1 + sign) {
            0 => {}
            exponent => end += 1 + sign + exponent,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_and_numbers_of_a_line() {
        let (words, numbers) = split("Iteration 20 (20 iters), loss = -2.5e-05 conv1 .5 1. é nan -inf -x");
        assert_eq!(words, "Iteration # (# iters), loss = # conv# # # é # # -x");
        assert_eq!(numbers[..6], [20.0, 20.0, -2.5e-5, 1.0, 0.5, 1.0]);
        assert!(numbers[6].is_nan() && numbers[7] == f64::NEG_INFINITY);
    }

    #[test]
    fn speeds_and_files_do_not_count() {
        let text = |line| Line::of(1, line).map(|line| line.text);
        let prefix = "I1121 20:48:31.435794 12949 solver.cpp:239] ";
        let line = format!("{prefix}Iteration 20 (253.165 iter/s, 0.079s/20 iters), loss = 2.1");
        assert_eq!(text(&line), Some("Iteration 20 (20 iters), loss = 2.1".into()));
        let line = format!("{prefix}Snapshotting solver state to binary proto file a/b_iter_50.solverstate");
        assert_eq!(text(&line), Some("Snapshotting solver state to binary proto file FILE".into()));
        assert_eq!(text("Resuming from runs/x.solverstate"), Some("Resuming from FILE".into()));
        assert_eq!(text("Iteration of something"), None);
    }

    proptest! {
        #[test]
        fn any_line_is_split(line in any::<String>(), numbers in "[-+.0-9einaf# ]{0,20}") {
            for text in [line, numbers] {
                Line::of(1, &text);
                let (words, numbers) = split(&text);
                prop_assert!(words.matches('#').count() >= numbers.len());
            }
        }
    }
}
