//! Learning rates: a pure function of the solver's options and the iteration. (`plateau` looks at the loss too.)
//!
//! `POLICIES` lists every `lr_policy`; to add one, write its function and a row. Rates are f32 and equal Caffe's bit for
//! bit, so each function keeps the C++ types of the place it names, fused multiply-adds included.

mod caffe;
mod cycles;
mod cyclical;
mod forks;
mod momentum;
mod one_cycle;
mod options;
mod plateau;
mod ramps;
mod restarts;
mod scale_fn;
mod stages;

pub use cycles::Cycle;
use cyclical::Amplitude;
pub use plateau::Plateau;
use ramps::Ramp;
pub use stages::{CycleReset, LearningRate};

use crate::{
    error::{Error, Result},
    prototxt::suggest,
};

/// What a policy computes from: the solver's options, those of the current stage put over them.
#[derive(Debug, Clone)]
struct Settings {
    /// `lr_policy`.
    lr_policy: String,
    /// `base_lr`, 0 if not given, as in Caffe.
    base_lr: f32,
    /// `max_lr` of the cyclical policies.
    max_lr: Option<f32>,
    /// `min_lr`, below which no rate goes.
    min_lr: Option<f32>,
    /// `stepsize` in iterations; half a cycle for the cyclical policies.
    stepsize: i32,
    /// `start_lr_policy`: the iteration at which a cyclical policy starts.
    start_lr_policy: f32,
    /// `gamma`; Caffe takes 0 if it is not given.
    gamma: Option<f32>,
    /// `power`, 0 if not given, as in Caffe.
    power: f32,
    /// `stepvalue`: the iterations at which `multistep` steps.
    stepvalue: Vec<i32>,
    /// `max_iter`, at which `poly` reaches 0.
    max_iter: i32,
    /// Whether `exp_range` shrinks the amplitude alone (`exp_range_decay: AMPLITUDE`) and not both bounds.
    decay_amplitude: bool,
    /// `scale_fn` of `triangular`.
    amplitude: Option<Amplitude>,
    /// How the rate rises to `base_lr` before the policy takes over.
    ramp: Option<Ramp>,
    /// `period`, `p_mult` and `lr_mult` of `sgdr`.
    period: Option<i32>,
    p_mult: f32,
    lr_mult: f32,
    /// `stagelr` and `stageiter` of `multifixed`.
    stagelr: Vec<f32>,
    stageiter: Vec<i32>,
    /// `plateau_winsize`.
    plateau_winsize: Vec<i32>,
    /// How many times `plateau` has lowered the rate.
    drops: i32,
}

/// One row of the table of policies.
struct Policy {
    /// The name as solver files write it.
    name: &'static str,
    /// The options that must be right for the rate to exist.
    needs: &'static [Need],
    /// The rate at an iteration.
    rate: fn(&Settings, i32) -> f32,
    /// How many steps were taken before an iteration; snapshots hold it.
    steps: fn(&Settings, i32) -> i32,
}

/// All policies, by name.
static POLICIES: &[Policy] = &[
    Policy { name: "fixed", needs: &[], rate: caffe::fixed, steps: no_steps },
    Policy { name: "step", needs: &[Need::Stepsize, Need::Gamma], rate: caffe::step, steps: caffe::whole_steps },
    Policy { name: "exp", needs: &[Need::Gamma], rate: caffe::exp, steps: no_steps },
    Policy { name: "inv", needs: &[Need::Gamma], rate: caffe::inv, steps: no_steps },
    Policy {
        name: "multistep",
        needs: &[Need::Stepvalue, Need::Gamma],
        rate: caffe::multistep,
        steps: caffe::values_passed,
    },
    Policy { name: "poly", needs: &[Need::MaxIter, Need::MinLr], rate: caffe::poly, steps: no_steps },
    Policy { name: "sigmoid", needs: &[Need::Stepsize, Need::Gamma], rate: caffe::sigmoid, steps: no_steps },
    Policy {
        name: "triangular",
        needs: &[Need::Stepsize, Need::MaxLr, Need::Start],
        rate: cyclical::triangular,
        steps: no_steps,
    },
    Policy {
        name: "triangular2",
        needs: &[Need::Stepsize, Need::MaxLr, Need::Start],
        rate: cyclical::triangular2,
        steps: no_steps,
    },
    Policy {
        name: "exp_range",
        needs: &[Need::Stepsize, Need::MaxLr, Need::Start, Need::GivenGamma],
        rate: cyclical::exp_range,
        steps: no_steps,
    },
    Policy {
        name: "decay",
        needs: &[Need::Stepsize, Need::MaxLr, Need::Start],
        rate: cyclical::decay,
        steps: no_steps,
    },
    Policy {
        name: "1cycle",
        needs: &[Need::Stepsize, Need::MaxLr, Need::Start],
        rate: one_cycle::one_cycle,
        steps: no_steps,
    },
    Policy {
        name: "sgdr",
        needs: &[Need::Start, Need::MinLr, Need::Also(restarts::check)],
        rate: restarts::sgdr,
        steps: no_steps,
    },
    Policy {
        name: "multifixed",
        needs: &[Need::Also(forks::check_multifixed)],
        rate: forks::multifixed,
        steps: no_steps,
    },
    Policy {
        name: "plateau",
        needs: &[Need::Gamma, Need::Also(plateau::check)],
        rate: plateau::plateau,
        steps: plateau::drops,
    },
];

