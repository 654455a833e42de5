//! Rows of arrays from HDF5 files, one after the other, over and over: what `HDF5Data` hands out.

use std::path::{Path, PathBuf};

use log::info;

use super::{
    hdf5::{Array, Reader},
    paths,
};
use crate::{
    error::{Error, Result},
    proto::LayerState,
};

/// A place in a list of files.
pub struct Rows {
    list: String,
    base: Option<PathBuf>,
    files: Vec<String>,
    /// The files' places in the present round, and the present one's place among them.
    file_order: Vec<u32>,
    file: usize,
    datasets: Vec<String>,
    arrays: Vec<Array<f32>>,
    order: Vec<u32>,
    row: usize,
    shuffle: Option<LibraryRandom>,
}

impl Rows {
    /// Reads the list `name` of files, parted by blanks or line ends, and the first file: of each the datasets of these names.
    /// `base` is the folder of the net file ([`paths::resolve`]). Shuffled are the files, and the rows within each.
    ///
    /// # Errors
    /// When a file cannot be read, a dataset is missing, or the datasets differ in their number of rows.
    pub fn open(name: &str, datasets: &[String], shuffle: bool, base: Option<&Path>) -> Result<Self> {
        let path = paths::resolve(name, base);
        if !path.exists() {
            return Err(paths::missing(name));
        }
        let text = std::fs::read_to_string(&path).map_err(|cause| Error::io(&path, cause))?;
        let mut rows = Rows {
            list: name.to_owned(),
            base: base.map(Path::to_owned),
            files: text.split_ascii_whitespace().map(str::to_owned).collect(),
            file_order: Vec::new(),
            file: 0,
            datasets: datasets.to_vec(),
            arrays: Vec::new(),
            order: Vec::new(),
            row: 0,
            shuffle: shuffle.then(LibraryRandom::default),
        };
        info!("Number of HDF5 files: {}", rows.files.len());
        if rows.files.is_empty() {
            return Err(Error::data(name, "lists no HDF5 files"));
        }
        rows.file_order.extend(0..rows.files.len() as u32);
        if let Some(random) = &mut rows.shuffle {
            random.shuffle(&mut rows.file_order);
        }
        rows.load()?;
        Ok(rows)
    }

    /// The shape of one row of a dataset.
    pub fn shape(&self, dataset: usize) -> &[usize] {
        &self.arrays[dataset].shape[1..]
    }

    /// The present row of a dataset.
    pub fn row(&self, dataset: usize) -> &[f32] {
        let values = &self.arrays[dataset].values;
        let length = values.len() / self.order.len();
        &values[self.order[self.row] as usize * length..][..length]
    }

    /// Goes to the next row.
    ///
    /// # Errors
    /// When the next file cannot be used.
    pub fn advance(&mut self) -> Result<()> {
        self.row += 1;
        if self.row < self.order.len() {
            return Ok(());
        }
        if self.files.len() > 1 {
            self.file += 1;
            if self.file == self.files.len() {
                self.file = 0;
                if let Some(random) = &mut self.shuffle {
                    random.shuffle(&mut self.file_order);
                }
            }
            self.load()?;
        }
        self.row = 0;
        // The rows of a file that was just loaded have been shuffled already; Caffe does it again.
        if let Some(random) = &mut self.shuffle {
            random.shuffle(&mut self.order);
        }
        Ok(())
    }

    /// Where the rows stand, for a snapshot.
    pub fn state(&self) -> LayerState {
        let random = self.shuffle.as_ref().map_or_else(Vec::new, LibraryRandom::state);
        LayerState {
            source: Some(self.list.clone()),
            place: Some(self.file as u64),
            random,
            file_order: self.file_order.clone(),
            row_order: self.order.clone(),
            row: Some(self.row as u32),
            ..LayerState::default()
        }
    }

