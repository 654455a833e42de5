//! The nets of a solver: one to train, any number to test.

use std::path::Path;

use super::{
    Sources,
    events::{Event, NetSource, Observer},
    tell,
};
use crate::{
    data::paths::resolve,
    error::{Error, Result},
    net::Net,
    proto::{NetParameter, NetState, Phase, SolverParameter},
    prototxt::{Document, read_net},
    rng::SharedRandom,
    snapshot::read_weights,
};

/// A net for test passes, using the training net's weights.
pub(super) struct TestNet {
    pub net: Net,
    /// How many batches a test pass takes.
    pub batches: usize,
}

/// A net as a solver wants it, before it is built: its message, with the state it is to be built in, and its file.
pub(crate) struct Description {
    pub message: NetParameter,
    pub file: String,
}

/// The net that a solver trains.
///
/// # Errors
/// When the solver names none, or its file cannot be read.
pub(crate) fn training_description(document: &Document<SolverParameter>) -> Result<Description> {
    let sources = Sources::of(document);
    let (source, inline) = train_source(&sources)?;
    describe(&sources, source, inline, Phase::Train, document.message.train_state.as_ref())
}

/// The nets that a solver tests, with the number of batches of a test pass.
///
/// # Errors
/// When options do not fit one another, or a file cannot be read.
pub(crate) fn test_descriptions(document: &Document<SolverParameter>) -> Result<Vec<(Description, usize)>> {
    let sources = Sources::of(document);
    let described = test_sources(&sources)?.into_iter().enumerate().map(|(index, (source, inline))| {
        let state = document.message.test_state.get(index);
        let batches = document.message.test_iter[index].max(0) as usize;
        Ok((describe(&sources, source, inline, Phase::Test, state)?, batches))
    });
    described.collect()
}

/// Builds the training net, with the weights that `weights` names.
pub(super) fn train_net(
    sources: &Sources<'_>,
    random: &SharedRandom,
    observers: &mut [Box<dyn Observer>],
) -> Result<Net> {
    let (source, inline) = train_source(sources)?;
    tell(observers, &Event::CreatingTrainNet(source));
    let mut net = build(sources, source, inline, Phase::Train, sources.parameter.train_state.as_ref(), random)?;
    load_weights(&mut net, sources, observers)?;
    Ok(net)
}

fn train_source<'a>(sources: &Sources<'a>) -> Result<Listed<'a>> {
    let parameter = sources.parameter;
    let given: Vec<NetSource<'_>> = [
        parameter.train_net_param.as_ref().map(|_| NetSource::PhaseNetParam),
        parameter.train_net.as_deref().map(NetSource::PhaseNet),
        parameter.net_param.as_ref().map(|_| NetSource::NetParam),
        parameter.net.as_deref().map(NetSource::Net),
    ]
    .into_iter()
    .flatten()
    .collect();
    let &[source] = given.as_slice() else {
        let message =
            if given.is_empty() { "name the net to train" } else { "only one of them may name the net to train" };
        return Err(sources.config("net", format!("{message}: one of net, net_param, train_net, train_net_param")));
    };
    Ok((source, parameter.train_net_param.as_ref().or(parameter.net_param.as_ref())))
}

/// Builds the test nets: first those of `test_net_param`, then those of `test_net`, then, from the training net's source, as
/// many more as `test_iter` has values.
pub(super) fn test_nets(
    sources: &Sources<'_>,
    train: &Net,
    random: &SharedRandom,
    observers: &mut [Box<dyn Observer>],
) -> Result<Vec<TestNet>> {
    let parameter = sources.parameter;
    let listed = test_sources(sources)?;
    let mut nets = Vec::with_capacity(listed.len());
    for (index, (source, inline)) in listed.into_iter().enumerate() {
        tell(observers, &Event::CreatingTestNet(index, source));
        let mut net = build(sources, source, inline, Phase::Test, parameter.test_state.get(index), random)?;
        net.share_weights_with(train)?;
        nets.push(TestNet { net, batches: parameter.test_iter[index].max(0) as usize });
    }
    Ok(nets)
}

type Listed<'a> = (NetSource<'a>, Option<&'a NetParameter>);

