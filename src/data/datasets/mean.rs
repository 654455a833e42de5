//! The mean image of a data set, in the file format of `transform_param.mean_file`.
//!
//! As Caffe's `compute_image_mean`: f32 sums in the order of the records, divided once by their number, in a BlobProto with
//! the old fields `num: 1`, `channels`, `height`, `width`.

use std::{fs, path::Path};

use prost::Message;

use crate::{
    data::{
        Source, Values,
        picture::{Color, Decoder},
        record::{fault, in_source},
    },
    error::{Error, Result},
    proto::BlobProto,
};

/// The mean of all records of a source, encoded ones decoded as they are.
///
/// # Errors
/// When a record cannot be read, or differs in shape from the first.
pub fn of(source: &mut dyn Source) -> Result<BlobProto> {
    let count = source.count()?;
    let name = source.name().to_owned();
    source.rewind();
    let mut decoder = Decoder::new(Color::AsStored);
    let mut first = None;
    let mut sums: Vec<f32> = Vec::new();
    for _ in 0..count {
        let record = source.next()?;
        let fault = |message: &str| in_source(fault(record.key, message), &name);
        let planes = decoder.decode(record.image).map_err(|message| fault(&message))?;
        if *first.get_or_insert(planes.shape) != planes.shape {
            return Err(fault("differs in shape from the first record; a mean needs records of one shape"));
        }
        sums.resize(planes.shape.iter().product(), 0.0);
        match planes.values {
            Values::Bytes(bytes) => sums.iter_mut().zip(bytes).for_each(|(sum, &byte)| *sum += f32::from(byte)),
            Values::Floats(floats) => sums.iter_mut().zip(floats).for_each(|(sum, value)| *sum += value),
        }
    }
    sums.iter_mut().for_each(|sum| *sum /= count as f32);
    let [channels, height, width] = first.unwrap_or_default().map(|dim| Some(dim as i32));
    Ok(BlobProto { num: Some(1), channels, height, width, data: sums, ..BlobProto::default() })
}

/// Writes a mean file, which gets its name only when it is complete.
///
/// # Errors
/// When the file cannot be written.
pub fn write(mean: &BlobProto, path: &Path) -> Result<()> {
    let unfinished = path.with_extension("binaryproto.part");
    fs::write(&unfinished, mean.encode_to_vec()).map_err(|cause| Error::io(&unfinished, cause))?;
    fs::rename(&unfinished, path).map_err(|cause| Error::io(path, cause))
}

/// Reads a mean file.
///
/// # Errors
/// When the file cannot be read or is no BlobProto with values.
pub fn read(path: &Path) -> Result<BlobProto> {
    let bytes = fs::read(path).map_err(|cause| Error::io(path, cause))?;
    let blob = BlobProto::decode(&*bytes).ok().filter(|blob| !blob.data.is_empty());
    blob.ok_or_else(|| Error::data(path.display().to_string(), "is not a mean file (a serialized BlobProto)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::lmdb;

    /// The file that Caffe's own tool made of this database.
    #[test]
    fn same_bytes_as_caffe() {
        let folder = Path::new("tests/golden/db");
        let mut cursor = lmdb::Cursor::open("lmdb_raw", &folder.join("lmdb_raw")).unwrap();
        let expected = fs::read(folder.join("mean.binaryproto")).unwrap();
        assert_eq!(of(&mut cursor).unwrap().encode_to_vec(), expected);
    }

    #[test]
    fn a_file_of_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mean.binaryproto");
        fs::write(&path, "no blob").unwrap();
        assert!(read(&path).unwrap_err().to_string().ends_with("is not a mean file (a serialized BlobProto)"));
    }
}
