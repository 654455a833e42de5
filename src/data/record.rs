//! One record of a data source: its key, its label, its image.

use crate::{
    error::{Error, Result},
    proto::Datum,
};

/// A record as its source holds it; nothing is copied.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// The key under which the source holds it.
    pub key: &'a [u8],
    /// The class; 0 where the record has none.
    pub label: i32,
    /// The image.
    pub image: Image<'a>,
}

/// What a Datum holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Image<'a> {
    /// The values themselves.
    Raw(Planes<'a>),
    /// A file in a picture format, PNG or JPEG say.
    Encoded(&'a [u8]),
}

/// Values channel by channel, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Planes<'a> {
    /// C, H and W; none is 0.
    pub shape: [usize; 3],
    /// `C·H·W` values.
    pub values: Values<'a>,
}

/// A Datum's values: bytes, or floats where there are no bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Values<'a> {
    /// The field `data`.
    Bytes(&'a [u8]),
    /// The field `float_data`.
    Floats(Vec<f32>),
}

impl<'a> Record<'a> {
    /// Reads a serialized Datum.
    ///
    /// # Errors
    /// When the value is no Datum, or its values are not as many as its dimensions say; the message names the key.
    pub fn parse(key: &'a [u8], value: &'a [u8]) -> Result<Self> {
        let mut fields = Fields::parse(value).ok_or_else(|| fault(key, "is not a serialized Datum"))?;
        let image = fields.image().map_err(|message| fault(key, &message))?;
        Ok(Record { key, label: fields.label, image })
    }
}

/// The error of a record that cannot be used; the source that holds it is added by [`in_source`].
pub(crate) fn fault(key: &[u8], message: &str) -> Error {
    Error::data("", format!("record {:?} {message}", String::from_utf8_lossy(key)))
}

/// Names the source of a record that cannot be used.
pub(crate) fn in_source(mut error: Error, source: &str) -> Error {
    if let Error::Data { origin, .. } = &mut error
        && origin.is_empty()
    {
        *origin = source.to_owned();
    }
    error
}

impl<'a> Planes<'a> {
    /// Values that are bytes.
    pub fn bytes(shape: [usize; 3], bytes: &'a [u8]) -> Self {
        Planes { shape, values: Values::Bytes(bytes) }
    }
}

/// Serializes a Datum of bytes as Caffe's converters do: no `encoded` field.
pub fn serialize_bytes(shape: [usize; 3], label: i32, values: &[u8]) -> Vec<u8> {
    let [channels, height, width] = shape.map(|dim| Some(dim as i32));
    let datum = Datum { channels, height, width, data: Some(values.to_vec()), label: Some(label), ..Datum::default() };
    prost::Message::encode_to_vec(&datum)
}

/// The fields of a Datum, borrowed from its serialized form.
#[derive(Default)]
struct Fields<'a> {
    shape: [i32; 3],
    data: &'a [u8],
    label: i32,
    floats: Vec<f32>,
    encoded: bool,
}

impl<'a> Fields<'a> {
    fn parse(mut rest: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::default();
        while !rest.is_empty() {
            let tag = varint(&mut rest)?;
            match (tag >> 3, tag & 7) {
                (axis @ 1..=3, 0) => fields.shape[axis as usize - 1] = varint(&mut rest)? as i32,
                (4, 2) => fields.data = chunk(&mut rest)?,
                (5, 0) => fields.label = varint(&mut rest)? as i32,
                (6, 5) => fields.floats.push(f32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?)),
                (6, 2) => fields.floats.extend(packed_floats(chunk(&mut rest)?)?),
                (7, 0) => fields.encoded = varint(&mut rest)? != 0,
                (_, wire) => skip(&mut rest, wire)?,
            }
        }
        Some(fields)
    }

    fn image(&mut self) -> Result<Image<'a>, String> {
        if self.encoded {
            return Ok(Image::Encoded(self.data));
        }
        let [channels, height, width] = self.shape;
        if channels < 1 || height < 1 || width < 1 {
            return Err(format!("has the shape {channels}×{height}×{width}; every dimension must be at least 1"));
        }
        let shape = self.shape.map(|dim| dim as usize);
        let found = if self.data.is_empty() { self.floats.len() } else { self.data.len() };
        let wanted = shape.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim));
        if wanted != Some(found) {
            return Err(format!("has {found} values, its shape {channels}×{height}×{width} needs another number"));
        }
        let values = match self.data {
            [] => Values::Floats(std::mem::take(&mut self.floats)),
            bytes => Values::Bytes(bytes),
        };
        Ok(Image::Raw(Planes { shape, values }))
    }
}

