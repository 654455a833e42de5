//! MNIST: from the four idx files, plain or gzipped, to Caffe's databases.
//!
//! An idx file of images begins with the big-endian numbers 2051, count, rows, columns; one of labels with 2049, count.

use std::path::Path;

use super::{
    download::{Official, OfficialFile},
    files::Files,
    record_progress,
};
use crate::{
    data::{lmdb, record::serialize_bytes},
    error::{Error, Result},
};

/// The files, on two mirrors: the original server no longer gives them out.
pub const OFFICIAL: Official = Official {
    servers: &["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"],
    files: &[
        OfficialFile { name: "train-images-idx3-ubyte.gz", md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873" },
        OfficialFile { name: "train-labels-idx1-ubyte.gz", md5: "d53e105ee54ea40749a09fcbcd1e9432" },
        OfficialFile { name: "t10k-images-idx3-ubyte.gz", md5: "9fb629c4189551a2d022fa330f9573f3" },
        OfficialFile { name: "t10k-labels-idx1-ubyte.gz", md5: "ec29112dd5afa0611ce80d1b7f02629c" },
    ],
};

const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Makes both databases in `folder`.
///
/// # Errors
/// When a file is missing or damaged, or `folder` cannot be written.
pub fn convert(from: &Path, folder: &Path) -> Result<()> {
    let files = Files::read(from, &file_names(), "mnist.tar.gz")?;
    write(&files, TRAIN, &folder.join("mnist_train_lmdb"))?;
    write(&files, TEST, &folder.join("mnist_test_lmdb"))
}

/// The files that the databases are made of.
pub fn file_names() -> Vec<&'static str> {
    TRAIN.into_iter().chain(TEST).collect()
}

fn write(files: &Files, [images, labels]: [&str; 2], database: &Path) -> Result<()> {
    let damaged = |name: &str, message: &str| Error::data(files.origin(name), message);
    let ([count, rows, columns], pixels) =
        idx(files.get(images), 2051).ok_or_else(|| damaged(images, "is not an idx file of images, or is damaged"))?;
    let ([label_count], classes) =
        idx(files.get(labels), 2049).ok_or_else(|| damaged(labels, "is not an idx file of labels, or is damaged"))?;
    if count != label_count {
        let message = format!("has {label_count} labels for the {count} images of {images}");
        return Err(damaged(labels, &message));
    }
    let bar = record_progress(count, database);
    let mut writer = lmdb::Writer::create(database, (count * (rows * columns + 64)) as u64)?;
    for (index, (image, &class)) in pixels.chunks_exact(rows * columns).zip(classes).enumerate() {
        let value = serialize_bytes([1, rows, columns], i32::from(class), image);
        writer.put(format!("{index:08}").as_bytes(), value)?;
        bar.inc(1);
    }
    writer.finish()?;
    bar.finish();
    Ok(())
}

/// The dimensions and the values of an idx file with this magic number; nothing when it is not one, or has no values.
fn idx<const AXES: usize>(bytes: &[u8], magic: u32) -> Option<([usize; AXES], &[u8])> {
    let (head, values) = bytes.split_at_checked(4 + 4 * AXES)?;
    let (numbers, _) = head.as_chunks::<4>();
    let mut numbers = numbers.iter().map(|&number| u32::from_be_bytes(number));
    let is_ours = numbers.next() == Some(magic);
    let mut dims = [0; AXES];
    dims.iter_mut().zip(numbers).for_each(|(dim, number)| *dim = number as usize);
    let count = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim))?;
    (is_ours && count > 0 && count == values.len()).then_some((dims, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Image, Planes, Source};
    use std::io::Write;

    fn numbers(numbers: &[u32], values: &[u8]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).chain(values.iter().copied()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn fill(folder: &Path) {
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        write("train-images-idx3-ubyte", &numbers(&[2051, 2, 1, 2], &[1, 2, 3, 4]));
        write("train-labels-idx1-ubyte.gz", &gzip(&numbers(&[2049, 2], &[9, 8])));
        write("t10k-images.idx3-ubyte", &numbers(&[2051, 1, 1, 2], &[5, 6]));
        write("t10k-labels-idx1-ubyte", &numbers(&[2049, 1], &[7]));
    }

    #[test]
    fn plain_and_gzipped_files() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        convert(folder.path(), folder.path()).unwrap();
        let mut cursor = lmdb::Cursor::open("train", &folder.path().join("mnist_train_lmdb")).unwrap();
        cursor.next().unwrap();
        let record = cursor.next().unwrap();
        assert_eq!((record.key, record.label), (&b"00000001"[..], 8));
        assert_eq!(record.image, Image::Raw(Planes::bytes([1, 1, 2], &[3, 4])));
        let mut cursor = lmdb::Cursor::open("test", &folder.path().join("mnist_test_lmdb")).unwrap();
        assert_eq!((cursor.count().unwrap(), cursor.next().unwrap().label), (1, 7));
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let wrong = numbers(&[2049, 3], &[9, 8, 7]);
        std::fs::write(folder.path().join("train-labels-idx1-ubyte"), wrong).unwrap();
        let error = convert(folder.path(), folder.path()).unwrap_err().to_string();
        assert!(error.contains("train-labels-idx1-ubyte: has 3 labels for the 2 images"), "{error}");
        std::fs::write(folder.path().join("train-images-idx3-ubyte"), numbers(&[2051, 3, 1, 2], &[1; 5])).unwrap();
        let error = convert(folder.path(), folder.path()).unwrap_err().to_string();
        assert!(error.contains("train-images-idx3-ubyte: is not an idx file of images, or is damaged"), "{error}");
    }
}
