//! Update rules: how a gradient and a learning rate change the parameters. One file per rule, one row in the table.

mod sgd;

use crate::{
    error::{Error, Result},
    ops::update::Preparation,
    proto::SolverParameter,
    tensor::{Buffer, Device},
};

/// An update rule with its history.
pub trait UpdateRule: Send {
    /// How many values of history a parameter value has (momentum has one).
    fn histories(&self) -> usize;

    /// Updates one parameter and its history.
    fn update(&self, step: &Step<'_>);
}

/// One parameter's update.
pub struct Step<'a> {
    /// Where it runs.
    pub device: Device,
    /// The parameter.
    pub data: &'a Buffer,
    /// Its gradient; holds the step taken afterwards.
    pub diff: &'a Buffer,
    /// Its history, one buffer for each value of [`UpdateRule::histories`].
    pub history: &'a [Buffer],
    /// What is done to the gradient first.
    pub preparation: Preparation,
    /// The learning rate times the parameter's `lr_mult`.
    pub rate: f32,
    /// The momentum of this iteration.
    pub momentum: f32,
}

type Row = (&'static str, fn(&SolverParameter) -> Result<Box<dyn UpdateRule>>);

/// The rules by the name that `type` gives.
const TABLE: &[Row] = &[("SGD", sgd::new)];

/// The rule that the solver's `type` names.
///
/// # Errors
/// When there is no such rule, or its options cannot be right.
pub fn update_rule(parameter: &SolverParameter) -> Result<Box<dyn UpdateRule>> {
    let name = parameter.r#type();
    match TABLE.iter().find(|(known, _)| *known == name) {
        Some((_, new)) => new(parameter),
        None => {
            let known: Vec<_> = TABLE.iter().map(|(known, _)| *known).collect();
            Err(Error::config("type", format!("unknown solver type {name:?}; this version knows {}", known.join(", "))))
        }
    }
}
