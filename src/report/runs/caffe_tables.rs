//! The tables of Caffe's `tools/extra/parse_log.py`, with its columns and its rules.
//!
//! A row collects the outputs of one iteration; it is complete when it has as many columns as the first row. `Seconds` counts from the
//! line with `Solving`. `LearningRate` is the one that a line named last, which for a training row is that of the row before:
//! Caffe prints outputs before rates. The first row takes the rate of the second.
//!
//! Where Caffe's script fails or forgets, this one does not: a log of one row keeps it, `nan` and `inf` are values, a log need not hold
//! `Solving` or prefixes (`Seconds` is `nan` without them), the prefix may have a year.

use super::line::{Clock, count_after, number_after, output, split};

/// A row: column names and values, in order.
pub type Row = Vec<(String, f64)>;

/// The tables of a log.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Tables {
    /// A row for each displayed iteration.
    pub train: Vec<Row>,
    /// A row for each test.
    pub test: Vec<Row>,
}

impl Tables {
    /// Reads a log.
    ///
    /// ```
    /// use rcaffe::report::runs::caffe_tables::{Tables, csv};
    ///
    /// let log = "I1121 20:48:31.000000 9 solver.cpp:289] Solving net\n\
    ///            I1121 20:48:32.500000 9 solver.cpp:258] Iteration 0, loss = 2\n\
    ///            I1121 20:48:32.500000 9 solver.cpp:258]     Train net output #0: loss = 2\n\
    ///            I1121 20:48:32.500000 9 sgd_solver.cpp:105] Iteration 0, lr = 0.01\n\
    ///            I1121 20:48:34.000000 9 solver.cpp:258] Iteration 20, loss = 1.5\n\
    ///            I1121 20:48:34.000000 9 solver.cpp:258]     Train net output #0: loss = 1.5\n";
    /// let tables = Tables::of_log(log);
    /// assert_eq!(csv(&tables.train), "NumIters,Seconds,LearningRate,loss\r\n0.0,1.5,0.01,2.0\r\n20.0,3.0,0.01,1.5\r\n");
    /// assert!(tables.test.is_empty());
    /// ```
    pub fn of_log(text: &str) -> Tables {
        let mut reader = Reader::default();
        let begin = text.lines().position(|line| line.contains("Solving")).unwrap_or(0);
        let has_times = text.lines().any(|line| split(line).0.is_some());
        for (number, line) in text.lines().enumerate().skip(begin) {
            reader.line(line, has_times, number == begin);
        }
        Tables { train: reader.train.finish(), test: reader.test.finish() }
    }
}

struct Reader {
    clock: Clock,
    start: Option<i64>,
    iteration: Option<u64>,
    learning_rate: f64,
    train: Builder,
    test: Builder,
}

impl Default for Reader {
    fn default() -> Self {
        let (train, test) = (Builder::default(), Builder::default());
        Reader { clock: Clock::default(), start: None, iteration: None, learning_rate: f64::NAN, train, test }
    }
}

impl Reader {
    fn line(&mut self, line: &str, has_times: bool, first: bool) {
        let now = split(line).0.map(|stamp| self.clock.micros(stamp));
        self.start = self.start.or(now);
        self.iteration = count_after(line, "Iteration ").or(self.iteration);
        let Some(iteration) = self.iteration.filter(|_| now.is_some() || !has_times) else { return };
        if first && line.contains("Solving") {
            return;
        }
        let seconds = now.zip(self.start).map_or(f64::NAN, |(now, start)| (now - start) as f64 / 1e6);
        self.learning_rate = number_after(line, "lr = ").unwrap_or(self.learning_rate);
        let begin = [("NumIters", iteration as f64), ("Seconds", seconds), ("LearningRate", self.learning_rate)];
        self.train.take(output(line, "Train net output #"), begin);
        self.test.take(output(line, "Test net output #"), begin);
    }
}

#[derive(Default)]
struct Builder {
    rows: Vec<Row>,
    row: Option<Row>,
}

impl Builder {
    /// Takes the output of a line, if it has one, into the row of its iteration.
    fn take(&mut self, output: Option<(&str, f64)>, begin: [(&str, f64); 3]) {
        let Some((name, value)) = output else { return };
        if let Some(row) = self.row.take_if(|row| row[0].1 != begin[0].1) {
            self.rows.push(row);
        }
        let row = self.row.get_or_insert_with(|| begin.map(|(name, value)| (name.to_string(), value)).to_vec());
        match row.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => row.push((name.to_string(), value)),
        }
        if self.rows.first().is_some_and(|first| first.len() == row.len()) {
            self.rows.extend(self.row.take());
        }
    }

    fn finish(mut self) -> Vec<Row> {
        if self.rows.is_empty() {
            self.rows.extend(self.row);
        }
        if let [first, second, ..] = &mut self.rows[..] {
            first[2].1 = second[2].1;
        }
        self.rows
    }
}

/// A table as the script writes it: the first line names the columns, lines end in CR LF, numbers are as Python prints them.
pub fn csv(rows: &[Row]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let mut text = columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",") + "\r\n";
    for row in rows {
        let cell = |name: &&str| {
            row.iter().find(|(known, _)| known == name).map_or(String::new(), |(_, value)| python(*value))
        };
        text += &columns.iter().map(cell).collect::<Vec<_>>().join(",");
        text += "\r\n";
    }
    text
}

/// A name as a cell of a csv file.
pub(in crate::report) fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\r', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_string() }
}

/// A number as Python prints it: the shortest digits that give it back, 16 digits before an exponent is used.
pub fn python(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "nan".into() } else { format!("{value}") };
    }
    let size = value.abs();
    if value == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |exponent| ("-", exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_python_prints_them() {
        let pairs = [
            (0.0, "0.0"),
            (20.0, "20.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.25e-7, "1.25e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-2.5e120, "-2.5e+120"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in pairs {
            assert_eq!(python(value), text);
        }
    }

    #[test]
    fn logs_that_the_script_cannot_read() {
        let log = "Iteration 0, loss = 2\n    Train net output #0: loss = nan\nIteration 0, lr = 0.5\n";
        let tables = Tables::of_log(log);
        assert_eq!(csv(&tables.train), "NumIters,Seconds,LearningRate,loss\r\n0.0,nan,nan,nan\r\n");
        assert_eq!(Tables::of_log(""), Tables::default());
        assert_eq!(Tables::of_log("Solving"), Tables::default());
    }

    #[test]
    fn rows_with_other_columns_leave_cells_empty() {
        let row = |names: &[&str]| names.iter().map(|name| (name.to_string(), 1.0)).collect::<Row>();
        assert_eq!(csv(&[row(&["a"]), row(&["a", "b,c"])]), "a,\"b,c\"\r\n1.0,\r\n1.0,1.0\r\n");
    }
}
