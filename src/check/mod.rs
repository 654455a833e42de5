//! What would fail or surprise in a run, found before it: all problems of a solver or net file, not only the first.
//!
//! `recover` reads on behind what does not parse, `survey` builds on behind layers that cannot be; `unread`, `batch_norm` and
//! `data` look for what runs and still surprises; `table` lists what layers cost.

mod batch_norm;
mod data;
mod recover;
mod survey;
mod table;
mod unread;

use std::{fmt, path::Path};

use survey::survey;

use crate::{
    data::paths::resolve,
    error::{Error, Place},
    net::Net,
    proto::{NetParameter, Phase, SolverParameter},
    prototxt::{Document, without},
    solver::{
        Description, Solver,
        schedule::{Advice, Schedule, TrainingSet},
        test_descriptions, training_description,
    },
};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run would fail.
    Error,
    /// It would run, and surprise.
    Warning,
    /// Worth to know.
    Note,
}

/// Something found, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where (file and line, where known), what, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(out, "{severity}: {}", self.text)
    }
}

/// All that was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The problems: errors, warnings, notes.
    pub problems: Vec<Problem>,
    /// What is so, a line each: schedule, epochs, data.
    pub facts: Vec<String>,
    /// What the layers of the training net (of the TEST net where only that was looked at) cost, ready to print.
    pub table: Vec<String>,
}

impl Report {
    /// How many problems of this kind there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    fn add(&mut self, severity: Severity, text: impl fmt::Display) {
        let problem = Problem { severity, text: text.to_string().replace('\n', " ") };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn error(&mut self, error: &Error) {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        self.add(Severity::Error, text);
    }

    fn warn(&mut self, place: &Place, text: impl fmt::Display) {
        self.add(Severity::Warning, format_args!("{place}{text}"));
    }

    fn note(&mut self, place: &Place, text: impl fmt::Display) {
        self.add(Severity::Note, format_args!("{place}{text}"));
    }

    fn sorted(mut self) -> Self {
        self.problems.sort_by_key(|problem| problem.severity);
        self
    }
}

/// What to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Data and weights that are not on this machine are no problem; shapes are taken from what the files tell.
    pub without_data: bool,
}

/// Checks a solver file and the nets that it names; `text` is what the file holds, `file` its name.
///
/// ```
/// use rcaffe::check::{self, Options, Severity};
///
/// let text = r#"
///     net_param {
///       layer { name: "data" type: "Data" top: "data" top: "label"
///         data_param { source: "synthetic:shapes/train" batch_size: 50 } }
///       layer { name: "ip" type: "InnerProduct" bottom: "dta" top: "ip" inner_product_param { num_output: 10 } }
///       layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }
///     }
///     lr_policy: "triangular" base_lr: 0.001 stepsize: 400 max_iter: 800 momentun: 0.9
/// "#;
/// let report = check::solver(text, "solver.prototxt", Options::default());
/// let lines: Vec<String> = report.problems.iter().map(|problem| problem.to_string()).collect();
/// assert_eq!(report.count(Severity::Error), 3);
/// assert!(lines[0].starts_with("error: solver.prototxt:8:"), "{lines:?}");
/// assert!(lines[1].contains("max_lr: is missing"), "{lines:?}");
/// assert!(lines[2].contains("unknown bottom blob \"dta\""), "{lines:?}");
/// ```
pub fn solver(text: &str, file: &str, options: Options) -> Report {
    let mut report = Report::default();
    let Some(mut solver) = recover::solver(text, file, &mut report) else { return report.sorted() };
    let nets = inline_nets(&mut solver, &mut report);
    solver_options(&solver, &mut report);
    unread::solver(&solver, &mut report);
    if !options.without_data {
        weights(&solver, &mut report);
    }
    match training_description(&solver) {
        Ok(described) => {
            let end = crate::solver::end_of(&solver.message);
            let described = nets.named(described, Phase::Train);
            let net = net(&described, options, &mut report);
            batch_norm::check(&described, end, &mut report);
            if let Some(mut net) = net {
                table::fill(&mut net, &mut report);
            }
        }
        Err(error) => report.error(&error),
    }
    match test_descriptions(&solver) {
        Ok(described) => {
            for (described, batches) in described {
                let described = nets.named(described, Phase::Test);
                net(&described, options, &mut report);
                batch_norm::check(&described, None, &mut report);
                data::test_set(&described, batches, &solver, &mut report);
            }
        }
        Err(error) => report.error(&error),
    }
    schedule(&solver, &nets, &mut report);
    report.sorted()
}

/// Checks a net file in both phases, or in that which its `state` says, with each of the stages that its layers ask for.
pub fn model(text: &str, file: &str, options: Options) -> Report {
    let mut report = Report::default();
    let Some(message) = recover::net(text, file, &mut report) else { return report.sorted() };
    let own = message.state.as_ref().filter(|state| state.phase.is_some()).map(|state| state.phase());
    let phases = own.map_or_else(|| vec![Phase::Train, Phase::Test], |phase| vec![phase]);
    let states =
        phases.into_iter().flat_map(|phase| stages_of(&message, phase).into_iter().map(move |stage| (phase, stage)));
    for (phase, stage) in states.collect::<Vec<_>>() {
        let mut message = message.clone();
        let state = message.state.get_or_insert_default();
        state.set_phase(phase);
        state.stage.extend(stage);
        let described = Description { message, file: file.to_owned() };
        let built = net(&described, options, &mut report);
        batch_norm::check(&described, None, &mut report);
        if let (Some(mut net), true) = (built, report.table.is_empty()) {
            table::fill(&mut net, &mut report);
        }
    }
    report.sorted()
}

