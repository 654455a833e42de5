//! LevelDB's log format, in which its logs and its manifest are written: records, cut into pieces that fit blocks of 32 KiB.
//!
//! A piece: checksum (4 bytes), length (2), kind (1), then so many bytes. Kinds: a whole record, or its first, a middle, its last
//! piece. Fewer than seven bytes at a block's end are left empty.

const BLOCK: usize = 32_768;
const HEADER: usize = 7;
const WHOLE: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// The records of a file in this format. What a writer left unfinished at the end is no record, as in LevelDB.
pub struct Records<'a> {
    rest: &'a [u8],
    /// Bytes of `rest` that lie in the present block.
    block: usize,
}

impl<'a> Records<'a> {
    /// The records in a file's bytes.
    pub fn new(file: &'a [u8]) -> Self {
        Records { rest: file, block: BLOCK }
    }

    /// The next piece; nothing at the end.
    fn piece(&mut self) -> Option<Result<(u8, &'a [u8]), String>> {
        loop {
            if self.block < HEADER {
                self.skip(self.block);
                self.block = BLOCK;
            }
            let header = self.rest.first_chunk::<HEADER>()?;
            let (length, kind) = (usize::from(u16::from_le_bytes([header[4], header[5]])), header[6]);
            if kind == 0 && length == 0 {
                // Space that was set aside and never written.
                self.skip(self.block);
                self.block = BLOCK;
                continue;
            }
            let checked = self.rest.get(6..HEADER + length)?;
            if HEADER + length > self.block {
                return Some(Err("a record is longer than its block".into()));
            }
            let sum = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
            self.skip(HEADER + length);
            self.block -= HEADER + length;
            return Some(if is_checksum(sum, checked) {
                Ok((kind, &checked[1..]))
            } else {
                Err("the checksum of a record is wrong".into())
            });
        }
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Vec<u8>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = Vec::new();
        let mut begun = false;
        loop {
            let (kind, bytes) = match self.piece()? {
                Ok(piece) => piece,
                Err(message) => return Some(Err(message)),
            };
            match (kind, begun) {
                (WHOLE, false) => return Some(Ok(bytes.to_vec())),
                (FIRST, false) | (MIDDLE, true) => record.extend_from_slice(bytes),
                (LAST, true) => {
                    record.extend_from_slice(bytes);
                    return Some(Ok(record));
                }
                _ => return Some(Err("the pieces of a record are out of order".into())),
            }
            begun = true;
        }
    }
}

/// Whether `stored` is the checksum of `bytes`: a CRC-32C, turned and moved so that checksums of checksums are sound.
pub fn is_checksum(stored: u32, bytes: &[u8]) -> bool {
    stored == crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
