//! Logs: from their lines to a [`Run`].
//!
//! | line | who writes it |
//! |---|---|
//! | `Iteration 20, loss = 2.1`, `Iteration 20, lr = 0.01`, `    Train net output #0: loss = 2.1 (...)` | Caffe since 2014 |
//! | `Iteration 20 (253 iter/s, 0.079s/20 iters), loss = 2.1` | Caffe 1.0, rcaffe |
//! | `    [0] Iteration 20 (25 iter/s, 0.7s/20 iter), 1.5/12ep, loss = 2.1`, `..., lr = 0.01, m = 0.9, ...` | NVIDIA's Caffe |
//! | `Iteration 20, lr = 0.01, momentum = 0.9, weight decay = 0.0001` | Smith's Caffe, rcaffe |
//! | `Iteration 25, Testing net (#0)`, `    Test net output #0: accuracy = 0.25`, `Test loss: 2.0` | Caffe since 2014 |
//! | `Testing net`, `Test score #0: 0.25` | Caffe of 2013 |
//!
//! Where iterations begin again at an earlier one, the run was resumed there: what came after it is forgotten.

use super::{
    Record, Run,
    line::{Clock, Stamp, count_after, number_after, output, split},
};

/// What the lines hold that are read. The time between them and the next start is no time of the run.
const WORDS: [&str; 5] = ["Iteration ", " net output #", "Testing net", "Test score #", "Test loss: "];

/// Reads a log. It has no records when the text is none.
pub fn read(text: &str) -> Run {
    let mut reader = Reader::default();
    // A line that is still being written says nothing certain.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().for_each(|line| reader.line(line));
    reader.finish()
}