/// A number in protobuf's and LevelDB's variable length; nothing when the bytes end in it.
pub(super) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, &byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *rest = &rest[index + 1..];
            return Some(value);
        }
    }
    None
}

/// The next bytes.
pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

/// Bytes that their number stands before.
pub(super) fn chunk<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = usize::try_from(varint(rest)?).ok()?;
    take(rest, count)
}

fn packed_floats(bytes: &[u8]) -> Option<impl Iterator<Item = f32>> {
    let (values, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| values.iter().map(|&value| f32::from_le_bytes(value)))
}

/// Passes over a field that a Datum does not have.
fn skip(rest: &mut &[u8], wire: u64) -> Option<()> {
    match wire {
        0 => varint(rest).map(drop),
        1 => take(rest, 8).map(drop),
        2 => chunk(rest).map(drop),
        5 => take(rest, 4).map(drop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    fn raw(shape: [usize; 3], values: Values<'_>) -> Image<'_> {
        Image::Raw(Planes { shape, values })
    }

    #[test]
    fn bytes_are_serialized_field_by_field_in_the_order_of_numbers() {
        let expected = [8, 1, 16, 2, 24, 1, 34, 2, 200, 7, 40, 9];
        assert_eq!(serialize_bytes([1, 2, 1], 9, &[200, 7]), expected);
    }

    #[test]
    fn floats_are_read_packed_or_not() {
        let datum = Datum {
            channels: Some(2),
            height: Some(1),
            width: Some(1),
            float_data: vec![1.5, -2.0],
            label: Some(-3),
            ..Datum::default()
        };
        let one_by_one = datum.encode_to_vec();
        let mut packed = Datum { float_data: vec![], ..datum }.encode_to_vec();
        packed.extend([0x32, 8]);
        packed.extend([1.5_f32, -2.0].into_iter().flat_map(f32::to_le_bytes));
        for value in [one_by_one, packed] {
            let record = Record::parse(b"7", &value).unwrap();
            assert_eq!(record.label, -3);
            assert_eq!(record.image, raw([2, 1, 1], Values::Floats(vec![1.5, -2.0])));
        }
    }

    #[test]
    fn a_record_with_too_few_values_is_named_by_its_key() {
        let value = serialize_bytes([3, 2, 2], 1, &[0; 11]);
        let error = in_source(Record::parse(b"00042", &value).unwrap_err(), "some_lmdb").to_string();
        assert_eq!(error, "some_lmdb: record \"00042\" has 11 values, its shape 3×2×2 needs another number");
    }

    proptest! {
        /// Any bytes at all are a record or an error.
        #[test]
        fn noise_does_not_panic(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Record::parse(b"k", &value);
        }

        /// The same fields as the generated reader finds, in whatever Datum.
        #[test]
        fn agrees_with_the_generated_reader(
            label in any::<i32>(),
            shape in [1_usize..4, 1..4, 1..4],
            fill in any::<u8>(),
            encoded in any::<bool>(),
        ) {
            let values = vec![fill; shape.iter().product()];
            let datum = Datum { encoded: Some(encoded), ..Datum::decode(&*serialize_bytes(shape, label, &values)).unwrap() };
            let value = datum.encode_to_vec();
            let record = Record::parse(b"k", &value).unwrap();
            prop_assert_eq!(record.label, label);
            let expected = if encoded { Image::Encoded(&values) } else { raw(shape, Values::Bytes(&values)) };
            prop_assert_eq!(record.image, expected);
        }
    }
}
