//! Where records come from: the one interface of all sources, and the choice among them.
//!
//! | `data_param` | source |
//! |---|---|
//! | `source: "FOLDER" backend: LMDB` | the database in the folder ([`lmdb`]) |
//! | `source: "synthetic:shapes/train"` or `"synthetic:shapes/test"` | images made on the spot ([`synthetic`]) |

use std::path::Path;

use super::{Record, lmdb, paths, synthetic};
use crate::{
    error::{Error, Result},
    proto::{DataParameter, data_parameter::Db},
};

/// A source of records in a fixed order, without end: after the last comes the first.
pub trait Source: Send {
    /// The record at the source's place, which then moves on.
    ///
    /// # Errors
    /// When the record cannot be read; the message names the source and the key.
    fn next(&mut self) -> Result<Record<'_>>;

    /// Goes back to the first record.
    fn rewind(&mut self);

    /// The number of records.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn count(&self) -> Result<usize>;

    /// The source as the user names it.
    fn name(&self) -> &str;
}

/// Opens what `data_param` names. `base` is the folder of the file that holds the name ([`paths::resolve`]).
///
/// # Errors
/// When the source is missing or cannot be read.
pub fn open(parameter: &DataParameter, base: Option<&Path>) -> Result<Box<dyn Source>> {
    let name = parameter.source();
    if name.is_empty() {
        return Err(Error::config("data_param.source", "is missing: the name of a database"));
    }
    if name.starts_with(synthetic::PREFIX) {
        return Ok(Box::new(synthetic::Shapes::open(name)?));
    }
    let path = paths::resolve(name, base);
    let is_lmdb = path.join("data.mdb").exists();
    match parameter.backend() {
        Db::Lmdb => Ok(Box::new(lmdb::Cursor::open(name, &path)?)),
        Db::Leveldb if is_lmdb => {
            let message = format!("is LEVELDB, the default, but {name} is an LMDB database: write `backend: LMDB`");
            Err(Error::config("data_param.backend", message))
        }
        Db::Leveldb if !path.exists() => Err(paths::missing(name)),
        Db::Leveldb => {
            let message = "LEVELDB (the default) cannot be read yet; convert the database to LMDB";
            Err(Error::config("data_param.backend", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_error(parameter: &DataParameter) -> String {
        open(parameter, None).err().unwrap().to_string()
    }

    #[test]
    fn the_backend_is_checked_against_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap().to_owned();
        let mut parameter = DataParameter { source: Some(name), ..DataParameter::default() };
        assert!(open_error(&parameter).contains("LEVELDB (the default) cannot be read yet"));
        lmdb::Writer::create(folder.path(), 10).unwrap().finish().unwrap();
        assert!(open_error(&parameter).starts_with("data_param.backend: is LEVELDB, the default, but "));
        parameter.set_backend(Db::Lmdb);
        assert!(open_error(&parameter).contains("no records"));
        assert!(open_error(&DataParameter::default()).starts_with("data_param.source: is missing"));
    }
}