    /// Goes to where such rows stood.
    ///
    /// # Errors
    /// When the state is of other files.
    pub fn restore(&mut self, state: &LayerState) -> Result<()> {
        let other = || Error::data(&self.list, "has not the files and rows that it had when the snapshot was made");
        let file = usize::try_from(state.place()).unwrap_or(usize::MAX);
        let is_same = state.source() == self.list && is_order(&state.file_order, self.files.len());
        let name = state.file_order.get(file).filter(|_| is_same).ok_or_else(other)?;
        let (arrays, rows) = self.read(&self.files[*name as usize])?;
        let row = state.row() as usize;
        if row >= rows || !is_order(&state.row_order, rows) {
            return Err(other());
        }
        let random = LibraryRandom::from_state(&state.random);
        if self.shuffle.is_some() {
            self.shuffle = Some(random.ok_or_else(other)?);
        }
        (self.file, self.file_order, self.arrays) = (file, state.file_order.clone(), arrays);
        (self.row, self.order) = (row, state.row_order.clone());
        Ok(())
    }

    fn load(&mut self) -> Result<()> {
        let (arrays, rows) = self.read(&self.files[self.file_order[self.file] as usize])?;
        self.arrays = arrays;
        self.order.clear();
        self.order.extend(0..rows as u32);
        if let Some(random) = &mut self.shuffle {
            random.shuffle(&mut self.order);
        }
        Ok(())
    }

    /// The arrays of a file, and their number of rows.
    fn read(&self, name: &str) -> Result<(Vec<Array<f32>>, usize)> {
        let reader = Reader::open(name, &paths::resolve(name, self.base.as_deref()))
            .map_err(|error| if let Error::Data { .. } = error { listed(error, &self.list) } else { error })?;
        let mut arrays = Vec::with_capacity(self.datasets.len());
        for dataset in &self.datasets {
            arrays.push(reader.floats(dataset)?);
        }
        let rows = arrays[0].shape.first().copied().unwrap_or(0);
        for (array, dataset) in arrays.iter().zip(&self.datasets) {
            let fault = |message: String| Err(Error::data(name, format!("dataset {dataset:?} {message}")));
            match array.shape.first() {
                None => return fault("is a single value; its first axis must count rows".into()),
                Some(0) => return fault("has no rows".into()),
                Some(&found) if found != rows => {
                    return fault(format!("has {found} rows, dataset {:?} has {rows}", self.datasets[0]));
                }
                Some(_) => {}
            }
        }
        for ((array, before), dataset) in arrays.iter().zip(&self.arrays).zip(&self.datasets) {
            if array.shape[1..] != before.shape[1..] {
                let message =
                    format!("has rows of the shape {:?}, earlier files {:?}", &array.shape[1..], &before.shape[1..]);
                return Err(Error::data(name, format!("dataset {dataset:?} {message}")));
            }
        }
        Ok((arrays, rows))
    }
}

/// Whether these are the numbers below `count`, each once.
fn is_order(order: &[u32], count: usize) -> bool {
    let mut seen = vec![false; count];
    let is_new = |&index: &u32| seen.get_mut(index as usize).is_some_and(|seen| !std::mem::replace(seen, true));
    order.len() == count && order.iter().all(is_new)
}

/// Adds where the name of a file comes from.
fn listed(error: Error, list: &str) -> Error {
    match error {
        Error::Data { place, origin, message } => {
            Error::Data { place, origin, message: format!("{message} (the file is named in {list})") }
        }
        error => error,
    }
}

/// The random numbers of the C library (glibc's `rand`, an additive feedback generator) from its own first seed, 1, which Caffe
/// never changes: HDF5 data are shuffled alike in every run, whatever `random_seed` is.
struct LibraryRandom {
    words: [u32; 31],
    place: usize,
}

impl Default for LibraryRandom {
    fn default() -> Self {
        let mut words = [1_u32; 31];
        for index in 1..31 {
            // 7⁵ times the word before, modulo 2³¹ − 1 (Park and Miller 1988).
            words[index] = (u64::from(words[index - 1]) * 16_807 % 0x7fff_ffff) as u32;
        }
        let mut random = LibraryRandom { words, place: 3 };
        for _ in 0..310 {
            random.next();
        }
        random
    }
}

impl LibraryRandom {
    fn next(&mut self) -> u32 {
        let place = self.place;
        self.words[place] = self.words[place].wrapping_add(self.words[(place + 28) % 31]);
        self.place = (place + 1) % 31;
        self.words[place] >> 1
    }

    /// The words, then the place among them.
    fn state(&self) -> Vec<u32> {
        self.words.iter().copied().chain([self.place as u32]).collect()
    }