fn no_steps(_: &Settings, _: i32) -> i32 {
    0
}

/// An option that a policy cannot do without.
#[derive(Clone, Copy)]
enum Need {
    /// `stepsize` above 0: it divides.
    Stepsize,
    /// `stepvalue`s that increase.
    Stepvalue,
    /// `gamma` of at least 0; if it is not given, 0, as in Caffe.
    Gamma,
    /// `gamma` given.
    GivenGamma,
    /// `max_lr` given.
    MaxLr,
    /// `max_iter` above 0: it divides.
    MaxIter,
    /// `start_lr_policy` that is a number.
    Start,
    /// `min_lr` that is not above `base_lr`.
    MinLr,
    /// What only this policy needs.
    Also(fn(&Settings) -> Result<()>),
}

impl Policy {
    /// The policy that the settings name, if they are right for it.
    fn find(settings: &Settings) -> Result<&'static Policy> {
        let name = &settings.lr_policy;
        let Some(policy) = POLICIES.iter().find(|policy| policy.name == name) else {
            return Err(unknown(name));
        };
        for need in policy.needs {
            need.check(settings)?;
        }
        if settings.amplitude.is_some() && policy.name != "triangular" {
            let message = format!("is for \"triangular\": \"{}\" has a height of its own", policy.name);
            return Err(Error::config("scale_fn", message));
        }
        Ok(policy)
    }

    /// Whether the policy starts at `start_lr_policy`, and so can start again.
    fn restarts(&self) -> bool {
        self.needs.iter().any(|need| matches!(need, Need::Start))
    }
}

fn unknown(name: &str) -> Error {
    let known: Vec<&str> = POLICIES.iter().map(|policy| policy.name).collect();
    let all = known.join(", ");
    if name.is_empty() {
        return Error::config("lr_policy", format!("is missing; there are {all}"));
    }
    let hint = match suggest::nearest(name, known.iter().map(|&name| name.to_owned())) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("there are {all}"),
    };
    Error::config("lr_policy", format!("unknown learning-rate policy \"{name}\"; {hint}"))
}

impl Need {
    fn check(self, settings: &Settings) -> Result<()> {
        let policy = &settings.lr_policy;
        let fail = |field: &str, message: String| Err(Error::config(field, message));
        match self {
            Need::Stepsize if settings.stepsize <= 0 => {
                fail("stepsize", format!("must be at least 1 for \"{policy}\", not {}", settings.stepsize))
            }
            Need::Stepvalue => check_stepvalues(&settings.stepvalue),
            Need::Gamma | Need::GivenGamma if settings.gamma.is_some_and(|gamma| gamma.is_nan() || gamma < 0.0) => {
                fail("gamma", format!("must not be negative, and is {}", settings.gamma.unwrap_or_default()))
            }
            Need::GivenGamma if settings.gamma.is_none() => {
                fail("gamma", format!("is missing: \"{policy}\" multiplies the rate by gamma at each iteration"))
            }
            Need::MaxLr if settings.max_lr.is_none() => {
                fail("max_lr", format!("is missing: \"{policy}\" runs between base_lr and max_lr"))
            }
            Need::MaxIter if settings.max_iter <= 0 => {
                fail("max_iter", format!("must be at least 1: \"{policy}\" reaches 0 there"))
            }
            Need::Start if !settings.start_lr_policy.is_finite() => {
                fail("start_lr_policy", format!("must be an iteration, not {}", settings.start_lr_policy))
            }
            Need::MinLr if settings.min_lr.is_some_and(|min| min > settings.base_lr) => {
                let (min, base) = (settings.min_lr.unwrap_or_default(), settings.base_lr);
                fail("min_lr", format!("must not be above base_lr, and is {min}: \"{policy}\" falls to it from {base}"))
            }
            Need::Also(check) => check(settings),
            _ => Ok(()),
        }
    }
}

fn check_stepvalues(values: &[i32]) -> Result<()> {
    if let Some(&value) = values.iter().find(|&&value| value < 0) {
        return Err(Error::config("stepvalue", format!("must be an iteration, not {value}")));
    }
    match values.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => {
            let message = format!("must increase from one to the next, and {} follows {}", pair[1], pair[0]);
            Err(Error::config("stepvalue", message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
