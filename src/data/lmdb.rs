//! LMDB databases as Caffe writes them: one unnamed table in a folder, `FOLDER/data.mdb`.
//!
//! Reading takes no locks and writes nothing, so a database on a read-only disk can be read, by any number of nets at once;
//! it must not be changed meanwhile. Several cursors on one database share one memory map.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
    time::Duration,
};

use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithoutTls,
    types::{Bytes, DecodeIgnore},
};
use log::info;

use super::{Position, Record, Source, paths, record::in_source};
use crate::error::{Error, Result};

type Table = Database<'static, Bytes, Bytes>;

/// A cursor on a database: its records in the order of their keys, over and over.
pub struct Cursor {
    transaction: RoTxn<'static, WithoutTls>,
    opened: Arc<Opened>,
    name: String,
    /// The last record's key, and how many records have been handed out in this round.
    key: Vec<u8>,
    place: usize,
    rounds: usize,
}

impl Cursor {
    /// Opens the database in `folder`, which messages call `name`.
    ///
    /// # Errors
    /// When there is none, it is damaged or empty, or it holds another kind of database.
    pub fn open(name: &str, folder: &Path) -> Result<Self> {
        let file = folder.join("data.mdb");
        if !folder.exists() {
            return Err(paths::missing(name));
        }
        if !file.exists() {
            return Err(Error::data(name, "is not an LMDB database: there is no data.mdb in it"));
        }
        let opened = open_shared(name, folder)?;
        let transaction = opened.environment.clone().static_read_txn().map_err(|cause| damaged(name, &cause))?;
        if opened.table.is_empty(&transaction).map_err(|cause| damaged(name, &cause))? {
            return Err(Error::data(name, "the database holds no records"));
        }
        info!("Opened lmdb {name}");
        Ok(Cursor { transaction, opened, name: name.to_owned(), key: Vec::new(), place: 0, rounds: 0 })
    }
}

