//! Caffe's text format: text to messages and back, upgrades of old formats.
//!
//! [`read_solver`] and [`read_net`] read a file as Caffe does: parsed, then brought to today's form whatever version of Caffe
//! it was written for. [`Document`] keeps where every field stood, for errors that are found later.

#[allow(dead_code)] // `quote` is for the printer, next to come
mod escape;
mod forks;
mod lexer;
mod locations;
mod parser;
pub(crate) mod suggest;
mod value;

use std::{fs, path::Path, sync::LazyLock};

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, MessageDescriptor};

pub use locations::Locations;

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
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, else as [`parse_solver`].
pub fn read_solver(path: &Path) -> Result<Document<SolverParameter>> {
    parse_solver(read(path)?, &path.display().to_string())
}

/// Reads a net from a file and upgrades it.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, else as [`parse_net`].
pub fn read_net(path: &Path) -> Result<Document<NetParameter>> {
    parse_net(read(path)?, &path.display().to_string())
}

/// Reads a solver from a text; `file` names it in errors.
///
/// # Errors
///
/// [`Error::Parse`] if the text is no solver, [`Error::Config`] if it mixes old and new forms in a way Caffe refuses.
pub fn parse_solver(text: impl AsRef<[u8]>, file: &str) -> Result<Document<SolverParameter>> {
    parse(text, file)
}

/// Reads a net from a text; `file` names it in errors.
///
/// # Errors
///
/// [`Error::Parse`] if the text is no net, [`Error::Config`] if it mixes old and new forms in a way Caffe refuses.
pub fn parse_net(text: impl AsRef<[u8]>, file: &str) -> Result<Document<NetParameter>> {
    parse(text, file)
}

/// Reads any message from a text, with no upgrade.
///
/// # Errors
///
/// [`Error::Parse`] for the first thing in the text that protobuf's own reader refuses.
pub fn parse<T: Message + Name + Default>(text: impl AsRef<[u8]>, file: &str) -> Result<Document<T>> {
    let descriptor = descriptor::<T>();
    let (dynamic, fields) = parser::parse(text.as_ref(), file, descriptor.clone())?;
    let message = dynamic.transcode_to().expect("a message encodes to what its own type decodes");
    Ok(Document { message, file: file.to_string(), locations: Locations::new(file, descriptor, fields) })
}

/// Removes the lines that the reader noted in layers, for a net that is to be written or compared.
pub fn clear_source_lines(net: &mut NetParameter) {
    net.layer.iter_mut().for_each(|layer| layer.source_line = None);
    net.layers.iter_mut().for_each(|layer| layer.source_line = None);
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|cause| Error::io(path, cause))
}

fn descriptor<T: Name>() -> MessageDescriptor {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("descriptors are compiled in by build.rs"));
    POOL.get_message_by_name(&T::full_name()).expect("every message type of the crate is in its descriptors")
}

#[cfg(test)]
mod tests;
pub fn print_net(_: &crate::proto::NetParameter) -> String {
    String::new()
}
pub fn print_solver(_: &crate::proto::SolverParameter) -> String {
    String::new()
}
pub fn upgrade_net(_: &mut crate::proto::NetParameter, _: &str) -> crate::Result<()> {
    Ok(())
}