/// The stages that layers of a phase ask for, one by one; a net whose layers ask for none is looked at without.
fn stages_of(net: &NetParameter, phase: Phase) -> Vec<Option<String>> {
    let rules = net.layer.iter().flat_map(|layer| &layer.include);
    let rules = rules.filter(|rule| rule.phase.is_none_or(|own| own == phase as i32));
    let mut stages: Vec<Option<String>> = rules.flat_map(|rule| rule.stage.iter().cloned().map(Some)).collect();
    stages.dedup();
    if stages.is_empty() { vec![None] } else { stages }
}

/// Everything about one net in one phase; the net, if it can be built.
fn net(described: &Description, options: Options, report: &mut Report) -> Option<Net> {
    unread::net(described, report);
    data::files(described, options, report);
    survey(described, options, report)
}

/// The files that a solver's nets came from, whose messages now stand in the solver itself.
struct Files {
    /// That of `net`.
    both: Option<String>,
    train: Option<String>,
    test: Option<String>,
}

impl Files {
    /// The net with the file that it stands in.
    fn named(&self, described: Description, phase: Phase) -> Description {
        let own = if phase == Phase::Train { &self.train } else { &self.test };
        let file = own.as_ref().or(self.both.as_ref()).cloned();
        Description { file: file.unwrap_or(described.file), ..described }
    }
}

/// Reads the files that `net`, `train_net` and `test_net` name, behind errors too, and puts their messages into the solver.
fn inline_nets(solver: &mut Document<SolverParameter>, report: &mut Report) -> Files {
    let base = Path::new(&solver.file).parent().map(Path::to_path_buf);
    let place = |field: &str| solver.locations.place(field);
    let mut read = |name: &str, field: &str| -> Option<(NetParameter, String)> {
        let path = resolve(name, base.as_deref());
        match std::fs::read_to_string(&path) {
            Ok(text) => Some((recover::net(&text, &path.display().to_string(), report)?, path.display().to_string())),
            Err(cause) => {
                report.error(&Error::io(&path, cause).at(&place(field)));
                None
            }
        }
    };
    let mut files = Files { both: None, train: None, test: None };
    let message = &mut solver.message;
    // A net that cannot be read has been told of: nothing stands in its place.
    let nothing = |name: String| (NetParameter::default(), name);
    // Where a net is named twice, the solver's own check says so.
    if let (None, Some(name)) = (&message.net_param, message.net.clone()) {
        let (net, file) = read(&name, "net").unwrap_or_else(|| nothing(name));
        (message.net, message.net_param, files.both) = (None, Some(net), Some(file));
    }
    if let (None, Some(name)) = (&message.train_net_param, message.train_net.clone()) {
        let (net, file) = read(&name, "train_net").unwrap_or_else(|| nothing(name));
        (message.train_net, message.train_net_param, files.train) = (None, Some(net), Some(file));
    }
    if let [name] = message.test_net.clone().as_slice() {
        let (net, file) = read(name, "test_net").unwrap_or_else(|| nothing(name.clone()));
        message.test_net.clear();
        message.test_net_param.push(net);
        files.test = Some(file);
    }
    files
}

/// The errors in the solver's own options: each time without the field at fault, until no other shows.
fn solver_options(solver: &Document<SolverParameter>, report: &mut Report) {
    let mut rest = solver.clone();
    for _ in 0..20 {
        let errors = Solver::errors(&rest);
        errors.iter().for_each(|error| report.error(error));
        let faults = errors.iter().filter_map(|error| match error {
            Error::Config { field, .. } => rest.locations.line_and_column(field).map(|_| field.clone()),
            _ => None,
        });
        // Without these, others complain that they are missing.
        let faults: Vec<String> = faults.filter(|field| !field.contains(['[', '.']) && field != "lr_policy").collect();
        if faults.is_empty() {
            break;
        }
        let known = report.problems.len();
        for field in &faults {
            rest.message = without(&rest.message, field);
        }
        let again = Solver::errors(&rest);
        let is_new = |error: &&Error| match error {
            Error::Config { field, .. } => !faults.contains(field),
            _ => true,
        };
        again.iter().filter(is_new).for_each(|error| report.error(error));
        if report.problems.len() == known {
            break;
        }
    }
}

/// Weight files that are not there.
fn weights(solver: &Document<SolverParameter>, report: &mut Report) {
    let base = Path::new(&solver.file).parent();
    for name in solver.message.weights.iter().flat_map(|list| list.split(',')).map(str::trim) {
        if !resolve(name, base).exists() {
            let place = solver.locations.place("weights");
            report.add(Severity::Error, format_args!("{place}weights: {name} is not there"));
        }
    }
}

/// The schedule's facts and advice.
fn schedule(solver: &Document<SolverParameter>, nets: &Files, report: &mut Report) {
    let set = training_description(solver).ok().and_then(|described| {
        let described = nets.named(described, Phase::Train);
        TrainingSet::of_net(&described.message, &described.file, &solver.message).ok().flatten()
    });
    match Schedule::of(std::slice::from_ref(solver)) {
        Ok(schedule) => {
            report.facts.extend(schedule.summary(set.as_ref()));
            let place = |advice: &Advice, field: &str| {
                let own = format!("stage[{}].{field}", advice.stage);
                let has_own = solver.locations.line_and_column(&own).is_some();
                solver.locations.place(if has_own { &own } else { field })
            };
            schedule.warnings().iter().for_each(|advice| report.warn(&place(advice, "max_iter"), advice));
            schedule.notes(set.as_ref()).iter().for_each(|advice| report.note(&place(advice, "stepsize"), advice));
        }
        Err(error) => report.error(&error),
    }
}