impl Source for Cursor {
    fn next(&mut self) -> Result<Record<'_>> {
        let Cursor { transaction, opened, name, key, place, rounds } = self;
        let behind = if *place > 0 { opened.table.get_greater_than(transaction, key) } else { Ok(None) };
        let found = match behind.map_err(|cause| damaged(name, &cause))? {
            Some(record) => Some(record),
            None => {
                *rounds += usize::from(*place > 0);
                *place = 0;
                opened.table.first(transaction).map_err(|cause| damaged(name, &cause))?
            }
        };
        let (found_key, value) = found.ok_or_else(|| Error::data(&*name, "the database holds no records"))?;
        key.clear();
        key.extend_from_slice(found_key);
        *place += 1;
        Record::parse(found_key, value).map_err(|error| in_source(error, name))
    }

    fn rewind(&mut self) {
        (self.place, self.rounds) = (0, 0);
    }

    fn count(&self) -> Result<usize> {
        let count = self.opened.table.len(&self.transaction).map_err(|cause| damaged(&self.name, &cause))?;
        Ok(count as usize)
    }

    fn known_count(&self) -> Option<usize> {
        self.count().ok()
    }

    fn position(&self) -> Position {
        Position { place: self.place, rounds: self.rounds, shuffle_seed: None }
    }

    fn seek(&mut self, position: Position) -> Result<()> {
        position.check(self.count()?, &self.name)?;
        if let Some(last) = position.place.checked_sub(1) {
            // Keys only: values that have pages of their own are not touched.
            let table = self.opened.table.remap_data_type::<DecodeIgnore>();
            let mut records = table.iter(&self.transaction).map_err(|cause| damaged(&self.name, &cause))?;
            let record = records.nth(last).transpose().map_err(|cause| damaged(&self.name, &cause))?;
            let (key, ()) = record.ok_or_else(|| Error::data(&self.name, "the database has lost records"))?;
            self.key = key.to_owned();
        }
        (self.place, self.rounds) = (position.place, position.rounds);
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A database that is open in this process.
struct Opened {
    table: Table,
    environment: Env<WithoutTls>,
}

/// LMDB must not open one database twice in a process, so cursors share it; it closes with the last of them.
static OPENED: LazyLock<Mutex<HashMap<PathBuf, Weak<Opened>>>> = LazyLock::new(Mutex::default);

fn open_shared(name: &str, folder: &Path) -> Result<Arc<Opened>> {
    let path = folder.canonicalize().map_err(|cause| Error::io(folder, cause))?;
    let mut all = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(opened) = all.get(&path).and_then(Weak::upgrade) {
        return Ok(opened);
    }
    // The last cursor may be closing it at this moment.
    if let Some(closing) = heed::env_closing_event(&path) {
        closing.wait_timeout(Duration::from_secs(10));
    }
    let opened = Arc::new(open_environment(&path).map_err(|cause| not_lmdb(name, &cause))?);
    check_length(name, &path, &opened.environment)?;
    all.retain(|_, opened| opened.strong_count() > 0);
    all.insert(path, Arc::downgrade(&opened));
    Ok(opened)
}

fn open_environment(path: &Path) -> heed::Result<Opened> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    // SAFETY: without the lock file nobody tells us of a writer: that the database is not changed while it is read is what
    // this module asks of its callers. Reading alone cannot damage it.
    unsafe { options.flags(EnvFlags::READ_ONLY | EnvFlags::NO_LOCK) };
    // SAFETY: the map's bytes come from a file, which nobody may cut short while it is mapped: as above. That it is as long
    // as its own header says is checked before anything is read.
    let environment = unsafe { options.open(path)? };
    let transaction = environment.read_txn()?;
    let table = environment
        .open_databases_and_commit(transaction, |opener, transaction| {
            opener.open_database::<Bytes, Bytes>(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
        })?
        .commit()
        .flatten()
        .ok_or(heed::Error::Mdb(heed::MdbError::NotFound))?;
    Ok(Opened { table, environment })
}

/// A file cut short would end the process at the first page that is missing.
fn check_length(name: &str, path: &Path, environment: &Env<WithoutTls>) -> Result<()> {
    let file = path.join("data.mdb");
    let found = fs::metadata(&file).map_err(|cause| Error::io(&file, cause))?.len();
    let pages = environment.info().last_page_number as u64 + 1;
    let wanted = pages * u64::from(environment.unnamed_database_stat().page_size);
    if found < wanted {
        let message = format!("data.mdb is cut short: it has {found} bytes of {wanted}; copy or make it again");
        return Err(Error::data(name, message));
    }
    Ok(())
}

fn not_lmdb(name: &str, cause: &heed::Error) -> Error {
    Error::data(name, format!("is not an LMDB database that can be read: {cause}"))
}

fn damaged(name: &str, cause: &heed::Error) -> Error {
    Error::data(name, format!("the database cannot be read: {cause}"))
}

/// Writes a new database, which takes its place under its name only when it is complete.
pub struct Writer {
    environment: Env,
    table: Table,
    unfinished: PathBuf,
    folder: PathBuf,
    pending: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Records per transaction.
const TRANSACTION: usize = 1_000;

impl Writer {
    /// Begins a database that will stand at `folder`; what is left of an earlier attempt is removed. `bytes` is how much its
    /// keys and values come to, or more.
    ///
    /// # Errors
    /// When the folder beside it cannot be written.
    pub fn create(folder: &Path, bytes: u64) -> Result<Self> {
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let unfinished = folder.with_file_name(name);
        remove(&unfinished)?;
        fs::create_dir_all(&unfinished).map_err(|cause| Error::io(&unfinished, cause))?;
        let write_error = |cause| write_error(&unfinished, cause);
        let environment = create_environment(&unfinished, bytes).map_err(write_error)?;
        let transaction = environment.write_txn().map_err(write_error)?;
        let table = environment
            .create_databases_and_commit(transaction, |opener, transaction| {
                opener.create_database::<Bytes, Bytes>(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
            })
            .map_err(write_error)?
            .commit()
            .ok_or_else(|| write_error(heed::Error::Mdb(heed::MdbError::NotFound)))?;
        Ok(Writer { environment, table, unfinished, folder: folder.to_owned(), pending: Vec::new() })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the disk is full or cannot be written.
    pub fn put(&mut self, key: &[u8], value: Vec<u8>) -> Result<()> {
        self.pending.push((key.to_owned(), value));
        if self.pending.len() == TRANSACTION { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<()> {
        let Writer { environment, table, unfinished, pending, .. } = self;
        let mut write = || {
            let mut transaction = environment.write_txn()?;
            for (key, value) in pending.drain(..) {
                table.put(&mut transaction, &key, &value)?;
            }
            transaction.commit()
        };
        write().map_err(|cause| write_error(unfinished, cause))
    }

    /// Puts the database in its place, instead of what is there.
    ///
    /// # Errors
    /// When the disk is full or cannot be written.
    pub fn finish(mut self) -> Result<()> {
        self.commit()?;
        let Writer { environment, unfinished, folder, .. } = self;
        environment.force_sync().map_err(|cause| write_error(&unfinished, cause))?;
        drop(environment);
        readable_by_all(&unfinished.join("data.mdb"))?;
        remove(&folder)?;
        fs::rename(&unfinished, &folder).map_err(|cause| Error::io(&folder, cause))
    }
}

fn create_environment(folder: &Path, bytes: u64) -> heed::Result<Env> {
    // Room for records that fill half of their pages, and for the tree above them.
    let room = (bytes * 2 + (64 << 20)).next_multiple_of(1 << 20);
    let mut options = EnvOpenOptions::new();
    options.map_size(room as usize);
    // SAFETY: nobody else knows of the folder, so no lock is needed; the file is synced before it gets its name, so that an
    // unsynced state is never seen under it.
    unsafe { options.flags(EnvFlags::NO_LOCK | EnvFlags::NO_SYNC) };
    // SAFETY: the file was just made and is not changed but through this environment.
    unsafe { options.open(folder) }
}

/// The library makes the file readable by its owner alone; a data set is for everybody, as Caffe's.
fn readable_by_all(file: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).map_err(|cause| Error::io(file, cause))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, cause)),
        _ => Ok(()),
    }
}

fn write_error(folder: &Path, cause: heed::Error) -> Error {
    match cause {
        heed::Error::Io(cause) => Error::io(folder, cause),
        cause => Error::data(folder.display().to_string(), format!("the database cannot be written: {cause}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Image, Planes, record::serialize_bytes};

    fn database(folder: &Path, keys: &[&str]) {
        let mut writer = Writer::create(folder, 1000).unwrap();
        for (index, key) in keys.iter().enumerate() {
            writer.put(key.as_bytes(), serialize_bytes([1, 1, 1], index as i32, &[7])).unwrap();
        }
        writer.finish().unwrap();
    }

    fn labels(cursor: &mut Cursor, count: usize) -> Vec<i32> {
        (0..count).map(|_| cursor.next().unwrap().label).collect()
    }

    #[test]
    fn records_come_in_the_order_of_keys_and_begin_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        database(&path, &["b", "c", "a"]);
        let mut cursor = Cursor::open("db", &path).unwrap();
        assert_eq!(cursor.count().unwrap(), 3);
        assert_eq!(labels(&mut cursor, 7), [2, 0, 1, 2, 0, 1, 2]);
        cursor.rewind();
        let first = cursor.next().unwrap();
        assert_eq!((first.key, first.image), (&b"a"[..], Image::Raw(Planes::bytes([1, 1, 1], &[7]))));
    }

    #[test]
    fn two_cursors_on_one_database_keep_their_own_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        database(&path, &["a", "b", "c"]);
        let mut one = Cursor::open("db", &path).unwrap();
        labels(&mut one, 2);
        let mut other = Cursor::open("db", &path.join("../db")).unwrap();
        let thread = std::thread::spawn(move || labels(&mut other, 4));
        assert_eq!(labels(&mut one, 2), [2, 0]);
        assert_eq!(thread.join().unwrap(), [0, 1, 2, 0]);
    }

    #[test]
    fn another_cursor_goes_on_from_a_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        database(&path, &["a", "b", "c"]);
        for records in 0..8 {
            let [mut one, mut other] = [(); 2].map(|()| Cursor::open("db", &path).unwrap());
            labels(&mut one, records);
            labels(&mut other, 2);
            other.seek(one.position()).unwrap();
            assert_eq!(labels(&mut other, 4), labels(&mut one, 4));
            assert_eq!(other.position(), one.position());
        }
        let error = Cursor::open("db", &path).unwrap().seek(Position { place: 4, ..Position::default() });
        assert!(error.unwrap_err().to_string().starts_with("db: has 3 records, the snapshot was made behind number 4"));
    }

    #[test]
    fn a_database_written_anew_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        database(&path, &["a"]);
        drop(Cursor::open("db", &path).unwrap());
        database(&path, &["a", "b"]);
        assert_eq!(Cursor::open("db", &path).unwrap().count().unwrap(), 2);
        assert!(!folder.path().join("db.part").exists());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let error = |path: &Path| Cursor::open("the/db", path).err().unwrap().to_string();
        assert!(error(&path).starts_with("the/db: not found"));
        fs::create_dir(&path).unwrap();
        assert!(error(&path).contains("no data.mdb"));
        fs::write(path.join("data.mdb"), vec![1; 8192]).unwrap();
        assert!(error(&path).starts_with("the/db: is not an LMDB database"));
        database(&path, &[]);
        assert!(error(&path).contains("no records"));
        let keys: Vec<String> = (0..1000).map(|key| key.to_string()).collect();
        database(&path, &keys.iter().map(String::as_str).collect::<Vec<_>>());
        let file = fs::OpenOptions::new().write(true).open(path.join("data.mdb")).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        assert!(error(&path).contains("cut short"));
    }

    #[test]
    fn a_value_that_is_no_datum_is_named_by_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut writer = Writer::create(&path, 100).unwrap();
        writer.put(b"00001", vec![255; 3]).unwrap();
        writer.finish().unwrap();
        let error = Cursor::open("db", &path).unwrap().next().unwrap_err().to_string();
        assert_eq!(error, "db: record \"00001\" is not a serialized Datum");
    }
}
