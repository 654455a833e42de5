//! HDF5 files: arrays by their path in the file, with groups made on the way.
//!
//! Read are files of every version, datasets contiguous or in chunks, compressed by deflate, LZF or shuffled; floats of 32 and 64
//! bits and integers come as f32. Written are files that HDF5 1.8 reads, as Caffe's time had it.

use std::{collections::BTreeMap, path::Path};

use hdf5_pure::{Datatype, FileBuilder, FormatError, GroupBuilder, LibVer};

use crate::error::{Error, Result};

/// An array: its dimensions, none for a single value, and its values, the last axis first.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// The dimensions.
    pub shape: Vec<usize>,
    /// As many values as the dimensions say.
    pub values: Vec<T>,
}

/// A file that is read.
pub struct Reader {
    file: hdf5_pure::File,
    name: String,
    /// More bytes than any dataset of this file can hold.
    most_bytes: u64,
}

/// Deflate makes at most so many bytes of one.
const DEFLATE: u64 = 1100;
/// Small files may well have datasets that are mostly empty.
const SMALL: u64 = 64 << 20;

impl Reader {
    /// Opens the file at `path`, which messages call `name`.
    ///
    /// # Errors
    /// When it cannot be read or is no HDF5 file.
    pub fn open(name: &str, path: &Path) -> Result<Self> {
        let file = hdf5_pure::File::open_streaming(path).map_err(|cause| match cause {
            hdf5_pure::Error::Io(cause) => Error::data(name, format!("cannot be read: {cause}")),
            cause => Error::data(name, format!("is not an HDF5 file that can be read: {cause}")),
        })?;
        let most_bytes = file.file_size().saturating_mul(DEFLATE).max(SMALL);
        Ok(Reader { file, name: name.to_owned(), most_bytes })
    }

    /// The dataset at this path, its numbers as f32.
    ///
    /// # Errors
    /// When there is none, or it does not hold numbers.
    pub fn floats(&self, path: &str) -> Result<Array<f32>> {
        self.read(path, hdf5_pure::Dataset::read_f32)
    }

    /// The dataset at this path, its numbers as i32.
    ///
    /// # Errors
    /// When there is none, or it does not hold numbers.
    pub fn integers(&self, path: &str) -> Result<Array<i32>> {
        self.read(path, hdf5_pure::Dataset::read_i32)
    }

    fn read<T>(
        &self,
        path: &str,
        read: impl FnOnce(&hdf5_pure::Dataset) -> Result<Vec<T>, hdf5_pure::Error>,
    ) -> Result<Array<T>> {
        let fault = |message: String| Error::data(&self.name, format!("dataset {path:?} {message}"));
        let dataset = self.file.dataset(path).map_err(|cause| match cause {
            hdf5_pure::Error::Format(FormatError::PathNotFound { .. }) => {
                fault(format!("is not there; {}", self.there()))
            }
            cause => fault(format!("cannot be read: {cause}")),
        })?;
        let damaged = |cause: hdf5_pure::Error| fault(format!("cannot be read: {cause}"));
        if !matches!(dataset.datatype().map_err(damaged)?, Datatype::FloatingPoint { .. } | Datatype::FixedPoint { .. })
        {
            return Err(fault("holds no numbers".into()));
        }
        self.check_size(&dataset).map_err(fault)?;
        let shape: Vec<usize> = dataset.shape().map_err(damaged)?.into_iter().map(|dim| dim as usize).collect();
        let values = read(&dataset).map_err(damaged)?;
        if shape.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim)) != Some(values.len()) {
            return Err(fault(format!("is damaged: it has {} values for the shape {shape:?}", values.len())));
        }
        Ok(Array { shape, values })
    }

    /// A damaged header may ask for more memory than there is.
    fn check_size(&self, dataset: &hdf5_pure::Dataset) -> Result<(), String> {
        let damaged = |cause: hdf5_pure::Error| format!("cannot be read: {cause}");
        let (shape, size) = (dataset.shape().map_err(damaged)?, dataset.element_size().map_err(damaged)?);
        let chunk = dataset.chunk_shape().map_err(damaged)?.unwrap_or_default();
        for dims in [shape, chunk] {
            let bytes = dims.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(dim));
            if bytes.is_none_or(|bytes| bytes > self.most_bytes) {
                return Err(format!("is damaged: its shape {dims:?} is more than the file can hold"));
            }
        }
        Ok(())
    }

    /// The names in a group, groups and datasets, sorted; "" is the file itself.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn names(&self, group: &str) -> Result<Vec<String>> {
        let fault = |cause| Error::data(&self.name, format!("group {group:?} cannot be read: {cause}"));
        let group = if group.is_empty() { self.file.root() } else { self.file.group(group).map_err(fault)? };
        let mut names = group.groups().map_err(fault)?;
        names.extend(group.datasets().map_err(fault)?);
        names.sort_unstable();
        Ok(names)
    }

    /// What the file holds, for messages.
    fn there(&self) -> String {
        match self.names("") {
            Ok(names) if !names.is_empty() => format!("the file has {}", names.join(", ")),
            _ => "the file is empty".into(),
        }
    }
}

/// A file that is made; it stands in memory until it is complete.
#[derive(Debug, Default)]
pub struct Writer {
    root: BTreeMap<String, Node>,
}

#[derive(Debug)]
enum Node {
    Group(BTreeMap<String, Node>),
    Floats(Array<f32>),
    Integers(Array<i32>),
}

impl Writer {
    /// A file with nothing in it.
    pub fn new() -> Self {
        Writer::default()
    }

