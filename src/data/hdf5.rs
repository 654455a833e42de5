//! HDF5 files: arrays by their path in the file, with groups made on the way.
//!
//! Read are files of every version, datasets contiguous or in chunks, compressed by deflate, LZF or shuffled; floats of 32 and 64
//! bits and integers come as f32; texts of a fixed or any length. Written are files that HDF5 1.8 reads, as Caffe's time had it.

use std::{collections::BTreeMap, path::Path};

use hdf5_pure::{CharacterSet, Datatype, FileBuilder, FormatError, GroupBuilder, LibVer, StringPadding};

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

    /// The dataset at this path, its numbers as bytes.
    ///
    /// # Errors
    /// When there is none, or it does not hold numbers.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.read(path, hdf5_pure::Dataset::read_u8)?.values)
    }

    /// The text at this path.
    ///
    /// # Errors
    /// When there is none, or it is no text.
    pub fn text(&self, path: &str) -> Result<String> {
        let fault = |message: String| self.fault(path, &message);
        let dataset = self.dataset(path)?;
        self.check_size(&dataset).map_err(fault)?;
        let texts = dataset.read_string().map_err(|cause| fault(format!("holds no text: {cause}")))?;
        match <[String; 1]>::try_from(texts) {
            Ok([text]) => Ok(text),
            Err(texts) => Err(fault(format!("must hold one text, has {}", texts.len()))),
        }
    }

    fn fault(&self, path: &str, message: &str) -> Error {
        Error::data(&self.name, format!("dataset {path:?} {message}"))
    }

    fn dataset(&self, path: &str) -> Result<hdf5_pure::Dataset> {
        self.file.dataset(path).map_err(|cause| match cause {
            hdf5_pure::Error::Format(FormatError::PathNotFound { .. }) => {
                self.fault(path, &format!("is not there; {}", self.there()))
            }
            cause => self.fault(path, &format!("cannot be read: {cause}")),
        })
    }

    fn read<T>(
        &self,
        path: &str,
        read: impl FnOnce(&hdf5_pure::Dataset) -> Result<Vec<T>, hdf5_pure::Error>,
    ) -> Result<Array<T>> {
        let fault = |message: String| self.fault(path, &message);
        let dataset = self.dataset(path)?;
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
        let [mut names, datasets] = self.members(group)?;
        names.extend(datasets);
        names.sort_unstable();
        Ok(names)
    }

    /// The names of the groups in a group, and those of the datasets in it; "" is the file itself.
    ///
    /// # Errors
    /// When there is no such group.
    pub fn members(&self, group: &str) -> Result<[Vec<String>; 2]> {
        let fault = |cause| Error::data(&self.name, format!("group {group:?} cannot be read: {cause}"));
        let group = if group.is_empty() { self.file.root() } else { self.file.group(group).map_err(fault)? };
        Ok([group.groups().map_err(fault)?, group.datasets().map_err(fault)?])
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
    /// A path that was to be two things.
    clash: Option<String>,
}

#[derive(Debug)]
enum Node {
    Group(BTreeMap<String, Node>),
    Floats(Array<f32>),
    Integers(Array<i32>),
    Bytes(Vec<u8>),
    Text(String),
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

    /// Puts bytes at a path, in a row.
    pub fn bytes(&mut self, path: &str, values: &[u8]) {
        self.put(path, Node::Bytes(values.to_vec()));
    }

    /// Puts a text at a path, as C's strings are: one element with a zero byte behind its last.
    pub fn text(&mut self, path: &str, text: &str) {
        self.put(path, Node::Text(text.to_owned()));
    }

    /// Makes a group, which may stay empty, and those on the way to it.
    pub fn group(&mut self, path: &str) {
        if descend(&mut self.root, path.split('/')).is_none() {
            self.clash = Some(path.to_owned());
        }
    }

