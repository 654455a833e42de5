//! Where the fields of a message stand in its file, for errors found after reading.

use prost_reflect::MessageDescriptor;

use super::lexer::Position;
use crate::error::Place;

/// The places of a document's fields, looked up by path: `stepsize`, `stage[1].max_iter`.
///
/// The default knows no file: a message made in memory has no places.
#[derive(Debug, Clone, Default)]
pub struct Locations {
    file: Option<String>,
    message: Option<MessageDescriptor>,
    fields: Fields,
}

/// The fields of one message in the order of the text.
pub(super) type Fields = Vec<Field>;

/// One occurrence of a field.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// The field's number.
    pub number: u32,
    /// Which of a repeated field's elements it is.
    pub index: u32,
    /// Where its name stands.
    pub position: Position,
    /// The fields inside, if it is a message.
    pub inside: Fields,
}

impl Locations {
    pub(super) fn new(file: &str, message: MessageDescriptor, fields: Fields) -> Self {
        Locations { file: Some(file.to_string()), message: Some(message), fields }
    }

    /// Line and column of a field, both counted from 1. `None` if the text does not have it.
    ///
    /// A repeated field without an index means its first element.
    pub fn line_and_column(&self, path: &str) -> Option<(usize, usize)> {
        let (field, exact) = self.find(path)?;
        exact.then_some((field.position.line as usize, field.position.column as usize))
    }

    /// The place to blame for a field: its own line, else that of the innermost message around it, else the file.
    pub fn place(&self, path: &str) -> Place {
        let line = self.find(path).map(|(field, _)| field.position.line as usize);
        Place { file: self.file.clone(), line, layer: None }
    }

    /// The field named by the longest part of the path that the text has, and whether that is the whole path.
    fn find(&self, path: &str) -> Option<(&Field, bool)> {
        let mut message = self.message.clone()?;
        let mut fields = &self.fields;
        let mut found = None;
        for step in path.split('.') {
            let (name, index) = split_index(step);
            let next = message.get_field_by_name(name).and_then(|descriptor| {
                let matches = |field: &&Field| field.number == descriptor.number() && field.index == index;
                Some((descriptor.kind(), fields.iter().find(matches)?))
            });
            let Some((kind, field)) = next else { return found.map(|field| (field, false)) };
            found = Some(field);
            fields = &field.inside;
            if let Some(inner) = kind.as_message() {
                message = inner.clone();
            }
        }
        found.map(|field| (field, true))
    }
}

/// `stage[1]` → (`stage`, 1); without an index 0.
fn split_index(step: &str) -> (&str, u32) {
    let indexed = step.strip_suffix(']').and_then(|step| step.split_once('['));
    indexed.and_then(|(name, index)| Some((name, index.parse().ok()?))).unwrap_or((step, 0))
}