    /// Puts f32 numbers at a path, `data/conv1/0` say.
    pub fn floats(&mut self, path: &str, shape: &[usize], values: &[f32]) {
        self.put(path, Node::Floats(Array { shape: shape.to_vec(), values: values.to_vec() }));
    }

    /// Puts i32 numbers at a path.
    pub fn integers(&mut self, path: &str, shape: &[usize], values: &[i32]) {
        self.put(path, Node::Integers(Array { shape: shape.to_vec(), values: values.to_vec() }));
    }

    /// Makes a group, which may stay empty, and those on the way to it.
    pub fn group(&mut self, path: &str) {
        descend(&mut self.root, path.split('/'));
    }

    fn put(&mut self, path: &str, node: Node) {
        let (groups, name) = path.rsplit_once('/').unwrap_or(("", path));
        descend(&mut self.root, groups.split('/')).insert(name.to_owned(), node);
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// When a name cannot be one in HDF5, or an array's values are not as many as its dimensions say.
    pub fn finish(self) -> Result<Vec<u8>> {
        let mut file = FileBuilder::new();
        file.with_libver_bounds(LibVer::Earliest, LibVer::V18);
        for (name, node) in &self.root {
            match node {
                Node::Group(nodes) => {
                    let mut group = file.create_group(name);
                    fill(&mut group, nodes);
                    file.add_group(group.finish());
                }
                node => put_values(file.create_dataset(name), node),
            }
        }
        file.finish().map_err(|cause| Error::data("HDF5 file", format!("cannot be made: {cause}")))
    }
}

/// The group at the end of a path; what is in its way is replaced.
fn descend<'a>(
    mut nodes: &'a mut BTreeMap<String, Node>,
    path: impl Iterator<Item = &'a str>,
) -> &'a mut BTreeMap<String, Node> {
    for name in path.filter(|name| !name.is_empty()) {
        let node = nodes.entry(name.to_owned()).or_insert_with(|| Node::Group(BTreeMap::new()));
        if !matches!(node, Node::Group(_)) {
            *node = Node::Group(BTreeMap::new());
        }
        let Node::Group(inside) = node else { unreachable!("it was made a group in the line above") };
        nodes = inside;
    }
    nodes
}

fn fill(group: &mut GroupBuilder, nodes: &BTreeMap<String, Node>) {
    for (name, node) in nodes {
        match node {
            Node::Group(nodes) => {
                let mut inside = group.create_group(name);
                fill(&mut inside, nodes);
                group.add_group(inside.finish());
            }
            node => put_values(group.create_dataset(name), node),
        }
    }
}

fn put_values(dataset: &mut hdf5_pure::DatasetBuilder, node: &Node) {
    let dims = |shape: &[usize]| shape.iter().map(|&dim| dim as u64).collect::<Vec<_>>();
    match node {
        Node::Floats(Array { shape, values }) => drop(dataset.with_f32_data(values).with_shape(&dims(shape))),
        Node::Integers(Array { shape, values }) => drop(dataset.with_i32_data(values).with_shape(&dims(shape))),
        Node::Group(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        let mut writer = Writer::new();
        writer.floats("data/conv1/0", &[2, 1, 3], &[1.0, -2.5, 3.0, 4.0, 5.0, f32::MIN]);
        writer.floats("data/conv1/1", &[2], &[7.0, 8.0]);
        writer.integers("iter", &[1], &[41]);
        writer.group("data/relu1");
        std::fs::write(&path, writer.finish().unwrap()).unwrap();
        let reader = Reader::open("a.h5", &path).unwrap();
        let weights = Array { shape: vec![2, 1, 3], values: vec![1.0, -2.5, 3.0, 4.0, 5.0, f32::MIN] };
        assert_eq!(reader.floats("data/conv1/0").unwrap(), weights);
        assert_eq!(reader.integers("iter").unwrap(), Array { shape: vec![1], values: vec![41] });
        assert_eq!(reader.floats("iter").unwrap().values, [41.0]);
        assert_eq!(reader.names("").unwrap(), ["data", "iter"]);
        assert_eq!(reader.names("data").unwrap(), ["conv1", "relu1"]);
        assert_eq!(reader.names("data/conv1").unwrap(), ["0", "1"]);
        let error = reader.floats("data/conv2/0").unwrap_err().to_string();
        assert_eq!(error, "a.h5: dataset \"data/conv2/0\" is not there; the file has data, iter");
        assert!(reader.floats("data").unwrap_err().to_string().starts_with("a.h5: dataset \"data\" cannot be read: "));
        assert!(reader.names("nowhere").is_err());
    }

    #[test]
    fn wide_and_compressed_numbers_become_f32() {
        let reader = Reader::open("part0.h5", Path::new("tests/golden/hdf5/part0.h5")).unwrap();
        let extra = reader.floats("extra").unwrap();
        assert_eq!((extra.shape, extra.values.len()), (vec![5, 6], 30));
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        let error = |path: &Path| Reader::open("a.h5", path).err().unwrap().to_string();
        assert!(error(&path).starts_with("a.h5: cannot be read: "));
        std::fs::write(&path, "no array").unwrap();
        assert!(error(&path).starts_with("a.h5: is not an HDF5 file that can be read: "));
    }

    #[test]
    fn damage_ends_in_an_error_or_in_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        let bytes = std::fs::read("tests/golden/hdf5/part0.h5").unwrap();
        for place in (0..bytes.len()).step_by(5) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x55;
            std::fs::write(&path, damaged).unwrap();
            let Ok(reader) = Reader::open("a.h5", &path) else { continue };
            for name in ["data", "label", "extra"] {
                let _ = reader.floats(name);
            }
        }
    }
}
