//! The entries of all runs of a database as one list in the order of keys, with the newest value of each key.
//!
//! A key is followed by eight bytes: its sequence number and whether it is a value (1) or a deletion (0). Of one key's entries
//! the one with the highest number counts.

use std::{cmp::Reverse, fs, path::Path};

use super::{log::Records, manifest::Files, table::Run};
use crate::data::record::{chunk, take, varint};

/// A key as LevelDB stores it, and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// A walk through the database.
pub struct Merge {
    sources: Sources,
    /// The source of the present entry.
    present: Option<Origin>,
    /// The last key that was seen.
    key: Vec<u8>,
    started: bool,
}

/// Sorted lists of entries, each with a place in it.
struct Sources {
    /// What the logs hold.
    recent: Vec<Entry>,
    place: usize,
    runs: Vec<Run>,
}

#[derive(Clone, Copy)]
enum Origin {
    Recent,
    Run(usize),
}

impl Merge {
    /// The walk that stands before the first entry.
    ///
    /// # Errors
    /// Says which log is damaged.
    pub fn new(files: Files) -> Result<Self, String> {
        let mut recent = Vec::new();
        for path in &files.logs {
            let name = || path.file_name().unwrap_or_default().display();
            read_log(path, &mut recent).map_err(|message| format!("{}: {message}", name()))?;
        }
        recent.sort_by(|(one, _), (other, _)| order(one).cmp(&order(other)));
        let sources = Sources { recent, place: 0, runs: files.runs.into_iter().map(Run::new).collect() };
        Ok(Merge { sources, present: None, key: Vec::new(), started: false })
    }

    /// Goes back before the first entry.
    pub fn rewind(&mut self) {
        self.sources.place = 0;
        self.sources.runs.iter_mut().for_each(Run::rewind);
        (self.present, self.started) = (None, false);
    }

    /// Goes to the next key that has a value; false behind the last.
    ///
    /// # Errors
    /// Says which file is damaged, and how.
    pub fn advance(&mut self) -> Result<bool, String> {
        let Merge { sources, present, key, started } = self;
        if !*started {
            sources.runs.iter_mut().try_for_each(Run::advance)?;
        }
        loop {
            if let Some(origin) = present.take() {
                sources.advance(origin)?;
            }
            let Some((origin, stored)) = sources.least() else { return Ok(false) };
            *present = Some(origin);
            let (found, Reverse(tag)) = order(stored);
            let is_new = !*started || found != key;
            *started = true;
            if is_new {
                key.clear();
                key.extend_from_slice(found);
                if tag & 0xff == 1 {
                    return Ok(true);
                }
            }
        }
    }

    /// The present entry: key and value.
    pub fn entry(&self) -> Option<(&[u8], &[u8])> {
        let (_, value) = self.sources.entry(self.present?)?;
        Some((&self.key, value))
    }
}

impl Sources {
    fn entry(&self, origin: Origin) -> Option<(&[u8], &[u8])> {
        match origin {
            Origin::Recent => self.recent.get(self.place).map(|(key, value)| (key.as_slice(), value.as_slice())),
            Origin::Run(index) => self.runs[index].entry(),
        }
    }

    fn advance(&mut self, origin: Origin) -> Result<(), String> {
        match origin {
            Origin::Recent => self.place += 1,
            Origin::Run(index) => self.runs[index].advance()?,
        }
        Ok(())
    }

    /// Whose entry comes next, and its key.
    fn least(&self) -> Option<(Origin, &[u8])> {
        let origins = (0..self.runs.len()).map(Origin::Run).chain([Origin::Recent]);
        let heads = origins.filter_map(|origin| Some((origin, self.entry(origin)?.0)));
        heads.min_by_key(|&(_, key)| order(key))
    }
}

/// How stored keys are ordered: by key, then the newest first. Stored keys have at least eight bytes.
fn order(stored: &[u8]) -> (&[u8], Reverse<u64>) {
    let (key, tag) = stored.split_last_chunk::<8>().unwrap_or((&[], &[0; 8]));
    (key, Reverse(u64::from_le_bytes(*tag)))
}

fn read_log(path: &Path, entries: &mut Vec<Entry>) -> Result<(), String> {
    let bytes = fs::read(path).map_err(|cause| cause.to_string())?;
    for record in Records::new(&bytes) {
        read_batch(&record?, entries).ok_or("a record is no batch of entries")?;
    }
    Ok(())
}

/// A batch: the first entry's sequence number (8 bytes), the number of entries (4), the entries.
fn read_batch(mut batch: &[u8], entries: &mut Vec<Entry>) -> Option<()> {
    let rest = &mut batch;
    let sequence = u64::from_le_bytes(take(rest, 8)?.try_into().ok()?);
    let count = u32::from_le_bytes(take(rest, 4)?.try_into().ok()?);
    for index in 0..u64::from(count) {
        let kind = varint(rest)?;
        let key = chunk(rest)?;
        let value = match kind {
            0 => &[],
            1 => chunk(rest)?,
            _ => return None,
        };
        let tag = sequence.wrapping_add(index) << 8 | kind;
        entries.push(([key, &tag.to_le_bytes()].concat(), value.to_vec()));
    }
    Some(())
}
