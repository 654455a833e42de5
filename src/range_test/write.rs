//! Suggestions put into a solver: the lines to paste, and a file with them in place.

use super::suggest::Bounds;
use crate::{
    error::{Error, Result},
    proto::SolverParameter,
    prototxt::{Document, number::general, parse_solver},
    solver::{end_of, lr::LearningRate},
};

/// Policies that take both bounds.
const CYCLICAL: [&str; 5] = ["triangular", "triangular2", "exp_range", "1cycle", "decay"];
/// Epochs of half a cycle where the solver has none: the paper advises two to ten.
const STEPSIZE_IN_EPOCHS: f64 = 4.0;

/// The lines that give a solver these bounds, to be pasted into it: `base_lr` and `max_lr`, in two digits, and where its policy
/// knows no `max_lr`, `triangular2` with a `stepsize` that ends the last cycle with the training. `epoch` is that in iterations.
pub fn lines(solver: &Document<SolverParameter>, bounds: &Bounds, epoch: Option<f64>) -> String {
    let fields = fields(&solver.message, bounds, epoch);
    fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

fn fields(solver: &SolverParameter, bounds: &Bounds, epoch: Option<f64>) -> Vec<(&'static str, String)> {
    let [base, max] = [bounds.base_lr, bounds.max_lr].map(two_digits);
    let mut fields = vec![("base_lr", base), ("max_lr", max)];
    if !is_cyclical(solver) {
        fields.push(("lr_policy", "\"triangular2\"".into()));
        if let Some(end) = end_of(solver).filter(|&end| end > 1) {
            fields.push(("stepsize", stepsize(end, epoch).to_string()));
        }
    }
    fields
}

fn is_cyclical(solver: &SolverParameter) -> bool {
    let stage = solver.stage.first().and_then(|stage| stage.lr_policy.as_deref());
    CYCLICAL.contains(&stage.unwrap_or(solver.lr_policy()))
}

/// Half a cycle of about four epochs, so that whole cycles fill the run; three cycles where epochs are not known.
fn stepsize(end: usize, epoch: Option<f64>) -> usize {
    let cycles = epoch.map_or(3.0, |epoch| (end as f64 / (2.0 * STEPSIZE_IN_EPOCHS * epoch)).round().max(1.0));
    ((end as f64 / (2.0 * cycles)).round() as usize).max(1)
}

fn two_digits(rate: f64) -> String {
    general(rate, 2)
}

/// The text of a solver file with these bounds in place of its own, all else as it stands, comments too. The later stages of a
/// staged schedule keep their proportion to the first.
///
/// # Errors
/// When the solver has stages whose policy knows no `max_lr`, or a field cannot be replaced where it stands.
pub fn written(text: &str, solver: &Document<SolverParameter>, bounds: &Bounds, epoch: Option<f64>) -> Result<String> {
    let lines = text.lines().map(str::to_owned).collect();
    let mut edited = Text { lines, solver, changes: Vec::new(), behind: Vec::new() };
    let message = &solver.message;
    if message.stage.is_empty() {
        for (name, value) in fields(message, bounds, epoch) {
            edited.set(name, value);
        }
    } else if is_cyclical(message) {
        edited.set_stages(bounds);
    } else {
        let error = "has stages of a policy without max_lr; paste the suggested lines by hand";
        return Err(Error::config("--write", error).at(&solver.locations.place("stage")));
    }
    let text = edited.finish()?;
    let again = parse_solver(&text, &solver.file)?;
    LearningRate::new(&again.message)?;
    Ok(text)
}

/// The lines of a file, to be changed in place.
struct Text<'a> {
    lines: Vec<String>,
    solver: &'a Document<SolverParameter>,
    /// Where a field's name stands, the field, its new value.
    changes: Vec<((usize, usize), &'static str, String)>,
    /// Lines to add at the end.
    behind: Vec<String>,
}

impl Text<'_> {
    fn set(&mut self, name: &'static str, value: String) {
        match self.solver.locations.line_and_column(name) {
            Some(place) => self.changes.push((place, name, value)),
            None => self.behind.push(format!("{name}: {value}")),
        }
    }

    /// Gives each stage the bounds, those of later stages in the proportion that they had to those of the first.
    fn set_stages(&mut self, bounds: &Bounds) {
        let (message, locations) = (&self.solver.message, &self.solver.locations);
        let base_of = |stage: usize| message.stage[stage].base_lr.unwrap_or(message.base_lr());
        let max_of = |stage: usize| message.stage[stage].max_lr.or(message.max_lr).unwrap_or_default();
        for stage in 0..message.stage.len() {
            for (field, new, old, first) in [
                ("base_lr", bounds.base_lr, base_of(stage), base_of(0)),
                ("max_lr", bounds.max_lr, max_of(stage), max_of(0)),
            ] {
                let part = if first > 0.0 { f64::from(old) / f64::from(first) } else { 1.0 };
                // What a stage leaves to the solver is changed once.
                let of_solver = locations.line_and_column(field).filter(|_| stage == 0);
                let place = locations.line_and_column(&format!("stage[{stage}].{field}")).or(of_solver);
                self.changes.extend(place.map(|place| (place, field, two_digits(new * part))));
            }
        }
    }

    /// Replaces the value of the field whose name stands at a line and column.
    fn replace(&mut self, name: &str, (line, column): (usize, usize), value: &str) -> Result<()> {
        let text = &self.lines[line - 1];
        let begin: usize = text.chars().take(column - 1).map(char::len_utf8).sum();
        let colon = begin + name.len();
        let rest = text[colon..].trim_start();
        let Some(old) = rest.strip_prefix(':').map(str::trim_start).filter(|old| !old.is_empty()) else {
            let message = "its value is not on the line of its name; paste the suggested lines by hand";
            return Err(Error::config(name, message).at(&self.solver.locations.place(name)));
        };
        let start = text.len() - old.len();
        let length = match old.strip_prefix(['"', '\'']) {
            Some(inside) => inside.find(['"', '\'']).map_or(old.len(), |end| end + 2),
            None => old.find(|c: char| c.is_whitespace() || ",;}#".contains(c)).unwrap_or(old.len()),
        };
        let new = format!("{}{value}{}", &text[..start], &text[start + length..]);
        self.lines[line - 1] = new;
        Ok(())
    }

    /// The text with all changes, those further along first: they move what stands behind them.
    fn finish(mut self) -> Result<String> {
        let mut changes = std::mem::take(&mut self.changes);
        changes.sort_by_key(|&(place, ..)| std::cmp::Reverse(place));
        for (place, field, value) in changes {
            self.replace(field, place, &value)?;
        }
        Ok(self.lines.into_iter().chain(self.behind).map(|line| line + "\n").collect())
    }
}
