//! One page that shows runs: curves with zoom and hover, numbers, solver files side by side, the cost of layers, confusions.
//!
//! The page is one file that loads nothing: its style, its script and uPlot (MIT, `assets/LICENSE-uPlot.txt`) are in it, and a
//! content security policy forbids the rest. What needs no script, tables and the confusion matrix, is there without one.

mod configs;
mod confusion;
mod data;
mod html;
mod layers;
mod live;
mod numbers;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use confusion::read as read_confusion;
pub use layers::{Layer, read as read_layers};
pub use live::Live;

use super::{confusion::Confusion, runs::Run};
use crate::error::{Error, Result};

/// What a page shows.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Its heading; the names of the runs when empty.
    pub title: String,
    /// The runs.
    pub runs: Vec<Run>,
    /// What a test confused.
    pub confusion: Option<Confusion>,
    /// What the layers of the net cost.
    pub layers: Vec<Layer>,
    /// Whether the run goes on: the page loads itself again every 5 seconds.
    pub live: bool,
}

/// Writes the page of some runs. A file of that name is replaced at once: who reads it sees the old page or the new one.
///
/// ```
/// use rcaffe::report::{page::{self, Page}, runs::Run};
///
/// let runs = vec![Run::read("tests/golden/log/caffe.log".as_ref())?];
/// let path = std::env::temp_dir().join(format!("rcaffe_page_{}.html", std::process::id()));
/// page::write(&Page { runs, ..Page::default() }, &path)?;
/// assert!(std::fs::read_to_string(&path).unwrap().contains("<h1>caffe</h1>"));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), rcaffe::Error>(())
/// ```
///
/// # Errors
/// When the file cannot be written, or the confusion matrix has no classes.
pub fn write(page: &Page, path: &Path) -> Result<()> {
    let text = html::page(page)?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    fs::write(&unfinished, text).map_err(|cause| Error::io(path, cause))?;
    fs::rename(&unfinished, path).map_err(|cause| Error::io(path, cause))
}

#[cfg(test)]
mod tests;
