//! CIFAR-10: from the official binary version (`cifar-10-binary.tar.gz`, or the files in it) to Caffe's databases.
//!
//! A file `data_batch_1.bin` … `data_batch_5.bin` or `test_batch.bin` is 10,000 records of 3,073 bytes: the label, then the
//! red, green and blue planes of 32×32 bytes each, which is how the record holds them too.

use std::path::Path;

use super::{
    download::{Official, OfficialFile},
    files::Files,
    mean, record_progress,
};
use crate::{
    data::{lmdb, record::serialize_bytes},
    error::{Error, Result},
};

/// The archive, as its author publishes it.
pub const OFFICIAL: Official = Official {
    servers: &["https://www.cs.toronto.edu/~kriz"],
    files: &[OfficialFile { name: "cifar-10-binary.tar.gz", md5: "c32a1d4ab5d03f1284b67883e8d87530" }],
};

/// Records in a file.
pub const BATCH: usize = 10_000;

const SHAPE: [usize; 3] = [3, 32, 32];
const RECORD: usize = 1 + 3 * 32 * 32;
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: [&str; 1] = ["test_batch.bin"];

/// Makes both databases and the mean in `folder`, from files of `batch` records each.
///
/// # Errors
/// When a file is missing or is not as long as it must be, or `folder` cannot be written.
pub fn convert(from: &Path, folder: &Path, batch: usize) -> Result<()> {
    let files = Files::read(from, &file_names(), "cifar-10-binary.tar.gz")?;
    let train = folder.join("cifar10_train_lmdb");
    write(&files, &TRAIN, &train, batch)?;
    write(&files, &TEST, &folder.join("cifar10_test_lmdb"), batch)?;
    let mut cursor = lmdb::Cursor::open(&train.display().to_string(), &train)?;
    mean::write(&mean::of(&mut cursor)?, &folder.join("mean.binaryproto"))
}

/// The files that the databases are made of.
pub fn file_names() -> Vec<&'static str> {
    TRAIN.into_iter().chain(TEST).collect()
}

fn write(files: &Files, names: &[&str], database: &Path, batch: usize) -> Result<()> {
    let total = names.len() * batch;
    let bar = record_progress(total, database);
    let mut writer = lmdb::Writer::create(database, (total * 2 * RECORD) as u64)?;
    for (file, name) in names.iter().enumerate() {
        let bytes = files.get(name);
        if bytes.len() != batch * RECORD {
            let wanted = batch * RECORD;
            let message = format!("has {} bytes, a file of {batch} records has {wanted}: get it again", bytes.len());
            return Err(Error::data(files.origin(name), message));
        }
        for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
            let value = serialize_bytes(SHAPE, i32::from(record[0]), &record[1..]);
            writer.put(format!("{:05}", file * batch + index).as_bytes(), value)?;
            bar.inc(1);
        }
    }
    writer.finish()?;
    bar.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Image, Planes, Source};

    /// Two records per file; byte `p` of record `r` of file `f` is `(100·f + 10·r + p) mod 256`, its label `f + r`.
    fn file(file: usize) -> Vec<u8> {
        let record = |index: usize| {
            let pixels = (0..RECORD - 1).map(move |pixel| (100 * file + 10 * index + pixel) as u8);
            std::iter::once((file + index) as u8).chain(pixels)
        };
        (0..2).flat_map(record).collect()
    }

    fn files() -> Vec<(&'static str, Vec<u8>)> {
        TRAIN.into_iter().chain(TEST).enumerate().map(|(index, name)| (name, file(index))).collect()
    }

    fn check(folder: &Path) {
        let mut cursor = lmdb::Cursor::open("train", &folder.join("cifar10_train_lmdb")).unwrap();
        assert_eq!(cursor.count().unwrap(), 10);
        let labels: Vec<i32> = (0..10).map(|_| cursor.next().unwrap().label).collect();
        assert_eq!(labels, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
        cursor.rewind();
        (0..3).for_each(|_| drop(cursor.next().unwrap()));
        let record = cursor.next().unwrap();
        assert_eq!(record.key, b"00003");
        assert_eq!(record.image, Image::Raw(Planes::bytes(SHAPE, &file(1)[RECORD + 1..])));
        let mut cursor = lmdb::Cursor::open("test", &folder.join("cifar10_test_lmdb")).unwrap();
        assert_eq!((cursor.count().unwrap(), cursor.next().unwrap().label), (2, 5));
        let mean = mean::read(&folder.join("mean.binaryproto")).unwrap();
        // Pixel 0 of the ten training records: 0 10 100 110 200 210 44 54 144 154.
        assert_eq!((mean.data.len(), mean.data[0]), (3072, 102.6));
    }

    #[test]
    fn files_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files() {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        convert(folder.path(), folder.path(), 2).unwrap();
        check(folder.path());
    }

    #[test]
    fn the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cifar-10-binary.tar.gz");
        let gzip = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        for (name, bytes) in files().into_iter().rev() {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            let name = format!("cifar-10-batches-bin/{name}");
            archive.append_data(&mut header, name, &*bytes).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        for (from, to) in [(path.as_path(), "from_file"), (folder.path(), "from_folder")] {
            let to = folder.path().join(to);
            std::fs::create_dir(&to).unwrap();
            convert(from, &to, 2).unwrap();
            check(&to);
        }
    }

    #[test]
    fn a_short_file_and_a_missing_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files() {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        std::fs::write(folder.path().join("data_batch_3.bin"), file(2).split_off(1)).unwrap();
        let error = convert(folder.path(), folder.path(), 2).unwrap_err().to_string();
        assert!(error.contains("data_batch_3.bin: has 6145 bytes, a file of 2 records has 6146"), "{error}");
        assert!(!folder.path().join("cifar10_train_lmdb").exists());
        std::fs::remove_file(folder.path().join("test_batch.bin")).unwrap();
        let error = convert(folder.path(), folder.path(), 2).unwrap_err().to_string();
        assert!(error.contains("test_batch.bin"), "{error}");
    }
}
