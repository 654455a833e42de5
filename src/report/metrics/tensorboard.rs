//! TensorBoard's event files: a scalar for each number, by the iteration. Tags are `train/loss`, `train/lr`, `test/accuracy` (`test-1/...`
//! for the second test net).
//!
//! An event file is a row of records: the length (8 bytes, little-endian), its checksum, an `Event` message, its checksum. The checksums are
//! CRC-32C, rotated and offset as the TFRecord format has it. A run that goes on begins a new file, whose first event tells TensorBoard to
//! forget what earlier files say of its iterations.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use prost::Message;

use super::{Writer, durable::Durable};
use crate::{
    error::{Error, Result},
    report::runs::{Record, columns},
};

/// Event files in a folder.
pub struct TensorBoard {
    folder: PathBuf,
    file: Option<Durable>,
}

impl TensorBoard {
    /// Event files in this folder, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or written to.
    pub fn new(folder: &Path) -> Result<Self> {
        let probe = folder.join(format!(".probe-{}", process::id()));
        fs::create_dir_all(folder)
            .and_then(|()| fs::File::create(&probe))
            .and_then(|_| fs::remove_file(&probe))
            .map_err(|cause| Error::io(folder, cause))?;
        Ok(TensorBoard { folder: folder.to_owned(), file: None })
    }

    fn write_event(&mut self, step: u64, what: What) -> Result<()> {
        let event = Event { wall_time: now(), step: step as i64, what: Some(what) };
        match &mut self.file {
            Some(file) => file.write(&framed(&event.encode_to_vec())),
            None => Ok(()),
        }
    }
}

impl Writer for TensorBoard {
    fn begin(&mut self, iteration: u64) -> Result<Option<f64>> {
        // TensorBoard reads a folder's files in the order of their names, and knows them by `tfevents`.
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let (number, process) = (FILES.fetch_add(1, Ordering::Relaxed), process::id());
        let name = format!("events.out.tfevents.{:010}.rcaffe.{process}.{number}", now() as u64);
        self.file = Some(Durable::append(&self.folder.join(name))?);
        self.write_event(0, What::FileVersion("brain.Event:2".into()))?;
        self.write_event(iteration, What::SessionLog(SessionLog { status: START }))?;
        Ok(None)
    }

    fn write(&mut self, record: &Record, test: bool) -> Result<()> {
        let phase = match (test, record.net) {
            (false, _) => "train".to_string(),
            (true, 0) => "test".to_string(),
            (true, net) => format!("test-{net}"),
        };
        let scalar =
            |name: &str, value: f64| Scalar { tag: format!("{phase}/{name}"), simple_value: Some(value as f32) };
        // An event has its own time.
        let own = columns::of_phase(test).iter().filter(|column| column.name != "seconds");
        let own = own.filter_map(|column| Some(scalar(column.name, (column.value)(record)?)));
        let outputs = record.outputs.iter().map(|(name, value)| scalar(&columns::of_output(name, test), *value));
        let summary = Summary { value: own.chain(outputs).collect() };
        self.write_event(record.iteration, What::Summary(summary))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// An event as a record of the file.
fn framed(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let parts = [&length[..], &masked_checksum(&length), event, &masked_checksum(event)];
    parts.concat()
}

fn masked_checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The status of a [`SessionLog`] with which TensorBoard forgets what it had read of this and later steps.
const START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a file, their checksums checked.
    fn events(path: &Path) -> Vec<Event> {
        let bytes = fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_checksum(&rest[..8]));
            let event = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked_checksum(event));
            events.push(Event::decode(event).unwrap());
            rest = &rest[16 + length..];
        }
        events
    }

    #[test]
    fn a_file_begins_with_its_version_and_the_step() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = TensorBoard::new(&folder.path().join("a/b")).unwrap();
        writer.begin(20).unwrap();
        let outputs = vec![("loss".to_string(), 2.5)];
        writer
            .write(&Record { iteration: 20, lr: Some(0.25), outputs: outputs.clone(), ..Record::default() }, false)
            .unwrap();
        writer.write(&Record { iteration: 21, net: 1, outputs, ..Record::default() }, true).unwrap();
        let files: Vec<_> =
            fs::read_dir(folder.path().join("a/b")).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [file] = &files[..] else { panic!("{files:?}") };
        let events = events(file);
        assert_eq!(events[0].what, Some(What::FileVersion("brain.Event:2".into())));
        assert_eq!((events[1].step, &events[1].what), (20, &Some(What::SessionLog(SessionLog { status: START }))));
        let scalars = |event: &Event| match &event.what {
            Some(What::Summary(summary)) => {
                summary.value.iter().map(|value| (value.tag.clone(), value.simple_value.unwrap())).collect()
            }
            _ => Vec::new(),
        };
        assert_eq!(scalars(&events[2]), [("train/lr".to_string(), 0.25), ("train/output_loss".to_string(), 2.5)]);
        assert_eq!((events[3].step, scalars(&events[3])), (21, vec![("test-1/loss".to_string(), 2.5)]));
    }

    /// The checksum of the TFRecord format for an 8-byte length of 24, as TensorFlow writes it.
    #[test]
    fn checksums_are_masked() {
        assert_eq!(masked_checksum(&24u64.to_le_bytes()), [0xa3, 0x7f, 0x4b, 0x22]);
    }
}
