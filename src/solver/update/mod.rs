//! Update rules: how a gradient and a learning rate change the parameters. One file per rule, one row in the table.
//!
//! A rule reads and checks its options once; before each iteration it says what [`crate::ops::update`] is to compute.

mod ada_delta;
mod ada_grad;
mod adam;
mod nesterov;
mod rms_prop;
mod sgd;

use crate::{
    error::{Error, Result},
    ops::update::Rule,
    proto::SolverParameter,
    prototxt::suggest,
};

/// An update rule with its options.
pub trait UpdateRule: Send {
    /// What to compute at this iteration (counted from 0), whose momentum is given.
    fn rule(&self, iteration: usize, momentum: f32) -> Rule;
}

type Row = (&'static str, fn(&SolverParameter) -> Result<Box<dyn UpdateRule>>);

/// The rules by the name that `type` gives.
const TABLE: &[Row] = &[
    ("SGD", sgd::new),
    ("Nesterov", nesterov::new),
    ("AdaGrad", ada_grad::new),
    ("RMSProp", rms_prop::new),
    ("AdaDelta", ada_delta::new),
    ("Adam", adam::new),
];

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
            let hint = match suggest::nearest(name, known.iter().map(|name| name.to_string())) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("there are {}", known.join(", ")),
            };
            Err(Error::config("type", format!("unknown solver type {name:?}; {hint}")))
        }
    }
}

/// For rules without momentum: Caffe refuses it too.
fn refuse_momentum(parameter: &SolverParameter) -> Result<()> {
    let staged = parameter.stage.iter().filter_map(|stage| stage.momentum);
    if let Some(momentum) = staged.chain(parameter.momentum).find(|&momentum| momentum != 0.0) {
        let message = format!("is {momentum}, but {} has no momentum: remove it", parameter.r#type());
        return Err(Error::config("momentum", message));
    }
    let staged = parameter.stage.iter().any(|stage| !stage.cyclical_momentum.is_empty());
    let cyclical = staged || !parameter.cyclical_momentum.is_empty();
    for (field, given) in [("cyclical_momentum", cyclical), ("momentum_policy", parameter.momentum_policy() != "fixed")]
    {
        if given {
            let message = format!("is given, but {} has no momentum: remove it", parameter.r#type());
            return Err(Error::config(field, message));
        }
    }
    Ok(())
}

/// `delta`, which keeps from dividing by 0.
fn delta(parameter: &SolverParameter) -> Result<f32> {
    match parameter.delta() {
        delta if delta >= 0.0 => Ok(delta),
        delta => Err(Error::config("delta", format!("must be a number from 0 up, not {delta}"))),
    }
}

/// A factor that says how much of a mean is kept, from 0 up to but not 1.
fn kept(field: &str, value: f32) -> Result<f32> {
    if (0.0..1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::config(field, format!("must be at least 0 and below 1, not {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(change: impl FnOnce(&mut SolverParameter)) -> String {
        let mut parameter = SolverParameter::default();
        change(&mut parameter);
        update_rule(&parameter).err().expect("the options are wrong").to_string()
    }

    fn named(name: &str) -> SolverParameter {
        SolverParameter { r#type: Some(name.into()), ..Default::default() }
    }

    #[test]
    fn every_rule_has_the_histories_of_caffes() {
        let histories = |name: &str| update_rule(&named(name)).unwrap().rule(0, 0.9).histories();
        let counts: Vec<usize> = TABLE.iter().map(|(name, _)| histories(name)).collect();
        assert_eq!(counts, [1, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn restrictions_are_those_of_caffe() {
        for name in ["AdaGrad", "RMSProp"] {
            let message = error(|parameter| *parameter = SolverParameter { momentum: Some(0.9), ..named(name) });
            assert_eq!(message, format!("momentum: is 0.9, but {name} has no momentum: remove it"));
        }
        for decay in [1.0, -0.1, f32::NAN] {
            let message =
                error(|parameter| *parameter = SolverParameter { rms_decay: Some(decay), ..named("RMSProp") });
            assert!(message.starts_with("rms_decay: must be at least 0 and below 1"), "{message}");
        }
        let message = error(|parameter| *parameter = SolverParameter { momentum2: Some(1.0), ..named("Adam") });
        assert!(message.starts_with("momentum2: "), "{message}");
        let message = error(|parameter| *parameter = SolverParameter { delta: Some(-1.0), ..named("Adam") });
        assert!(message.starts_with("delta: "), "{message}");
    }

    #[test]
    fn a_name_that_is_none_is_corrected() {
        assert!(error(|parameter| *parameter = named("adam")).ends_with("did you mean \"Adam\"?"));
        assert!(error(|parameter| *parameter = named("LBFGS")).contains("SGD, Nesterov, AdaGrad"));
    }
}
