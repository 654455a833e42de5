//! Where records come from: the one interface of all sources, and the choice among them.
//!
//! | `data_param` | source |
//! |---|---|
//! | `source: "FOLDER" backend: LMDB` | the database in the folder ([`lmdb`]) |
//! | `source: "FOLDER" backend: LEVELDB` | the database in the folder ([`leveldb`]) |
//! | `source: "synthetic:shapes/train"` or `"synthetic:shapes/test"` | images made on the spot ([`synthetic`]) |

use std::path::Path;

use super::{Record, leveldb, lmdb, paths, synthetic};
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

    /// The number of records; a source may have to read all of them.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn count(&self) -> Result<usize>;

    /// How often the source has gone from the last record back to the first since it was opened or rewound.
    fn rounds(&self) -> usize;

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
    let (is_lmdb, is_leveldb) = (path.join("data.mdb").exists(), leveldb::is_leveldb(&path));
    match parameter.backend() {
        Db::Lmdb if is_leveldb && !is_lmdb => {
            let message = format!("is LMDB, but {name} is a LevelDB database: write `backend: LEVELDB`");
            Err(Error::config("data_param.backend", message))
        }
        Db::Leveldb if is_lmdb && !is_leveldb => {
            let message = format!("is LEVELDB, the default, but {name} is an LMDB database: write `backend: LMDB`");
            Err(Error::config("data_param.backend", message))
        }
        Db::Lmdb => Ok(Box::new(lmdb::Cursor::open(name, &path)?)),
        Db::Leveldb => Ok(Box::new(leveldb::Cursor::open(name, &path)?)),
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
        assert!(open_error(&parameter).ends_with("is not a LevelDB database: there is no CURRENT in it"));
        lmdb::Writer::create(folder.path(), 10).unwrap().finish().unwrap();
        assert!(open_error(&parameter).starts_with("data_param.backend: is LEVELDB, the default, but "));
        parameter.set_backend(Db::Lmdb);
        assert!(open_error(&parameter).contains("no records"));
        parameter.source = Some("tests/golden/db/leveldb_raw".into());
        assert!(open_error(&parameter).ends_with("is a LevelDB database: write `backend: LEVELDB`"));
        assert!(open_error(&DataParameter::default()).starts_with("data_param.source: is missing"));
    }
}
