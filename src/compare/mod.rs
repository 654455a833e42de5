//! Two runs, two nets or two dumps side by side: what differs first, and by how much.
//!
//! | files | compared |
//! |---|---|
//! | logs of Caffe or rcaffe | line by line, without times, process numbers and file names |
//! | metrics (csv, jsonl), row by row | every column but `seconds` and `images_per_second` |
//! | weights (`.caffemodel`, `.caffemodel.h5`) | every blob of every layer |
//! | states (`.solverstate`, `.solverstate.h5`) | the iteration and every history blob |
//! | arrays (`.npz`), as `rcaffe dump` writes them | every array |
//!
//! A difference is given in three ways: absolute; relative; in units of the last place of an f32 (ULP). The relative one decides
//! against the tolerance. In logs and metrics it is relative to the larger of the two numbers, in blobs to the largest value of the two
//! blobs: a blob's values come out of sums, whose rounding is that of the largest terms. Two NaN are equal, as are 0 and -0; a NaN
//! beside a number differs beyond any tolerance.

mod arrays;
mod logs;
mod metrics;
mod values;

use std::{fmt, fs::File, io::Read, path::Path};

pub use values::Values;

use crate::{
    error::{Error, Result},
    prototxt::number::stream,
};

/// What kind of files are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Logs; the units are lines.
    Log,
    /// Metrics; the units are columns.
    Metrics,
    /// Weights; the units are blobs.
    Weights,
    /// Solver states; the units are blobs.
    State,
    /// Dumps; the units are arrays.
    Arrays,
}

/// What the comparison of two files found.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The kind of the files.
    pub kind: Kind,
    /// Lines, columns or blobs that were compared.
    pub units: usize,
    /// Those that are not equal, in the order of the files.
    pub differences: Vec<Difference>,
    /// The largest relative difference that passes.
    pub tolerance: f64,
}

/// A line, a column or a blob that is not equal in both files.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Which: `line 12`, `train loss`, `conv1[0] (8×3×5×5)`.
    pub place: String,
    /// How.
    pub what: What,
}

/// How two lines, columns or blobs differ.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The second file does not have it.
    OnlyInFirst,
    /// The first file does not have it.
    OnlyInSecond,
    /// Their shapes, or the words of their lines.
    Form(String, String),
    /// Their numbers; of lines also the lines.
    Values(Values, Option<(String, String)>),
}

impl Comparison {
    /// The differences beyond the tolerance.
    pub fn beyond(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| !difference.is_within(self.tolerance))
    }

    /// What one of the compared is called, in the plural.
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Log => "lines",
            Kind::Metrics => "columns",
            Kind::Weights | Kind::State => "blobs",
            Kind::Arrays => "arrays",
        }
    }
}

impl fmt::Display for Comparison {
    /// `56 lines, 2 differ, 1 of them by more than 0.001`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}, ", self.units, self.unit())?;
        match (self.differences.len(), self.beyond().count()) {
            (0, _) => write!(out, "all equal"),
            (differing, _) if self.tolerance == 0.0 => write!(out, "{differing} differ"),
            (differing, 0) => write!(out, "{differing} differ, none by more than {}", stream(self.tolerance)),
            (differing, beyond) => {
                write!(out, "{differing} differ, {beyond} of them by more than {}", stream(self.tolerance))
            }
        }
    }
}

impl Difference {
    /// Whether it is one of numbers, within the tolerance.
    pub fn is_within(&self, tolerance: f64) -> bool {
        matches!(&self.what, What::Values(values, _) if values.relative <= tolerance)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match &self.what {
            What::OnlyInFirst => write!(out, "{place}: only in the first file"),
            What::OnlyInSecond => write!(out, "{place}: only in the second file"),
            What::Form(first, second) => write!(out, "{place}:\n  - {first}\n  + {second}"),
            What::Values(values, None) => write!(out, "{place}: {values}"),
            What::Values(values, Some((first, second))) => {
                write!(out, "{place}: {values}\n  - {first}\n  + {second}")
            }
        }
    }
}

/// Compares two files. What they are shows in their content; both must be of one kind (weights in binary form and in HDF5 are).
///
/// ```
/// use rcaffe::compare;
///
/// let folder = std::env::temp_dir().join(format!("rcaffe_compare_{}", std::process::id()));
/// std::fs::create_dir_all(&folder)?;
/// let [a, b] = ["a.log", "b.log"].map(|name| folder.join(name));
/// std::fs::write(&a, "I1121 20:48:31.351138 12949 solver.cpp:239] Iteration 0, loss = 2.5\n")?;
/// std::fs::write(&b, "I1122 09:10:00.000000     7 caffe_log.rs:71] Iteration 0, loss = 2.502\n")?;
///
/// let found = compare::files(&a, &b, 1e-4)?;
/// assert_eq!(found.to_string(), "1 lines, 1 differ, 1 of them by more than 0.0001");
/// assert_eq!(compare::files(&a, &b, 1e-3)?.beyond().count(), 0);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When a file cannot be read, or the two are of different kinds.
pub fn files(first: &Path, second: &Path, tolerance: f64) -> Result<Comparison> {
    let (kind, other) = (kind_of(first)?, kind_of(second)?);
    if kind != other {
        let message = format!("is {}, {} is {}: they cannot be compared", name(kind), second.display(), name(other));
        return Err(Error::data(first.display().to_string(), message));
    }
    let (units, differences) = match kind {
        Kind::Log => logs::compare(first, second)?,
        Kind::Metrics => metrics::compare(first, second)?,
        Kind::Weights | Kind::State | Kind::Arrays => arrays::compare(kind, first, second)?,
    };
    Ok(Comparison { kind, units, differences, tolerance })
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Log => "a log",
        Kind::Metrics => "a file of metrics",
        Kind::Weights => "a file of weights",
        Kind::State => "a solver state",
        Kind::Arrays => "a file of arrays",
    }
}

/// The kind of a file. Weights and states have no mark of their own: what is no other kind is one of them, and a state has `solverstate`
/// in its name.
fn kind_of(path: &Path) -> Result<Kind> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
    file.take(4096).read_to_end(&mut start).map_err(|cause| Error::io(path, cause))?;
    let is_state = path.file_name().is_some_and(|name| name.to_string_lossy().contains("solverstate"));
    if start.is_empty() {
        return Err(Error::data(path.display().to_string(), "is empty"));
    }
    Ok(match start {
        start if start.starts_with(b"PK\x03\x04") => Kind::Arrays,
        start if is_text(&start) => match crate::report::runs::is_table_or_json(&String::from_utf8_lossy(&start)) {
            true => Kind::Metrics,
            false => Kind::Log,
        },
        _ if is_state => Kind::State,
        _ => Kind::Weights,
    })
}

/// Whether these are the first bytes of a text: binary messages hold bytes that no text has.
fn is_text(start: &[u8]) -> bool {
    let control = |byte: &u8| *byte < 0x20 && !b"\t\n\r\x1b".contains(byte);
    !start.iter().any(control)
}
