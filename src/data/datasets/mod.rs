//! Public data sets, made into the databases that Caffe's own converters make: the same keys, order and bytes.
//!
//! | data set | makes | keys |
//! |---|---|---|
//! | CIFAR-10 (Krizhevsky 2009) | `cifar10_train_lmdb` (50,000), `cifar10_test_lmdb` (10,000), `mean.binaryproto` | five digits |
//! | MNIST (LeCun et al. 1998) | `mnist_train_lmdb` (60,000), `mnist_test_lmdb` (10,000) | eight digits |
//!
//! A data set that is complete is left alone. A half-made one is made again: databases and files get their names only when
//! they are complete.

pub mod download;
pub mod mean;

mod cifar10;
mod files;
mod mnist;

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Source, lmdb};
use crate::error::Result;
use download::Official;

/// A data set that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSet {
    /// 32×32 colour images of ten classes.
    Cifar10,
    /// 28×28 gray images of ten digits.
    Mnist,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was complete already; nothing was changed.
    Complete,
    /// It was made, from these files.
    Made {
        /// The folder or archive that was read.
        from: PathBuf,
    },
}

impl DataSet {
    /// Makes the data set in `folder`, from the files or the archive at `from`, or from the official ones, which are
    /// downloaded where `folder` does not hold them.
    ///
    /// `mirror` replaces the official servers: the address of the folder that holds the files.
    ///
    /// # Errors
    /// When a file is missing or damaged, the network fails, or `folder` cannot be written.
    pub fn make(self, folder: &Path, from: Option<&Path>, mirror: Option<&str>) -> Result<Outcome> {
        if self.is_complete(folder) {
            return Ok(Outcome::Complete);
        }
        std::fs::create_dir_all(folder).map_err(|cause| crate::Error::io(folder, cause))?;
        let is_here = from.is_some() || files::lie_in(folder, &self.file_names());
        let fetched = if is_here { Vec::new() } else { download::fetch_all(self.official(), folder, mirror)? };
        let from = from.unwrap_or(folder);
        match self {
            DataSet::Cifar10 => cifar10::convert(from, folder, cifar10::BATCH)?,
            DataSet::Mnist => mnist::convert(from, folder)?,
        }
        for archive in fetched {
            std::fs::remove_file(&archive).map_err(|cause| crate::Error::io(&archive, cause))?;
        }
        Ok(Outcome::Made { from: from.to_owned() })
    }

    /// What stands in the folder of a complete data set.
    pub fn products(self, folder: &Path) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            DataSet::Cifar10 => &["cifar10_train_lmdb", "cifar10_test_lmdb", "mean.binaryproto"],
            DataSet::Mnist => &["mnist_train_lmdb", "mnist_test_lmdb"],
        };
        names.iter().map(|name| folder.join(name)).collect()
    }

    fn is_complete(self, folder: &Path) -> bool {
        let counts: [usize; 2] = match self {
            DataSet::Cifar10 => [50_000, 10_000],
            DataSet::Mnist => [60_000, 10_000],
        };
        let products = self.products(folder);
        let databases = products.iter().zip(counts).all(|(path, count)| holds(path, count));
        databases && products.get(2).is_none_or(|path| mean::read(path).is_ok())
    }

    fn file_names(self) -> Vec<&'static str> {
        match self {
            DataSet::Cifar10 => cifar10::file_names(),
            DataSet::Mnist => mnist::file_names(),
        }
    }

    fn official(self) -> Official {
        match self {
            DataSet::Cifar10 => cifar10::OFFICIAL,
            DataSet::Mnist => mnist::OFFICIAL,
        }
    }
}

fn holds(database: &Path, count: usize) -> bool {
    let name = database.display().to_string();
    lmdb::Cursor::open(&name, database).and_then(|cursor| cursor.count()).is_ok_and(|found| found == count)
}

/// A bar for work of `length` steps; it shows on a terminal only.
fn progress(length: u64, template: &str, message: String) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(message)
}

/// A bar that counts records.
fn record_progress(length: usize, database: &Path) -> ProgressBar {
    let name = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    progress(length as u64, "{msg} {wide_bar} {human_pos}/{human_len} {eta}", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_file_without_its_databases_is_not_complete() {
        let folder = tempfile::tempdir().unwrap();
        let blob = crate::proto::BlobProto { data: vec![1.0; 12], ..Default::default() };
        mean::write(&blob, &folder.path().join("mean.binaryproto")).unwrap();
        assert!(!DataSet::Cifar10.is_complete(folder.path()));
    }

    /// A server is asked only for what is not there.
    #[test]
    fn files_in_the_folder_are_not_downloaded() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = Some("http://127.0.0.1:9");
        let error = DataSet::Mnist.make(folder.path(), None, nowhere).unwrap_err().to_string();
        assert!(error.contains("download failed"), "{error}");
        for name in DataSet::Mnist.file_names() {
            std::fs::write(folder.path().join(name), "empty").unwrap();
        }
        let error = DataSet::Mnist.make(folder.path(), None, nowhere).unwrap_err().to_string();
        assert!(error.contains("is not an idx file of images"), "{error}");
    }

    /// The real CIFAR-10 and MNIST, where `RCAFFE_TEST_DATA` names a folder with the official files in `official/cifar10` and
    /// `official/mnist`.
    #[test]
    fn real_data_sets() {
        let folder = std::env::var_os("RCAFFE_TEST_DATA").map(|folder| PathBuf::from(folder).join("official"));
        let Some(data) = folder.filter(|folder| folder.is_dir()) else {
            println!("skipped: RCAFFE_TEST_DATA does not name a folder with official/cifar10 and official/mnist");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        for (set, from) in [(DataSet::Cifar10, "cifar10"), (DataSet::Mnist, "mnist")] {
            let from = data.join(from);
            assert_eq!(set.make(folder.path(), Some(&from), None).unwrap(), Outcome::Made { from });
            assert_eq!(set.make(folder.path(), None, None).unwrap(), Outcome::Complete);
        }
        let path = folder.path().join("cifar10_test_lmdb");
        let mut cursor = lmdb::Cursor::open("test", &path).unwrap();
        let first: Vec<_> = (0..4).map(|_| cursor.next().unwrap().label).collect();
        assert_eq!(first, [3, 8, 8, 0], "cat, ship, ship, airplane");
        let path = folder.path().join("mnist_train_lmdb");
        let mut cursor = lmdb::Cursor::open("train", &path).unwrap();
        let record = cursor.next().unwrap();
        assert_eq!((record.key, record.label), (&b"00000000"[..], 5));
        let mean = mean::read(&folder.path().join("mean.binaryproto")).unwrap();
        let of_channel = |channel: usize| mean.data[1024 * channel..][..1024].iter().sum::<f32>() / 1024.0;
        assert_eq!([0, 1, 2].map(|channel| of_channel(channel).round()), [125.0, 123.0, 114.0]);
    }
}
