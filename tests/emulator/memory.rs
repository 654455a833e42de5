//! Device memory and pinned host memory: ranges between pages that cannot be touched.

use std::collections::{BTreeMap, VecDeque};

use libc::{MAP_ANONYMOUS, MAP_FAILED, MAP_NORESERVE, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE, c_void};

/// Freed mappings of a size that stay out of use, so that accesses that come too late are faults.
const QUARANTINE: usize = 16;

/// Ranges that there may be at a time: the kernel counts pages that cannot be touched, and has a limit.
const MOST_RANGES: usize = 10_000;

/// How far from a range an address is told by it.
const NEAR: usize = 1 << 20;

/// Ranges by their first address.
pub struct Memory {
    ranges: BTreeMap<usize, Range>,
    /// Freed mappings: their sizes by their starts, their starts by their sizes.
    freed: BTreeMap<usize, usize>,
    spare: BTreeMap<usize, VecDeque<usize>>,
    used: usize,
}

struct Range {
    bytes: usize,
    mapping: Mapping,
}

#[derive(Clone, Copy)]
struct Mapping {
    start: usize,
    bytes: usize,
}

impl Memory {
    /// No memory.
    pub const fn new() -> Self {
        Memory { ranges: BTreeMap::new(), freed: BTreeMap::new(), spare: BTreeMap::new(), used: 0 }
    }

    /// A fresh range, all its bits 1; `None` when there is no more memory.
    pub fn allocate(&mut self, bytes: usize) -> Option<usize> {
        if self.ranges.len() == MOST_RANGES {
            return None;
        }
        let page = page();
        let inner = bytes.div_ceil(page) * page;
        let mapping = self.mapping(inner + 2 * page)?;
        let first = mapping.start + page;
        // Whole values end at the page; what is aligned to 16 bytes on a card is so here.
        let at_front = std::env::var("EMULATED_CARD_GUARD").is_ok_and(|side| side == "front");
        let start = if at_front { first } else { first + ((inner - bytes) & !15) };
        unsafe {
            if libc::mprotect(first as *mut c_void, inner, PROT_READ | PROT_WRITE) != 0 {
                return None;
            }
            std::ptr::write_bytes(first as *mut u8, 0xff, inner);
        }
        self.ranges.insert(start, Range { bytes, mapping });
        self.used += bytes;
        Some(start)
    }

    /// Ends a range; false when none begins there.
    pub fn free(&mut self, start: usize) -> bool {
        let Some(range) = self.ranges.remove(&start) else { return false };
        self.used -= range.bytes;
        self.check_edges(start, &range);
        let Mapping { start, bytes } = range.mapping;
        unsafe {
            libc::mprotect(start as *mut c_void, bytes, PROT_NONE);
            libc::madvise(start as *mut c_void, bytes, libc::MADV_DONTNEED);
        }
        self.freed.insert(start, bytes);
        self.spare.entry(bytes).or_default().push_back(start);
        true
    }

    /// Pages that cannot be touched: those that were freed longest ago, or new ones.
    fn mapping(&mut self, bytes: usize) -> Option<Mapping> {
        let spare = self.spare.get_mut(&bytes).filter(|spare| spare.len() > QUARANTINE).and_then(VecDeque::pop_front);
        let start = match spare {
            Some(start) => {
                self.freed.remove(&start);
                start
            }
            None => map(bytes)?,
        };
        Some(Mapping { start, bytes })
    }

    /// Whether this was memory and is no more.
    pub fn was_freed(&self, address: usize) -> bool {
        let mapping = self.freed.range(..=address).next_back();
        mapping.is_some_and(|(start, bytes)| address < start + bytes)
    }

    /// Reports writes to the bytes between a range and its pages.
    fn check_edges(&self, start: usize, range: &Range) {
        let (first, end) = (range.mapping.start + page(), range.mapping.start + range.mapping.bytes - page());
        let bytes = |from: usize, to: usize| unsafe { std::slice::from_raw_parts(from as *const u8, to - from) };
        let is_touched = |bytes: &[u8]| bytes.iter().any(|&byte| byte != 0xff);
        if is_touched(bytes(first, start)) || is_touched(bytes(start + range.bytes, end)) {
            crate::faults::fail(&format!("something wrote beside the {} bytes at {start:#x}", range.bytes));
        }
    }

    /// Whether these bytes lie in one range.
    pub fn holds(&self, start: usize, bytes: usize) -> bool {
        let range = self.ranges.range(..=start).next_back();
        range.is_some_and(|(&first, range)| start + bytes <= first + range.bytes)
    }

    /// The sum of all ranges.
    pub fn used(&self) -> usize {
        self.used
    }

    /// How many ranges there are.
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// Where an address lies beside the next range, in words.
    pub fn describe(&self, address: usize) -> String {
        let before = self.ranges.range(..=address).next_back();
        let behind = self.ranges.range(address..).next();
        if self.was_freed(address) {
            return "in memory that was freed".into();
        }
        let behind_end = before.map(|(&start, range)| (address.saturating_sub(start + range.bytes), start, range));
        let before_start = behind.map(|(&start, range)| (start - address, start, range));
        match (behind_end, before_start) {
            (Some((_, start, range)), _) if address < start + range.bytes => {
                format!("in the {} bytes at {start:#x}", range.bytes)
            }
            (Some((off, start, range)), other) if off < NEAR && other.is_none_or(|(further, ..)| off <= further) => {
                format!("{off} bytes behind the end of {} bytes at {start:#x}", range.bytes)
            }
            (_, Some((off, start, range))) if off < NEAR => {
                format!("{off} bytes before {} bytes at {start:#x}", range.bytes)
            }
            _ => "nowhere near memory of the card".into(),
        }
    }
}

fn page() -> usize {
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

fn map(bytes: usize) -> Option<usize> {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    let place = unsafe { libc::mmap(std::ptr::null_mut(), bytes, PROT_NONE, flags, -1, 0) };
    (place != MAP_FAILED).then_some(place as usize)
}
