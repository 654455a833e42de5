//! The logger: every line on stderr with glog's classic prefix, `I1121 20:30:51.627060  2572 solver.rs:34] message`.
//!
//! Lines and progress bar share the terminal: the bar steps aside while a line is printed. The lines also go to a file once
//! [`write_to`] has named one; those printed before that are kept for it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use indicatif::ProgressBar;
use jiff::Zoned;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::error::{Error, Result};

/// What is logged, and where.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The lines that exist at all (glog's `minloglevel`, `v`).
    pub level: LevelFilter,
    /// The lines shown on stderr; `--quiet` leaves warnings and errors.
    pub stderr: LevelFilter,
    /// Whether lines carry the prefix (glog's `log_prefix`).
    pub prefix: bool,
    /// Whether lines are kept until [`write_to`] names their file.
    pub expects_file: bool,
    /// The one module (`rcaffe::...`) whose lines are shown, where not all are; warnings and errors are shown of all.
    pub module: Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Options { level: LevelFilter::Info, stderr: LevelFilter::Info, prefix: true, expects_file: false, module: None }
    }
}

/// Where lines go besides stderr.
enum Copy {
    None,
    Kept(Vec<u8>),
    File(File),
}

impl Copy {
    fn write(&mut self, line: &str) {
        match self {
            Copy::None => {}
            Copy::Kept(lines) => lines.extend_from_slice(line.as_bytes()),
            Copy::File(file) => drop(file.write_all(line.as_bytes())),
        }
    }
}

struct State {
    options: Options,
    copy: Copy,
    bar: Option<ProgressBar>,
}

struct Glog(Mutex<Option<State>>);

static LOGGER: Glog = Glog(Mutex::new(None));

impl Glog {
    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes this the program's logger. A second call changes the options.
pub fn init(options: Options) {
    let copy = if options.expects_file { Copy::Kept(Vec::new()) } else { Copy::None };
    *LOGGER.lock() = Some(State { options, copy, bar: None });
    log::set_max_level(options.level);
    // It fails where a logger is installed already: on a second call, or in a program that has its own.
    let _ = log::set_logger(&LOGGER);
}

/// Writes all lines, from the first one on, to a file too.
///
/// # Errors
/// When the file cannot be made.
pub fn write_to(path: &Path, append: bool) -> Result<()> {
    let opened = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(path);
    let mut file = opened.map_err(|cause| Error::io(path, cause))?;
    let mut guard = LOGGER.lock();
    let Some(state) = guard.as_mut() else { return Ok(()) };
    if let Copy::Kept(lines) = &mut state.copy {
        file.write_all(&mem::take(lines)).map_err(|cause| Error::io(path, cause))?;
    }
    state.copy = Copy::File(file);
    Ok(())
}

/// Writes a line that is not a log line to the file only.
pub fn copy_line(line: &str) {
    if let Some(state) = LOGGER.lock().as_mut() {
        state.copy.write(&format!("{line}\n"));
    }
}

/// Whether plain lines are hidden: then there is no bar either.
pub(super) fn is_quiet() -> bool {
    LOGGER.lock().as_ref().is_some_and(|state| state.options.stderr < LevelFilter::Info)
}

/// The bar below the lines, from now on; `None` when it is gone.
pub(super) fn set_bar(bar: Option<ProgressBar>) {
    if let Some(state) = LOGGER.lock().as_mut() {
        state.bar = bar;
    }
}

impl Log for Glog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates speak up only when something is wrong.
        metadata.level() <= Level::Warn || metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut guard = self.lock();
        let Some(state) = guard.as_mut() else { return };
        let is_of = |module: &str| record.target().starts_with(module);
        if record.level() > Level::Warn && !state.options.module.is_none_or(is_of) {
            return;
        }
        let mut line = if state.options.prefix { prefix(record, &Zoned::now()) } else { String::new() };
        line += &record.args().to_string();
        if !line.ends_with('\n') {
            line.push('\n');
        }
        state.copy.write(&line);
        if record.level() <= state.options.stderr {
            // A log that cannot be written (a closed pipe, a full disk) must not end the training.
            let print = || drop(io::stderr().write_all(line.as_bytes()));
            match &state.bar {
                Some(bar) => bar.suspend(print),
                None => print(),
            }
        }
    }

    fn flush(&self) {}
}

/// `I1121 20:30:51.627060  2572 solver.rs:34] `: severity, month and day, local time, process, source line.
fn prefix(record: &Record<'_>, now: &Zoned) -> String {
    let severity = match record.level() {
        Level::Error => 'E',
        Level::Warn => 'W',
        Level::Info | Level::Debug | Level::Trace => 'I',
    };
    let file = record.file().and_then(|file| file.rsplit(['/', '\\']).next()).unwrap_or("unknown");
    format!(
        "{severity}{:02}{:02} {:02}:{:02}:{:02}.{:06} {:5} {file}:{}] ",
        now.month(),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.subsec_nanosecond() / 1000,
        std::process::id(),
        record.line().unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_glogs() {
        let now: Zoned = "2026-11-21T20:30:51.627060[UTC]".parse().unwrap();
        let record = Record::builder().level(Level::Warn).file(Some("src/net/graph.rs")).line(Some(34)).build();
        let expected = format!("W1121 20:30:51.627060 {:5} graph.rs:34] ", std::process::id());
        assert_eq!(prefix(&record, &now), expected);
    }
}
