//! Pictures in files, named by a list: one file name and label a line.
//!
//! The last blank of a line parts them, so names may have blanks. Empty lines count for nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Image, Position, Record, Source, paths};
use crate::{
    error::{Error, Result},
    rng::Random,
};

/// The pictures of a list, in its order or shuffled anew in each round.
pub struct ImageList {
    /// The list as the user names it.
    name: String,
    root: String,
    base: Option<PathBuf>,
    lines: Vec<(String, i32)>,
    /// The lines' places in the present round.
    order: Vec<u32>,
    shuffle: Option<Shuffle>,
    start: usize,
    place: usize,
    rounds: usize,
    /// The present file.
    bytes: Vec<u8>,
}

/// The shuffles of all rounds: each goes on from the order before.
struct Shuffle {
    seed: u32,
    random: Random,
}

/// More rounds than any run has; a snapshot that says more is damaged.
const MOST_ROUNDS: usize = 1_000_000;

impl ImageList {
    /// Reads the list `name`; `root` stands before the names in it. `base` is the folder of the net file
    /// ([`paths::resolve`]).
    ///
    /// # Errors
    /// When the list cannot be read, a line has no label, or there are no lines.
    pub fn open(name: &str, root: &str, base: Option<&Path>) -> Result<Self> {
        let path = paths::resolve(name, base);
        if !path.exists() {
            return Err(paths::missing(name));
        }
        let text = fs::read(&path).map_err(|cause| Error::io(&path, cause))?;
        let text = String::from_utf8(text).map_err(|_| Error::data(name, "is no list: it is not text in UTF-8"))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let lines = lines.map(|(index, line)| parse(line).ok_or_else(|| no_label(name, index + 1, line)));
        let lines = lines.collect::<Result<Vec<_>>>()?;
        if lines.is_empty() {
            return Err(Error::data(name, "lists no pictures"));
        }
        Ok(ImageList {
            name: name.to_owned(),
            root: root.to_owned(),
            base: base.map(Path::to_owned),
            order: (0..lines.len() as u32).collect(),
            lines,
            shuffle: None,
            start: 0,
            place: 0,
            rounds: 0,
            bytes: Vec::new(),
        })
    }

    /// Shuffles the list now and before each later round, with a random stream of its own that starts from `seed`.
    pub fn shuffle(&mut self, seed: u32) {
        self.shuffle = Some(Shuffle { seed, random: Random::new(seed) });
        self.restore_order(0);
    }

    /// Puts the pictures into the order of a round.
    fn restore_order(&mut self, round: usize) {
        let Some(shuffle) = &mut self.shuffle else { return };
        shuffle.random = Random::new(shuffle.seed);
        self.order.clear();
        self.order.extend(0..self.lines.len() as u32);
        for _ in 0..=round {
            shuffle.random.shuffle(&mut self.order);
        }
    }

    /// Leaves out the first pictures in the first round.
    ///
    /// # Errors
    /// When there are no more; the message is about `field`.
    pub fn skip(&mut self, count: usize, field: &str) -> Result<()> {
        let pictures = self.lines.len();
        if count >= pictures {
            let message = format!("skips {count} pictures of {pictures}; it must be at most {pictures}");
            return Err(Error::config(field, message));
        }
        (self.start, self.place) = (count, count);
        Ok(())
    }
}

fn parse(line: &str) -> Option<(String, i32)> {
    let (name, label) = line.trim_end().rsplit_once(' ')?;
    Some((name.to_owned(), label.parse().ok()?))
}

fn no_label(list: &str, line: usize, text: &str) -> Error {
    Error::data(list, format!("line {line}, {text:?}, must be a file name, a blank and a whole number as label"))
}

