use std::{collections::BTreeMap, fs};

use rusty_leveldb::{CompressorId, DB, Options, compressor::SnappyCompressor};

use super::*;
use crate::{data::record::serialize_bytes, rng::Random};

/// A database of many tables, levels and a log, as another implementation writes it; small memory makes it write tables often.
fn write(folder: &Path, entries: &[(String, Option<i32>)], snappy: bool) {
    let compressor = if snappy { SnappyCompressor::ID } else { 0 };
    let options = || Options { write_buffer_size: 8_000, max_file_size: 4_000, compressor, ..Options::default() };
    for session in entries.chunks(entries.len().div_ceil(3)) {
        let mut database = DB::open(folder, options()).unwrap();
        for (key, label) in session {
            match label {
                Some(label) => database.put(key.as_bytes(), &serialize_bytes([1, 1, 40], *label, &[7; 40])).unwrap(),
                None => database.delete(key.as_bytes()).unwrap(),
            }
        }
        database.flush().unwrap();
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn read(cursor: &mut Cursor, count: usize) -> Vec<(String, i32)> {
    let mut record =
        || cursor.next().map(|record| (String::from_utf8(record.key.to_vec()).unwrap(), record.label)).unwrap();
    (0..count).map(|_| record()).collect()
}

fn copy_of_golden(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (path, bytes) in files(Path::new("tests/golden/db/leveldb_raw")) {
        fs::write(folder.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

#[test]
fn tables_and_logs_are_merged_and_nothing_is_written() {
    for seed in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut random = Random::new(seed);
        let entry = |label| {
            let key = format!("key{:03}", random.uniform_int(300));
            (key, (random.uniform_int(3) > 0).then_some(label))
        };
        let entries: Vec<(String, Option<i32>)> = (0..900).map(entry).collect();
        write(&path, &entries, seed % 2 == 0);
        let mut expected = BTreeMap::new();
        for (key, label) in entries {
            match label {
                Some(label) => expected.insert(key, label),
                None => expected.remove(&key),
            };
        }
        let expected: Vec<(String, i32)> = expected.into_iter().collect();
        let before = files(&path);
        assert!(before.len() > 8);
        let mut cursor = Cursor::open("db", &path).unwrap();
        assert_eq!(cursor.count().unwrap(), expected.len());
        assert_eq!(read(&mut cursor, expected.len()), expected);
        assert_eq!((cursor.rounds(), read(&mut cursor, expected.len()), cursor.rounds()), (0, expected.clone(), 1));
        read(&mut cursor, 5);
        let position = cursor.position();
        let mut other = Cursor::open("db", &path).unwrap();
        other.seek(position).unwrap();
        let more = expected.len() + 2;
        assert_eq!(read(&mut other, more), read(&mut cursor, more));
        assert_eq!((position.place, position.rounds, other.position()), (5, 2, cursor.position()));
        let beyond = Position { place: expected.len() + 1, ..position };
        assert!(other.seek(beyond).unwrap_err().to_string().contains(&format!("has {} records", expected.len())));
        cursor.rewind();
        let mut other = Cursor::open("db", &path).unwrap();
        read(&mut other, 7);
        assert_eq!(read(&mut cursor, 3), expected[..3]);
        assert_eq!(files(&path), before);
    }
}

#[test]
fn tables_with_the_old_ending_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    copy_of_golden(&path);
    let labels = |path: &Path| read(&mut Cursor::open("db", path).unwrap(), 12);
    let expected = labels(&path);
    fs::rename(path.join("000005.ldb"), path.join("000005.sst")).unwrap();
    assert_eq!(labels(&path), expected);
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let error = |path: &Path| Cursor::open("the/db", path).err().unwrap().to_string();
    assert!(error(&path).starts_with("the/db: not found"));
    fs::create_dir(&path).unwrap();
    assert!(error(&path).ends_with("there is no CURRENT in it"));
    fs::remove_dir(&path).unwrap();
    copy_of_golden(&path);
    let table = fs::OpenOptions::new().write(true).open(path.join("000005.ldb")).unwrap();
    table.set_len(1000).unwrap();
    assert!(error(&path).contains("000005.ldb is cut short: it has 1000 bytes of "));
    fs::remove_file(path.join("000005.ldb")).unwrap();
    assert!(error(&path).contains("000005.ldb is missing"));
    fs::remove_file(path.join("MANIFEST-000004")).unwrap();
    assert!(error(&path).starts_with("the/db: the database cannot be read: MANIFEST-000004: "));
    drop(DB::open(folder.path().join("empty"), Options::default()).unwrap());
    assert_eq!(error(&folder.path().join("empty")), "the/db: the database holds no records");
}

/// Every record that is handed out is whole, whichever byte is damaged.
#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let entries: Vec<_> = (0..90).map(|label| (format!("key{label}"), Some(label))).collect();
    write(&path, &entries, true);
    let all = |path: &Path| -> Result<Vec<i32>> {
        let mut cursor = Cursor::open("db", path)?;
        (0..90).map(|_| Ok(cursor.next()?.label)).collect()
    };
    let expected = all(&path).unwrap();
    let mut found = 0;
    for (file, bytes) in files(&path) {
        for place in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            fs::write(&file, damaged).unwrap();
            match all(&path) {
                // A log or manifest that seems to end early counts as unfinished, as in LevelDB.
                Ok(labels) => assert!(labels == expected || file.extension().is_none_or(|ending| ending != "ldb")),
                Err(_) => found += 1,
            }
        }
        fs::write(&file, bytes).unwrap();
    }
    assert!(found > 50);
}
