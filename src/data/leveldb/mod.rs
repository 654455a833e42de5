//! LevelDB databases as Caffe writes them: keys in the order of their bytes, blocks plain or compressed by Snappy.
//!
//! This reads and nothing else: no lock is taken and no file is touched, so a database on a read-only disk can be read, by any
//! number of nets at once; it must not be changed meanwhile. LevelDB itself sorts its files anew when it opens a database; here
//! the tables and logs stay as they are, and a walk merges them. All checksums are verified.

mod log;
mod manifest;
mod merge;
mod table;

use std::path::{Path, PathBuf};

use ::log::info;
use manifest::Files;
use merge::Merge;

use super::{Position, Record, Source, paths, record::in_source};
use crate::error::{Error, Result};

/// A cursor on a database: its records in the order of their keys, over and over.
pub struct Cursor {
    merge: Merge,
    name: String,
    folder: PathBuf,
    place: usize,
    rounds: usize,
}

/// Whether the folder holds a LevelDB database.
pub fn is_leveldb(folder: &Path) -> bool {
    folder.join("CURRENT").exists()
}

impl Cursor {
    /// Opens the database in `folder`, which messages call `name`.
    ///
    /// # Errors
    /// When there is none, it is damaged or empty.
    pub fn open(name: &str, folder: &Path) -> Result<Self> {
        if !folder.exists() {
            return Err(paths::missing(name));
        }
        if !is_leveldb(folder) {
            return Err(Error::data(name, "is not a LevelDB database: there is no CURRENT in it"));
        }
        let mut cursor = Cursor {
            merge: open_merge(name, folder)?,
            name: name.to_owned(),
            folder: folder.to_owned(),
            place: 0,
            rounds: 0,
        };
        cursor.advance()?;
        cursor.rewind();
        info!("Opened leveldb {name}");
        Ok(cursor)
    }

    /// Goes to the next entry, or from the last to the first.
    fn advance(&mut self) -> Result<()> {
        let Cursor { merge, name, place, rounds, .. } = self;
        let mut step = || -> Result<bool, String> {
            *place += 1;
            if merge.advance()? {
                return Ok(true);
            }
            merge.rewind();
            (*place, *rounds) = (1, *rounds + 1);
            merge.advance()
        };
        match step() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::data(&*name, "the database holds no records")),
            Err(message) => Err(damaged(name, &message)),
        }
    }
}

fn open_merge(name: &str, folder: &Path) -> Result<Merge> {
    Files::find(folder).and_then(Merge::new).map_err(|message| damaged(name, &message))
}

fn damaged(name: &str, message: &str) -> Error {
    Error::data(name, format!("the database cannot be read: {message}"))
}

impl Source for Cursor {
    fn next(&mut self) -> Result<Record<'_>> {
        self.advance()?;
        let (key, value) = self.merge.entry().unwrap_or_default();
        Record::parse(key, value).map_err(|error| in_source(error, &self.name))
    }

    fn rewind(&mut self) {
        self.merge.rewind();
        (self.place, self.rounds) = (0, 0);
    }

    /// Reads the whole database: LevelDB keeps no count.
    fn count(&self) -> Result<usize> {
        let mut merge = open_merge(&self.name, &self.folder)?;
        let mut count = 0;
        while merge.advance().map_err(|message| damaged(&self.name, &message))? {
            count += 1;
        }
        Ok(count)
    }

    fn position(&self) -> Position {
        Position { place: self.place, rounds: self.rounds, shuffle_seed: None }
    }

    /// Walks there: LevelDB keeps no count.
    fn seek(&mut self, position: Position) -> Result<()> {
        let mut merge = open_merge(&self.name, &self.folder)?;
        for place in 0..position.place {
            if !merge.advance().map_err(|message| damaged(&self.name, &message))? {
                position.check(place, &self.name)?;
            }
        }
        (self.merge, self.place, self.rounds) = (merge, position.place, position.rounds);
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests;
