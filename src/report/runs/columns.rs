//! The columns of metrics files: their names, and which number of a [`Record`] each holds.
//!
//! A net's outputs have columns of their own names; one whose name is taken has `output_` in front (`output_loss` in training).

use super::Record;

/// A number of a record that has a column.
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Names that other programs give it.
    aliases: &'static [&'static str],
    /// The number.
    pub value: fn(&Record) -> Option<f64>,
    field: fn(&mut Record) -> &mut Option<f64>,
}

macro_rules! column {
    ($name:literal, $field:ident $(, $alias:literal)*) => {
        Column { name: $name, aliases: &[$($alias),*], value: |record| record.$field, field: |record| &mut record.$field }
    };
}

/// The column of the iteration, by its names.
pub const ITERATION: [&str; 3] = ["iteration", "iter", "NumIters"];

/// The columns of a training row, after `iteration`.
pub const TRAIN: &[Column] = &[
    column!("epoch", epoch),
    column!("seconds", seconds, "Seconds"),
    column!("lr", lr, "LearningRate", "learning_rate"),
    column!("momentum", momentum),
    column!("loss", loss),
    column!("smoothed_loss", smoothed_loss),
    column!("images_per_second", images_per_second),
    column!("gradient_norm", gradient_norm),
];

/// The columns of a test row, after `iteration`. `loss` is free for the net's output of that name.
pub const TEST: &[Column] = &[
    column!("epoch", epoch),
    column!("seconds", seconds, "Seconds"),
    column!("lr", lr, "LearningRate", "learning_rate"),
    column!("total_loss", loss),
];

/// The columns of rows of a phase, after `iteration`.
pub fn of_phase(test: bool) -> &'static [Column] {
    if test { TEST } else { TRAIN }
}

/// The column of training with this name.
pub fn column(name: &str) -> Option<&'static Column> {
    TRAIN.iter().find(|column| column.name == name)
}

fn is_taken(name: &str, test: bool) -> bool {
    ["phase", "net"].contains(&name) || ITERATION.contains(&name) || of_phase(test).iter().any(|column| column.is(name))
}

/// The column of an output of the net.
pub fn of_output(name: &str, test: bool) -> String {
    if is_taken(name, test) { format!("output_{name}") } else { name.to_string() }
}

/// Puts the value of a column into a record.
pub fn set(record: &mut Record, test: bool, name: &str, value: f64) {
    match of_phase(test).iter().find(|column| column.is(name)) {
        Some(column) => *(column.field)(record) = Some(value),
        None => {
            let own = name.strip_prefix("output_").filter(|own| is_taken(own, test));
            record.add_output(own.unwrap_or(name), value);
        }
    }
}

impl Column {
    fn is(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_whose_name_is_taken_keeps_its_value() {
        let mut record = Record::default();
        for (name, value) in [("loss", 1.0), (&of_output("loss", false), 2.0), (&of_output("accuracy", false), 3.0)] {
            set(&mut record, false, name, value);
        }
        assert_eq!((record.loss, record.output("loss"), record.output("accuracy")), (Some(1.0), Some(2.0), Some(3.0)));
        assert_eq!((of_output("loss", true), of_output("net", true)), ("loss".into(), "output_net".into()));
    }
}
