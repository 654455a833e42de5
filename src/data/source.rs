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

/// Where a source stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Records handed out since the source began anew.
    pub place: usize,
    /// How often it has gone from the last record back to the first since it was opened or rewound.
    pub rounds: usize,
    /// The seed of its shuffles, if it is shuffled.
    pub shuffle_seed: Option<u32>,
}

impl Position {
    /// Checks that a source of `count` records can stand here.
    ///
    /// # Errors
    /// When it has fewer; the message names the source.
    pub fn check(&self, count: usize, name: &str) -> Result<()> {
        if self.place <= count {
            return Ok(());
        }
        let message =
            format!("has {count} records, the snapshot was made behind number {}: it is not the same", self.place);
        Err(Error::data(name, message))
    }
}

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

    /// The number of records, if it is known without reading them.
    fn known_count(&self) -> Option<usize> {
        None
    }

    /// Where the source stands.
    fn position(&self) -> Position;

    /// Goes to where such a source stood.
    ///
    /// # Errors
    /// When this source cannot stand there; it stays where it is then, unless it cannot be read any more.
    fn seek(&mut self, position: Position) -> Result<()>;

    /// How often the source has gone from the last record back to the first since it was opened or rewound.
    fn rounds(&self) -> usize {
        self.position().rounds
    }

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
