//! LevelDB's tables: sorted entries in blocks, which Snappy may have compressed, and an index of the blocks.
//!
//! A block ends in the offsets of its restart points, which only a search needs; an entry shares the beginning of its key with
//! the entry before it.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
};

use super::log::is_checksum;
use crate::data::record::varint;

const FOOTER: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// Behind each block: how it is compressed (1 byte), and a checksum (4).
const TRAILER: usize = 5;
const PLAIN: u8 = 0;
const SNAPPY: u8 = 1;

/// A walk through tables that follow one another without overlap. Memory for blocks is used again and again.
#[derive(Default)]
pub struct Run {
    paths: Vec<PathBuf>,
    /// The table that is being read.
    table: usize,
    file: Option<File>,
    index: Block,
    entries: Block,
    /// Whether the walk stands on an entry.
    stands: bool,
    /// A block as it is stored.
    stored: Vec<u8>,
}

impl Run {
    /// The walk that stands before the first entry of the first table.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Run { paths, ..Run::default() }
    }

    /// Goes back before the first entry.
    pub fn rewind(&mut self) {
        (self.table, self.file, self.stands) = (0, None, false);
    }

    /// Goes to the next entry, or behind the last.
    ///
    /// # Errors
    /// Says which file is damaged, and how.
    pub fn advance(&mut self) -> Result<(), String> {
        self.stands = false;
        while !self.stands && self.table < self.paths.len() {
            let found = self.step();
            let name = || self.paths[self.table].file_name().unwrap_or_default().display();
            self.stands = found.map_err(|message| format!("{}: {message}", name()))?;
            if !self.stands {
                (self.table, self.file) = (self.table + 1, None);
            }
        }
        Ok(())
    }

    /// The present entry: the key with LevelDB's eight bytes behind it, and the value.
    pub fn entry(&self) -> Option<(&[u8], &[u8])> {
        let Block { bytes, key, value, .. } = &self.entries;
        self.stands.then(|| (key.as_slice(), &bytes[value.clone()]))
    }

    /// The next entry of this table; false when there is none.
    fn step(&mut self) -> Result<bool, String> {
        if self.file.is_none() {
            self.open()?;
        }
        let Run { file: Some(file), index, entries, stored, .. } = self else { return Ok(false) };
        while !entries.advance()? {
            if !index.advance()? {
                return Ok(false);
            }
            let handle = handle(&mut &index.bytes[index.value.clone()])?;
            entries.read(file, handle, stored)?;
        }
        if entries.key.len() < 8 { Err("a key is damaged".into()) } else { Ok(true) }
    }

    fn open(&mut self) -> Result<(), String> {
        let Run { paths, table, file, index, entries, stored, .. } = self;
        let mut opened = File::open(&paths[*table]).map_err(|cause| cause.to_string())?;
        let length = opened.seek(SeekFrom::End(0)).map_err(|cause| cause.to_string())?;
        let start = length.checked_sub(FOOTER as u64).ok_or("is too short for a table")?;
        read_at(&mut opened, start, FOOTER, stored)?;
        let (mut handles, magic) = stored.split_at(FOOTER - 8);
        if magic != MAGIC.to_le_bytes() {
            return Err("is not a table of LevelDB".into());
        }
        // The first handle is that of the filters, which only a search needs.
        handle(&mut handles)?;
        let blocks = handle(&mut handles)?;
        index.read(&mut opened, blocks, stored)?;
        entries.clear();
        *file = Some(opened);
        Ok(())
    }
}

/// Where a block lies: offset and length.
type Handle = (u64, usize);

fn handle(bytes: &mut &[u8]) -> Result<Handle, String> {
    let handle = varint(bytes).and_then(|offset| Some((offset, usize::try_from(varint(bytes)?).ok()?)));
    handle.ok_or_else(|| "an entry of the index is damaged".into())
}

fn read_at(file: &mut File, offset: u64, length: usize, into: &mut Vec<u8>) -> Result<(), String> {
    into.clear();
    file.seek(SeekFrom::Start(offset)).map_err(|cause| cause.to_string())?;
    let found = file.take(length as u64).read_to_end(into).map_err(|cause| cause.to_string())?;
    if found < length { Err("is cut short; copy or make the database again".into()) } else { Ok(()) }
}

/// A block, and the place in it.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    /// Where the next entry begins.
    next: usize,
    /// Where the entries end.
    end: usize,
    key: Vec<u8>,
    value: Range<usize>,
}

impl Block {
    fn clear(&mut self) {
        (self.next, self.end) = (0, 0);
        self.key.clear();
    }

    fn read(&mut self, file: &mut File, (offset, length): Handle, stored: &mut Vec<u8>) -> Result<(), String> {
        let whole = length.checked_add(TRAILER).ok_or("an entry of the index is damaged")?;
        read_at(file, offset, whole, stored)?;
        let (checked, sum) = stored.split_at(length + 1);
        let sum = u32::from_le_bytes(sum.try_into().map_err(|_| "a block has no checksum")?);
        if !is_checksum(sum, checked) {
            return Err("the checksum of a block is wrong; copy or make the database again".into());
        }
        let contents = &checked[..length];
        match checked[length] {
            PLAIN => {
                self.bytes.clear();
                self.bytes.extend_from_slice(contents);
            }
            SNAPPY => {
                let length = snap::raw::decompress_len(contents).map_err(|cause| cause.to_string())?;
                self.bytes.resize(length, 0);
                let decoded = snap::raw::Decoder::new().decompress(contents, &mut self.bytes);
                decoded.map_err(|cause| cause.to_string())?;
            }
            other => return Err(format!("a block is compressed in a way that is not known ({other})")),
        }
        self.clear();
        self.end = self.entries_end().ok_or("a block is damaged")?;
        Ok(())
    }

    /// The restart points and their number stand at the end.
    fn entries_end(&self) -> Option<usize> {
        let restarts = u32::from_le_bytes(*self.bytes.last_chunk()?);
        self.bytes.len().checked_sub(4)?.checked_sub(4 * restarts as usize)
    }

    fn advance(&mut self) -> Result<bool, String> {
        if self.next >= self.end {
            return Ok(false);
        }
        self.entry().ok_or("an entry of a block is damaged")?;
        Ok(true)
    }

    fn entry(&mut self) -> Option<()> {
        let mut rest = &self.bytes[self.next..self.end];
        let mut number = || usize::try_from(varint(&mut rest)?).ok();
        let [shared, fresh, length] = [number()?, number()?, number()?];
        let (fresh, values) = rest.split_at_checked(fresh)?;
        if shared > self.key.len() || length > values.len() {
            return None;
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(fresh);
        let start = self.end - values.len();
        self.value = start..start + length;
        self.next = start + length;
        Some(())
    }
}