    fn from_state(state: &[u32]) -> Option<Self> {
        let (&place, words) = state.split_last()?;
        let words = <[u32; 31]>::try_from(words).ok()?;
        (place < 31).then_some(LibraryRandom { words, place: place as usize })
    }

    /// The order that the C++ library's `random_shuffle` gives.
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in 1..items.len() {
            let other = self.next() as usize % (index + 1);
            items.swap(index, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::hdf5::Writer;

    /// The first numbers of any C program that asks glibc for them.
    #[test]
    fn numbers_of_the_c_library() {
        let mut random = LibraryRandom::default();
        assert_eq!([0; 4].map(|_| random.next()), [1_804_289_383, 846_930_886, 1_681_692_777, 1_714_636_915]);
    }

    fn file(folder: &Path, name: &str, arrays: &[(&str, &[usize], &[f32])]) {
        let mut writer = Writer::new();
        arrays.iter().for_each(|(dataset, shape, values)| writer.floats(dataset, shape, values));
        std::fs::write(folder.join(name), writer.finish().unwrap()).unwrap();
    }

    fn open(folder: &Path, list: &str, shuffle: bool) -> Result<Rows> {
        std::fs::write(folder.join("list"), list).unwrap();
        Rows::open("list", &["x".into(), "y".into()], shuffle, Some(folder))
    }

    #[test]
    fn shuffled_rows_stay_in_their_files() {
        let folder = tempfile::tempdir().unwrap();
        for (name, first) in [("a", 0.0), ("b", 10.0)] {
            let values: Vec<f32> = (0..6).map(|row| first + row as f32).collect();
            file(folder.path(), name, &[("x", &[6, 1], &values), ("y", &[6], &values)]);
        }
        let mut rows = open(folder.path(), "a\nb\n", true).unwrap();
        let mut round = || -> Vec<f32> {
            let mut values = Vec::new();
            for _ in 0..12 {
                assert_eq!(rows.row(0), rows.row(1));
                values.push(rows.row(0)[0]);
                rows.advance().unwrap();
            }
            values
        };
        let (first, second) = (round(), round());
        assert_ne!(first, second);
        for round in [first, second] {
            let (mut one, mut other) = (round[..6].to_vec(), round[6..].to_vec());
            assert!(!one.is_sorted());
            one.sort_by(f32::total_cmp);
            other.sort_by(f32::total_cmp);
            assert!((one[5] - one[0], other[5] - other[0]) == (5.0, 5.0));
        }
        for _ in 0..8 {
            rows.advance().unwrap();
        }
        let state = rows.state();
        let mut again = open(folder.path(), "a\nb\n", true).unwrap();
        assert!(again.restore(&LayerState { row: Some(6), ..state.clone() }).is_err());
        assert!(again.restore(&LayerState { file_order: vec![0, 0], ..state.clone() }).is_err());
        again.restore(&state).unwrap();
        for _ in 0..30 {
            assert_eq!(again.row(0), rows.row(0));
            rows.advance().unwrap();
            again.advance().unwrap();
        }
    }

    #[test]
    fn arrays_that_do_not_fit_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let error = |list: &str| match open(folder, list, false) {
            Ok(mut rows) => rows.advance().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(error(""), "list: lists no HDF5 files");
        assert!(error("gone").starts_with("gone: cannot be read: ") && error("gone").ends_with("named in list)"));
        file(folder, "no_y", &[("x", &[1], &[0.0])]);
        assert_eq!(error("no_y"), "no_y: dataset \"y\" is not there; the file has x");
        file(folder, "rows", &[("x", &[1], &[0.0]), ("y", &[2], &[0.0, 1.0])]);
        assert_eq!(error("rows"), "rows: dataset \"y\" has 2 rows, dataset \"x\" has 1");
        file(folder, "one", &[("x", &[1, 2], &[0.0, 1.0]), ("y", &[1], &[0.0])]);
        file(folder, "two", &[("x", &[1, 3], &[0.0, 1.0, 2.0]), ("y", &[1], &[0.0])]);
        assert_eq!(error("one two"), "two: dataset \"x\" has rows of the shape [3], earlier files [2]");
        assert!(Rows::open("nowhere", &["x".into()], false, None).err().unwrap().to_string().contains("not found"));
    }
}