impl Source for ImageList {
    fn next(&mut self) -> Result<Record<'_>> {
        if self.place == self.lines.len() {
            (self.place, self.rounds) = (0, self.rounds + 1);
            if let Some(shuffle) = &mut self.shuffle {
                shuffle.random.shuffle(&mut self.order);
            }
        }
        let (name, label) = &self.lines[self.order[self.place] as usize];
        self.place += 1;
        read_picture(&self.root, name, self.base.as_deref(), &mut self.bytes)
            .map_err(|message| Error::data(&self.name, message))?;
        Ok(Record { key: name.as_bytes(), label: *label, image: Image::Encoded(&self.bytes) })
    }

    /// Goes back to where reading began, and to the order that was then.
    fn rewind(&mut self) {
        if self.rounds > 0 {
            self.restore_order(0);
        }
        (self.place, self.rounds) = (self.start, 0);
    }

    fn count(&self) -> Result<usize> {
        Ok(self.lines.len())
    }

    fn known_count(&self) -> Option<usize> {
        self.count().ok()
    }

    fn position(&self) -> Position {
        let shuffle_seed = self.shuffle.as_ref().map(|shuffle| shuffle.seed);
        Position { place: self.place, rounds: self.rounds, shuffle_seed }
    }

    /// A list that is not shuffled takes no seed, and one that is keeps its own when there is none.
    fn seek(&mut self, position: Position) -> Result<()> {
        position.check(self.lines.len(), &self.name)?;
        if position.rounds > MOST_ROUNDS {
            return Err(Error::data(&self.name, format!("cannot have been read {} times", position.rounds)));
        }
        if let (Some(shuffle), Some(seed)) = (&mut self.shuffle, position.shuffle_seed) {
            shuffle.seed = seed;
        }
        self.restore_order(position.rounds);
        (self.place, self.rounds) = (position.place, position.rounds);
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Reads the file of a picture whose name stands in a list.
///
/// # Errors
/// Says which file, and why.
pub fn read_picture(root: &str, name: &str, base: Option<&Path>, bytes: &mut Vec<u8>) -> Result<(), String> {
    let whole = format!("{root}{name}");
    let mut file = fs::File::open(paths::resolve(&whole, base)).map_err(|cause| {
        let advice = "root_folder is put before the names in the list, as it is, so that it should end in a slash";
        format!("picture {whole:?} cannot be read: {cause}; {advice}")
    })?;
    bytes.clear();
    std::io::Read::read_to_end(&mut file, bytes)
        .map_err(|cause| format!("picture {whole:?} cannot be read: {cause}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(folder: &Path, text: &str) -> Result<ImageList> {
        let path = folder.join("list.txt");
        fs::write(&path, text).unwrap();
        ImageList::open(path.to_str().unwrap(), "", Some(folder))
    }

    #[test]
    fn the_last_blank_parts_name_and_label() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a b.png", "c"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let mut list = list(folder.path(), "a b.png 3\r\n\nc -1").unwrap();
        for (name, label, rounds) in [("a b.png", 3, 0), ("c", -1, 0), ("a b.png", 3, 1)] {
            let record = list.next().unwrap();
            assert_eq!((record.key, record.label), (name.as_bytes(), label));
            assert_eq!(record.image, Image::Encoded(name.as_bytes()));
            assert_eq!(list.rounds(), rounds);
        }
    }

    #[test]
    fn each_round_is_shuffled_and_skipping_shortens_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..9).map(|name| name.to_string()).collect();
        names.iter().for_each(|name| fs::write(folder.path().join(name), name).unwrap());
        let text: Vec<String> = names.iter().map(|name| format!("{name} {name}")).collect();
        let mut list = list(folder.path(), &text.join("\n")).unwrap();
        let mut expected: Vec<i32> = (0..9).collect();
        let mut random = Random::new(4);
        list.shuffle(4);
        list.skip(4, "rand_skip").unwrap();
        list.next().unwrap();
        list.rewind();
        for first in [4, 0, 0] {
            random.shuffle(&mut expected);
            let round: Vec<i32> = (first..9).map(|_| list.next().unwrap().label).collect();
            assert_eq!(round, expected[first..]);
        }
        list.next().unwrap();
        random.shuffle(&mut expected);
        let position = list.position();
        let rest = |list: &mut ImageList| -> Vec<i32> { (1..9).map(|_| list.next().unwrap().label).collect() };
        assert_eq!(rest(&mut list), expected[1..]);
        list.shuffle(99);
        list.seek(position).unwrap();
        assert_eq!((rest(&mut list), list.position()), (expected[1..].to_vec(), Position { place: 9, ..position }));
        assert!(list.seek(Position { place: 10, ..position }).unwrap_err().to_string().contains("has 9 records"));
        assert!(list.skip(9, "rand_skip").unwrap_err().to_string().starts_with("rand_skip: skips 9 pictures of 9"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = |text: &str| match list(folder.path(), text) {
            Ok(mut list) => list.next().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error("").ends_with("list.txt: lists no pictures"));
        assert!(error("a.png 1\nb.png").contains("list.txt: line 2, \"b.png\", must be a file name"));
        assert!(error("a.png x").contains("line 1"));
        assert!(error("nowhere.png 1").contains("picture \"nowhere.png\" cannot be read: "));
        assert!(
            ImageList::open("nowhere.txt", "", None).err().unwrap().to_string().starts_with("nowhere.txt: not found")
        );
    }
}
