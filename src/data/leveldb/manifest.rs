//! What a LevelDB database consists of: its tables level by level, and its logs.
//!
//! `CURRENT` names the manifest, a log of changes: files added, files removed. Tables of level 0 may overlap; those of every
//! other level do not. A log holds what is in no table yet.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::log::Records;
use crate::data::record::{chunk, varint};

/// LevelDB's own order of keys, the one that Caffe uses.
const COMPARATOR: &[u8] = b"leveldb.BytewiseComparator";

/// The files of a database.
#[derive(Debug, Default)]
pub struct Files {
    /// Runs of tables: the tables of a run follow one another without overlap.
    pub runs: Vec<Vec<PathBuf>>,
    /// The logs, oldest first.
    pub logs: Vec<PathBuf>,
}

#[derive(Default)]
struct Version {
    tables: Vec<Table>,
    log: u64,
    previous_log: u64,
}

struct Table {
    level: u64,
    number: u64,
    size: u64,
    smallest: Vec<u8>,
}

impl Files {
    /// The files of the database in `folder`.
    ///
    /// # Errors
    /// Says what is missing or damaged.
    pub fn find(folder: &Path) -> Result<Self, String> {
        let current = fs::read_to_string(folder.join("CURRENT")).map_err(|cause| format!("CURRENT: {cause}"))?;
        let name = current.trim_end();
        let manifest = fs::read(folder.join(name)).map_err(|cause| format!("{name}: {cause}"))?;
        let mut version = Version::default();
        for record in Records::new(&manifest) {
            let record = record.map_err(|message| format!("{name}: {message}"))?;
            version.apply(&record).ok_or_else(|| format!("{name} is no manifest, or a table in it has no place"))??;
        }
        let logs = version.logs(folder)?;
        let runs = version.runs(folder)?;
        Ok(Files { runs, logs })
    }
}

impl Version {
    /// Applies one change; nothing when it cannot be read.
    fn apply(&mut self, mut change: &[u8]) -> Option<Result<(), String>> {
        let rest = &mut change;
        while !rest.is_empty() {
            match varint(rest)? {
                1 => {
                    let comparator = chunk(rest)?;
                    if comparator != COMPARATOR {
                        let name = String::from_utf8_lossy(comparator).into_owned();
                        return Some(Err(format!("its keys are in an order of their own, {name:?}")));
                    }
                }
                2 => self.log = varint(rest)?,
                3 | 4 => drop(varint(rest)?),
                5 => {
                    varint(rest)?;
                    chunk(rest)?;
                }
                6 => {
                    let (level, number) = (varint(rest)?, varint(rest)?);
                    self.tables.retain(|table| (table.level, table.number) != (level, number));
                }
                7 => {
                    let [level, number, size] = [varint(rest)?, varint(rest)?, varint(rest)?];
                    let smallest = chunk(rest)?.to_vec();
                    chunk(rest)?;
                    self.tables.push(Table { level, number, size, smallest });
                }
                9 => self.previous_log = varint(rest)?,
                _ => return None,
            }
        }
        Some(Ok(()))
    }

    fn runs(mut self, folder: &Path) -> Result<Vec<Vec<PathBuf>>, String> {
        // The smallest keys of one level's tables differ before their last eight bytes, which are not ordered as bytes are.
        let user_key = |table: &Table| table.smallest[..table.smallest.len().saturating_sub(8)].to_vec();
        self.tables.sort_by_cached_key(|table| (table.level, user_key(table)));
        let mut runs: Vec<(u64, Vec<PathBuf>)> = Vec::new();
        for table in &self.tables {
            let path = table.path(folder)?;
            match runs.last_mut() {
                Some((level, run)) if *level == table.level && table.level > 0 => run.push(path),
                _ => runs.push((table.level, vec![path])),
            }
        }
        Ok(runs.into_iter().map(|(_, run)| run).collect())
    }

    fn logs(&self, folder: &Path) -> Result<Vec<PathBuf>, String> {
        let entries = fs::read_dir(folder).map_err(|cause| cause.to_string())?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut numbers: Vec<(u64, String)> =
            names.filter_map(|name| Some((name.strip_suffix(".log")?.parse().ok()?, name))).collect();
        numbers.retain(|&(number, _)| number >= self.log || number == self.previous_log);
        numbers.sort_unstable();
        Ok(numbers.into_iter().map(|(_, name)| folder.join(name)).collect())
    }
}

impl Table {
    /// Before 2013 LevelDB's tables ended in `.sst`.
    fn path(&self, folder: &Path) -> Result<PathBuf, String> {
        let paths = ["ldb", "sst"].map(|ending| folder.join(format!("{:06}.{ending}", self.number)));
        let [name, _] = paths.each_ref().map(|path| path.file_name().unwrap_or_default().display().to_string());
        let found = paths.into_iter().find_map(|path| Some((fs::metadata(&path).ok()?.len(), path)));
        match found {
            None => Err(format!("{name} is missing; copy or make the database again")),
            Some((length, _)) if length < self.size => {
                let wanted = self.size;
                Err(format!("{name} is cut short: it has {length} bytes of {wanted}; copy or make the database again"))
            }
            Some((_, path)) => Ok(path),
        }
    }
}
