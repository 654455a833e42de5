//! What the user may have meant: the hint at the end of an error about a name.

use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor};

use super::{SOURCE_LINE, forks, lexer::Kind};

/// Messages with at most this many fields, and enums with at most this many values, are listed in full.
const SHORT: usize = 8;

/// The error for a name that is no field of the message.
pub fn for_field(message: &MessageDescriptor, name: &str) -> String {
    let unknown = format!("unknown field \"{name}\" in {}", message.name());
    if let Some(fork) = forks::find(message.name(), name) {
        return format!("{unknown}; it belongs to {fork}, not to Caffe");
    }
    let inside = blocks_with(message, name);
    if !inside.is_empty() {
        return format!("{unknown}; write it inside {}", inside.join(" or "));
    }
    if let Some(near) = nearest(name, fields(message).map(|field| field.name().to_string())) {
        return format!("{unknown}; did you mean \"{near}\"?");
    }
    if let Some(owner) = owner(message, name) {
        return format!(
            "{unknown}; it is a field of {owner}: is a brace missing or misplaced, or is this the wrong file?"
        );
    }
    let known: Vec<String> = fields(message).map(|field| field.name().to_string()).collect();
    if known.len() <= SHORT { format!("{unknown}; its fields are {}", known.join(", ")) } else { unknown }
}

/// The hint for a name or number that is no value of the enum.
pub fn for_choice(choices: &EnumDescriptor, written: &str) -> String {
    match nearest(written, choices.values().map(|value| value.name().to_string())) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("use {}", self::choices(choices)),
    }
}

/// `MAX, AVE or STOCHASTIC`; the first few of a long list.
pub fn choices(choices: &EnumDescriptor) -> String {
    let names: Vec<String> = choices.values().map(|value| value.name().to_string()).collect();
    match names.as_slice() {
        [start @ .., last] if names.len() <= SHORT && !start.is_empty() => format!("{} or {last}", start.join(", ")),
        [only] => only.clone(),
        _ => format!("one of {}, ...", names[..SHORT.min(names.len())].join(", ")),
    }
}

/// The hint for something other than a name or number where an enum's value belongs.
pub fn for_choice_of_other_kind(field: &FieldDescriptor, found: Kind) -> &'static str {
    match (field.parent_message().name(), found) {
        ("V1LayerParameter", Kind::String) => " (a quoted type belongs to \"layer\", not to the older \"layers\")",
        (_, Kind::String) => " without quotes",
        _ => "",
    }
}

/// The hint for something other than a string where one belongs.
pub fn for_string_of_other_kind(field: &FieldDescriptor, found: Kind) -> &'static str {
    match (field.parent_message().name(), field.name(), found) {
        ("LayerParameter", "type", Kind::Name) => {
            " such as \"Convolution\" (an unquoted type belongs to the older \"layers\")"
        }
        _ => "",
    }
}

fn fields(message: &MessageDescriptor) -> impl Iterator<Item = FieldDescriptor> {
    message.fields().filter(|field| field.number() != SOURCE_LINE)
}

/// The blocks of a message that have the field: `convolution_param { }`. At most three; a solver's nets do not count, since
/// a layer in a solver is more often a net given as one.
fn blocks_with(message: &MessageDescriptor, name: &str) -> Vec<String> {
    let has = |field: &FieldDescriptor| {
        let kind = field.kind();
        let inner = kind.as_message().filter(|inner| inner.name() != "NetParameter");
        inner.is_some_and(|inner| fields(inner).any(|field| field.name() == name))
    };
    fields(message).filter(has).take(3).map(|field| format!("{} {{ }}", field.name())).collect()
}

/// Another message that has the field: the solver, the net or the layer, whose fields people most often misplace.
fn owner(message: &MessageDescriptor, name: &str) -> Option<String> {
    let pool = message.parent_pool();
    ["SolverParameter", "NetParameter", "LayerParameter"]
        .into_iter()
        .filter_map(|owner| pool.get_message_by_name(&format!("caffe.{owner}")))
        .find(|owner| fields(owner).any(|field| field.name() == name))
        .map(|owner| owner.name().to_string())
}

/// The known name that takes the fewest changes to reach, if these are few for its length.
pub(crate) fn nearest(written: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let folded = written.to_lowercase();
    // Longer inputs are no misspelling of anything, and comparing them takes time.
    if written.len() > 64 {
        return None;
    }
    let distance = |name: &String| strsim::osa_distance(&folded, &name.to_lowercase());
    let (changes, name) = known.map(|name| (distance(&name), name)).min()?;
    (changes <= (name.len() / 3).max(1)).then_some(name)
}