#[derive(Default)]
struct Reader {
    run: Run,
    timer: Timer,
    /// The last iteration that a line named.
    iteration: u64,
    /// The solver's text, while its lines come.
    solver: Option<String>,
    solvers: Vec<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let (stamp, message) = split(line);
        if self.solver_line(stamp.is_some(), message) {
            return;
        }
        let solving = message.contains("Solving ");
        if !solving && !WORDS.iter().any(|word| message.contains(word)) {
            return;
        }
        let seconds = stamp.map(|stamp| self.timer.seconds(stamp, solving));
        if let Some(iteration) = count_after(message, "Iteration ") {
            self.iteration = iteration;
        }
        if message.contains("Testing net") {
            self.begin_test(count_after(message, "(#").unwrap_or(0) as usize, seconds);
        } else if message.contains("Iteration ") {
            self.iteration_line(message, seconds);
        } else {
            self.value_line(message, seconds);
        }
    }

    /// Collects the solver's text, which stands in lines without a prefix. Says whether the line is part of it.
    fn solver_line(&mut self, prefixed: bool, message: &str) -> bool {
        if message.contains("Initializing solver from parameters") {
            self.solver = Some(String::new());
            return true;
        }
        let Some(text) = &mut self.solver else { return false };
        if !prefixed && !message.starts_with("Creating train") {
            *text += message;
            text.push('\n');
            return true;
        }
        let text = self.solver.take().unwrap_or_default();
        if !text.trim().is_empty() && !self.solvers.contains(&text) {
            self.solvers.push(text);
        }
        false
    }

    fn iteration_line(&mut self, message: &str, seconds: Option<f64>) {
        if let Some(loss) = number_after(message, "loss = ") {
            let record = self.begin_iteration(seconds);
            record.smoothed_loss = Some(loss);
            record.epoch = number_after(message, "), ").filter(|_| message.contains("ep, "));
        } else if let Some(rate) = number_after(message, ", lr = ") {
            let momentum = number_after(message, ", momentum = ").or_else(|| number_after(message, ", m = "));
            if let Some(record) = self.iteration_with_rate(seconds) {
                record.lr = Some(rate);
                record.momentum = momentum;
            }
        }
    }

    /// Lines that belong to the iteration or test begun before.
    fn value_line(&mut self, message: &str, seconds: Option<f64>) {
        if let Some((name, value)) = output(message, "Train net output #") {
            if let Some(record) = self.run.train.last_mut() {
                record.add_output(name, value);
            }
            return;
        }
        let Some(record) = self.run.test.last_mut() else { return };
        let score = || {
            let number = count_after(message, "Test score #")?;
            Some((format!("score {number}"), number_after(message, ": ")?))
        };
        if let Some((name, value)) = output(message, "Test net output #") {
            record.add_output(name, value);
            record.seconds = seconds.or(record.seconds);
        } else if let Some(loss) = number_after(message, "Test loss: ") {
            record.loss = Some(loss);
        } else if let Some((name, value)) = score() {
            record.add_output(&name, value);
            record.seconds = seconds.or(record.seconds);
        }
    }

    /// The record of the present iteration, which begins with its loss.
    fn begin_iteration(&mut self, seconds: Option<f64>) -> &mut Record {
        let iteration = self.iteration;
        let run = &mut self.run;
        if run.train.last().is_some_and(|last| last.iteration > iteration) {
            run.train.retain(|record| record.iteration <= iteration);
            run.test.retain(|record| record.iteration <= iteration);
        }
        if run.train.last().is_none_or(|last| last.iteration != iteration) {
            run.train.push(Record { iteration, ..Record::default() });
        }
        let last = run.train.len() - 1;
        let record = &mut run.train[last];
        // The outputs of the same iteration before a resume, which come again.
        record.outputs.clear();
        record.seconds = seconds;
        record
    }

    /// The record that a learning rate belongs to. It comes behind the loss, in 2014 before it; NVIDIA's Caffe names the last
    /// iteration of a run one higher in the line of the loss.
    fn iteration_with_rate(&mut self, seconds: Option<f64>) -> Option<&mut Record> {
        let (iteration, train) = (self.iteration, &mut self.run.train);
        if train.last().is_none_or(|last| last.iteration < iteration) {
            train.push(Record { iteration, seconds, ..Record::default() });
        }
        train.last_mut().filter(|last| last.iteration == iteration || last.iteration == iteration + 1)
    }

    fn begin_test(&mut self, net: usize, seconds: Option<f64>) {
        let (iteration, run) = (self.iteration, &mut self.run);
        let again =
            |record: &Record| record.iteration > iteration || record.iteration == iteration && record.net >= net;
        if run.test.iter().any(again) {
            run.test.retain(|record| !again(record));
            run.train.retain(|record| record.iteration < iteration);
        }
        run.test.push(Record { iteration, net, seconds, ..Record::default() });
    }

    fn finish(mut self) -> Run {
        // The values of a test that was stopped, or goes on, are not there.
        self.run.test.retain(|record| record.loss.is_some() || !record.outputs.is_empty());
        if !self.solvers.is_empty() {
            self.run.solver_text = Some(self.solvers.join("\n"));
        }
        let averaged =
            self.solvers.iter().filter_map(|text| count_after(text, "average_loss: ")).any(|window| window > 1);
        if !averaged {
            self.run.train.iter_mut().for_each(|record| record.loss = record.smoothed_loss);
        }
        self.run
    }
}

/// The time that a run has taken: what lies between a stop and the next start does not count.
#[derive(Default)]
struct Timer {
    clock: Clock,
    /// The reading at the start, less what was run before.
    zero: Option<i64>,
    last: i64,
}

impl Timer {
    /// Seconds of running at this line; a line may say that the run begins, or goes on, with it.
    fn seconds(&mut self, stamp: Stamp, begins: bool) -> f64 {
        let now = self.clock.micros(stamp);
        let zero = match self.zero {
            Some(zero) if begins => now - (self.last - zero),
            Some(zero) => zero,
            None => now,
        };
        (self.zero, self.last) = (Some(zero), now);
        (now - zero) as f64 / 1e6
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
