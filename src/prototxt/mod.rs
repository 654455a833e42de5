//! Caffe's text format: text to messages and back, upgrades of old formats.
//!
//! [`read_solver`] and [`read_net`] read a file as Caffe does: parsed, then brought to today's form whatever version of Caffe
//! it was written for. [`Document`] keeps where every field stood, for errors that are found later.

mod escape;
pub(crate) mod forks;
mod lexer;
mod locations;
pub mod number;
mod parser;
mod print;
pub(crate) mod suggest;
mod upgrade;
mod value;

use std::{fs, path::Path, sync::LazyLock};

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

pub use locations::Locations;
pub use upgrade::upgrade_net;

use crate::{
    Error, Result,
    proto::{DESCRIPTORS, NetParameter, SolverParameter},
};

/// The number of the field `source_line`, which the reader fills and the printer leaves out.
const SOURCE_LINE: u32 = 1099;

/// A message with the file it was read from.
#[derive(Debug, Clone)]
pub struct Document<T> {
    /// What the file says, upgraded to today's form.
    pub message: T,
    /// The file as the user named it.
    pub file: String,
    /// Where its fields stand, by their path in the text as written (before upgrades).
    pub locations: Locations,
}

/// Reads a solver from a file and upgrades it.
///
/// Without `snapshot_prefix`, snapshots go beside the solver under its name; in a folder, they take the solver's name:
///
/// | solver | `snapshot_prefix` | becomes |
/// |---|---|---|
/// | `solvers/lenet.prototxt` | | `solvers/lenet` |
/// | `solvers/lenet.prototxt` | `out`, a folder | `out/lenet` |
/// | `solvers/lenet.prototxt` | `out/lenet` | `out/lenet` |
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, else as [`parse_solver`].
pub fn read_solver(path: &Path) -> Result<Document<SolverParameter>> {
    let mut document = parse_solver(read(path)?, &path.display().to_string())?;
    upgrade::snapshot_prefix(&mut document.message, path);
    Ok(document)
}

/// Reads a net from a file and upgrades it.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, else as [`parse_net`].
pub fn read_net(path: &Path) -> Result<Document<NetParameter>> {
    parse_net(read(path)?, &path.display().to_string())
}

/// Reads a solver from a text and upgrades it, except that a missing `snapshot_prefix` stays so; `file` names it in errors.
///
/// # Errors
///
/// [`Error::Parse`] if the text is no solver, [`Error::Config`] if it mixes old and new forms in a way Caffe refuses.
pub fn parse_solver(text: impl AsRef<[u8]>, file: &str) -> Result<Document<SolverParameter>> {
    let mut document = parse(text, file)?;
    let locations = &document.locations;
    upgrade::upgrade_solver(&mut document.message, file).map_err(|error| error.at(&locations.place("solver_type")))?;
    Ok(document)
}

/// Reads a net from a text and upgrades it; `file` names it in errors.
///
/// # Errors
///
/// [`Error::Parse`] if the text is no net, [`Error::Config`] if it mixes old and new forms in a way Caffe refuses.
pub fn parse_net(text: impl AsRef<[u8]>, file: &str) -> Result<Document<NetParameter>> {
    let mut document = parse(text, file)?;
    upgrade_net(&mut document.message, file)?;
    Ok(document)
}

/// Reads any message from a text, with no upgrade.
///
/// # Errors
///
/// [`Error::Parse`] for the first thing in the text that protobuf's own reader refuses.
pub fn parse<T: Message + Name + Default>(text: impl AsRef<[u8]>, file: &str) -> Result<Document<T>> {
    let descriptor = descriptor::<T>();
    let (dynamic, fields) = parser::parse(text.as_ref(), file, descriptor.clone())?;
    Ok(Document {
        message: to_typed(&dynamic),
        file: file.to_string(),
        locations: Locations::new(file, descriptor, fields),
    })
}

/// A net as Caffe's log and its upgrade tools print it, with a line break at the end.
pub fn print_net(net: &NetParameter) -> String {
    print(net)
}

/// A solver as Caffe's log and its upgrade tools print it, with a line break at the end.
pub fn print_solver(solver: &SolverParameter) -> String {
    print(solver)
}

/// Any message as protobuf's C++ library prints it. The lines that the reader noted in layers are left out.
pub fn print<T: Message + Name>(message: &T) -> String {
    let mut text = String::new();
    print::fields(&to_dynamic(message), 0, &mut text);
    text
}

/// Removes the lines that the reader noted in layers, for a net that is to be written or compared.
pub fn clear_source_lines(net: &mut NetParameter) {
    net.layer.iter_mut().for_each(|layer| layer.source_line = None);
    net.layers.iter_mut().for_each(|layer| layer.source_line = None);
}

/// The message without what a field holds; the same where there is no such field.
pub(crate) fn without<T: Message + Name + Default>(message: &T, field: &str) -> T {
    let mut dynamic = to_dynamic(message);
    dynamic.clear_field_by_name(field);
    to_typed(&dynamic)
}

/// The names of the fields that a message holds.
pub(crate) fn given<T: Message + Name>(message: &T) -> Vec<String> {
    to_dynamic(message).fields().map(|(field, _)| field.name().to_owned()).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|cause| Error::io(path, cause))
}

fn to_dynamic<T: Message + Name>(message: &T) -> DynamicMessage {
    let mut dynamic = DynamicMessage::new(descriptor::<T>());
    dynamic.transcode_from(message).expect("a message encodes to what its own descriptor decodes");
    dynamic
}

fn to_typed<T: Message + Name + Default>(dynamic: &DynamicMessage) -> T {
    dynamic.transcode_to().expect("a message encodes to what its own type decodes")
}

fn descriptor<T: Name>() -> MessageDescriptor {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("descriptors are compiled in by build.rs"));
    POOL.get_message_by_name(&T::full_name()).expect("every message type of the crate is in its descriptors")
}

#[cfg(test)]
mod tests;