    fn put(&mut self, path: &str, node: Node) {
        let (groups, name) = path.rsplit_once('/').unwrap_or(("", path));
        let free = descend(&mut self.root, groups.split('/'))
            .is_some_and(|nodes| nodes.insert(name.to_owned(), node).is_none());
        if !free {
            self.clash = Some(path.to_owned());
        }
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// When a name cannot be one in HDF5, two things have one path, or an array's values are not as many as its dimensions say.
    pub fn finish(self) -> Result<Vec<u8>> {
        if let Some(path) = self.clash {
            return Err(Error::data("HDF5 file", format!("cannot be made: two things in it would be called {path:?}")));
        }
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

/// The group at the end of a path; `None` when something else is in its way.
fn descend<'a>(
    mut nodes: &'a mut BTreeMap<String, Node>,
    path: impl Iterator<Item = &'a str>,
) -> Option<&'a mut BTreeMap<String, Node>> {
    for name in path.filter(|name| !name.is_empty()) {
        match nodes.entry(name.to_owned()).or_insert_with(|| Node::Group(BTreeMap::new())) {
            Node::Group(inside) => nodes = inside,
            _ => return None,
        }
    }
    Some(nodes)
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
        Node::Bytes(values) => drop(dataset.with_u8_data(values)),
        Node::Text(text) => {
            let bytes = [text.as_bytes(), &[0]].concat();
            let datatype = Datatype::String {
                size: bytes.len() as u32,
                padding: StringPadding::NullTerminate,
                charset: CharacterSet::Ascii,
            };
            dataset.with_raw_data(datatype, bytes, 1).with_shape(&[]);
        }
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
        writer.text("learned_net", "runs/größe.caffemodel.h5");
        writer.bytes("more/state", &[0, 255, 7]);
        std::fs::write(&path, writer.finish().unwrap()).unwrap();
        let reader = Reader::open("a.h5", &path).unwrap();
        let weights = Array { shape: vec![2, 1, 3], values: vec![1.0, -2.5, 3.0, 4.0, 5.0, f32::MIN] };
        assert_eq!(reader.floats("data/conv1/0").unwrap(), weights);
        assert_eq!(reader.integers("iter").unwrap(), Array { shape: vec![1], values: vec![41] });
        assert_eq!(reader.floats("iter").unwrap().values, [41.0]);
        assert_eq!(reader.names("").unwrap(), ["data", "iter", "learned_net", "more"]);
        assert_eq!(reader.names("data").unwrap(), ["conv1", "relu1"]);
        assert_eq!(reader.names("data/conv1").unwrap(), ["0", "1"]);
        assert_eq!(reader.members("data/conv1").unwrap(), [vec![], vec!["0".to_owned(), "1".to_owned()]]);
        assert_eq!(reader.text("learned_net").unwrap(), "runs/größe.caffemodel.h5");
        assert_eq!(reader.bytes("more/state").unwrap(), [0, 255, 7]);
        assert!(reader.text("iter").is_err() && reader.bytes("learned_net").is_err());
        let error = reader.floats("data/conv2/0").unwrap_err().to_string();
        assert_eq!(error, "a.h5: dataset \"data/conv2/0\" is not there; the file has data, iter, learned_net, more");
        assert!(reader.floats("data").unwrap_err().to_string().starts_with("a.h5: dataset \"data\" cannot be read: "));
        assert!(reader.names("nowhere").is_err());
    }

    #[test]
    fn a_path_is_one_thing() {
        let clashes = |second: fn(&mut Writer)| {
            let mut writer = Writer::new();
            writer.floats("data/conv/0", &[1], &[1.0]);
            second(&mut writer);
            writer.finish().is_err()
        };
        assert!(clashes(|writer| writer.floats("data/conv/0/1", &[1], &[1.0])));
        assert!(clashes(|writer| writer.floats("data/conv", &[1], &[1.0])));
        assert!(clashes(|writer| writer.group("data/conv/0")));
        assert!(!clashes(|writer| writer.group("data/conv")));
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