fn test_sources<'a>(sources: &Sources<'a>) -> Result<Vec<Listed<'a>>> {
    let parameter = sources.parameter;
    let mut listed: Vec<Listed<'a>> =
        parameter.test_net_param.iter().map(|net| (NetSource::PhaseNetParam, Some(net))).collect();
    listed.extend(parameter.test_net.iter().map(|file| (NetSource::PhaseNet(file.as_str()), None)));
    let (own, wanted) = (listed.len(), parameter.test_iter.len());
    let shared =
        parameter.net.as_deref().map(NetSource::Net).or(parameter.net_param.as_ref().map(|_| NetSource::NetParam));
    let fits = if shared.is_some() { wanted >= own } else { wanted == own };
    if !fits {
        let message = format!("is given {wanted} times for {own} test nets; give the number of batches of each");
        return Err(sources.config("test_iter", message));
    }
    if let Some(source) = shared {
        listed.resize(wanted, (source, parameter.net_param.as_ref()));
    }
    if !parameter.test_state.is_empty() && parameter.test_state.len() != listed.len() {
        let message = format!("is given {} times for {} test nets", parameter.test_state.len(), listed.len());
        return Err(sources.config("test_state", message));
    }
    if !listed.is_empty() && parameter.test_interval() <= 0 {
        let message = "must be at least 1 where there are test nets: the iterations between two test passes";
        return Err(sources.config("test_interval", message));
    }
    if parameter.test_iter.iter().any(|&batches| batches <= 0) {
        return Err(sources.config("test_iter", "must be at least 1: the batches of a test pass"));
    }
    Ok(listed)
}

fn build(
    sources: &Sources<'_>,
    source: NetSource<'_>,
    inline: Option<&NetParameter>,
    phase: Phase,
    state: Option<&NetState>,
    random: &SharedRandom,
) -> Result<Net> {
    let Description { message, file } = describe(sources, source, inline, phase, state)?;
    Net::new(&message, &file, random.clone())
}

/// Reads a net, to be built in the state that its phase, its own `state` and the solver's state make together.
fn describe(
    sources: &Sources<'_>,
    source: NetSource<'_>,
    inline: Option<&NetParameter>,
    phase: Phase,
    state: Option<&NetState>,
) -> Result<Description> {
    let (mut message, file) = match (source, inline) {
        (NetSource::Net(name) | NetSource::PhaseNet(name), _) => {
            let document = read_net(&resolve(name, sources.base)).map_err(|error| {
                error.at(&sources.place(if matches!(source, NetSource::Net(_)) { "net" } else { "train_net" }))
            })?;
            (document.message, document.file)
        }
        (_, Some(inline)) => (inline.clone(), sources.file.to_string()),
        // `inline` is given for every source that is no file.
        (_, None) => unreachable!("an inline net without its message"),
    };
    let mut merged = NetState { phase: Some(phase as i32), ..NetState::default() };
    for state in message.state.iter().chain(state) {
        merge(&mut merged, state);
    }
    message.state = Some(merged);
    Ok(Description { message, file })
}

fn merge(into: &mut NetState, from: &NetState) {
    into.phase = from.phase.or(into.phase);
    into.level = from.level.or(into.level);
    into.stage.extend(from.stage.iter().cloned());
}

fn load_weights(net: &mut Net, sources: &Sources<'_>, observers: &mut [Box<dyn Observer>]) -> Result<()> {
    for name in sources.parameter.weights.iter().flat_map(|list| list.split(',')) {
        let name = name.trim();
        tell(observers, &Event::Finetuning(name));
        let file = resolve(name, sources.base);
        net.copy_weights(&read_weights(&file)?, name)?;
    }
    Ok(())
}

impl Sources<'_> {
    /// An error about a field of the solver file.
    pub(super) fn config(&self, field: &str, message: impl Into<String>) -> Error {
        Error::config(field, message).at(&self.place(field))
    }
}

/// The folder of a file, against which relative paths in it are tried.
pub(super) fn folder_of(file: &str) -> Option<&Path> {
    Path::new(file).parent()
}

/// The iteration that a run ends at: `max_iter`, or the end of the last stage.
pub(crate) fn end_of(parameter: &SolverParameter) -> Option<usize> {
    let stages = parameter.stage.iter().filter_map(|stage| stage.max_iter).max();
    parameter.max_iter.or(stages).map(|end| end.max(0) as usize)
}
