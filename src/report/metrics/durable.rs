//! A file that grows by whole rows, and loses nothing that is older than a second.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::Duration,
};

use crate::error::{Error, Result};

/// How long after it was written a row is on the disk.
const PERIOD: Duration = Duration::from_millis(700);

/// The file. Rows reach the operating system at once: a program that crashes loses none. A thread syncs them to the disk, so that
/// training never waits for it.
#[derive(Debug)]
pub struct Durable {
    file: File,
    path: PathBuf,
    written: SyncSender<()>,
}

impl Durable {
    /// Opens a file to add to it; makes it, and its folder, when they are not there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(path: &Path) -> Result<Self> {
        let fail = |cause| Error::io(path, cause);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(fail)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(fail)?;
        let copy = file.try_clone().map_err(fail)?;
        let (written, notices) = sync_channel(1);
        let sync = move || {
            while notices.recv().is_ok() {
                thread::sleep(PERIOD);
                let _ = notices.try_recv();
                // Some file systems cannot; the rows are with the operating system.
                let _ = copy.sync_data();
            }
        };
        thread::Builder::new().name("metrics".into()).spawn(sync).map_err(fail)?;
        Ok(Durable { file, path: path.to_owned(), written })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the disk is full, say.
    pub fn write(&mut self, row: &[u8]) -> Result<()> {
        self.file.write_all(row).map_err(|cause| Error::io(&self.path, cause))?;
        // A notice that waits already does for this row too.
        let _ = self.written.try_send(());
        Ok(())
    }
}
