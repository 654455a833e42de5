//! What holds for every input: nothing makes the reader panic, and what is printed reads back as it was.

use std::slice::Iter;

use proptest::{collection::vec, prelude::*};
use prost_reflect::{FieldDescriptor, Kind};
use prost_reflect::{ReflectMessage, Value};

use super::golden;
use crate::prototxt::*;

/// Bytes that decide, one by one, what a generated message holds; zeros once they have run out.
struct Choices<'a>(Iter<'a, u8>);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A message with some of its fields set, required ones always.
    fn message(&mut self, descriptor: MessageDescriptor) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        let known: Vec<_> = descriptor.fields().filter(|field| field.number() != SOURCE_LINE).collect();
        let required = known.iter().filter(|field| field.cardinality() == prost_reflect::Cardinality::Required);
        for field in required.cloned().collect::<Vec<_>>() {
            let value = self.value(&field);
            message.set_field(&field, value);
        }
        for _ in 0..self.byte() % 6 {
            let field = &known[self.byte() as usize % known.len()];
            let value = self.value(field);
            match message.get_field_mut(field) {
                Value::List(list) => list.push(value),
                single => *single = value,
            }
        }
        message
    }

    fn value(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Bool => Value::Bool(self.byte() % 2 == 1),
            Kind::Int32 => Value::I32(self.word() as i32),
            Kind::Int64 => Value::I64(i64::from(self.word() as i32) << (self.byte() % 32)),
            Kind::Uint32 => Value::U32(self.word()),
            Kind::Float => Value::F32(Some(f32::from_bits(self.word())).filter(|x| !x.is_nan()).unwrap_or(0.5)),
            Kind::Double => Value::F64(f64::from(self.word()) / f64::from(self.word().max(1))),
            Kind::Enum(choices) => {
                let index = self.byte() as usize % choices.values().len();
                Value::EnumNumber(choices.values().nth(index).map_or(0, |value| value.number()))
            }
            Kind::String => Value::String((0..self.byte() % 5).map(|_| self.character()).collect()),
            Kind::Bytes => Value::Bytes((0..self.byte() % 5).map(|_| self.byte()).collect()),
            Kind::Message(inner) => Value::Message(self.message(inner)),
            other => unreachable!("proto/caffe.proto has no {other:?}"),
        }
    }

    fn character(&mut self) -> char {
        char::from_u32(self.word() % 0x300).unwrap_or('?')
    }
}

fn check_round_trip<T: Message + Name + Default + PartialEq>(choices: &[u8]) -> Result<(), TestCaseError> {
    let dynamic = Choices(choices.iter()).message(descriptor::<T>());
    let message: T = to_typed(&dynamic);
    let text = print(&message);
    let read = parser::parse(text.as_bytes(), "printed", descriptor::<T>());
    let mut read = read.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?.0;
    remove_source_lines(&mut read);
    prop_assert!(to_typed::<T>(&read) == message, "{text}");
    Ok(())
}

fn remove_source_lines(message: &mut DynamicMessage) {
    if let Some(field) = message.descriptor().get_field(SOURCE_LINE) {
        message.clear_field(&field);
    }
    for (_, value) in message.fields_mut() {
        match value {
            Value::Message(inner) => remove_source_lines(inner),
            Value::List(list) => list.iter_mut().filter_map(Value::as_message_mut).for_each(remove_source_lines),
            _ => {}
        }
    }
}

/// Pieces that mean something to the reader, so that random texts reach deep into it.
const PIECES: &[&str] = &[
    "layer",
    "layers",
    "name",
    "type",
    "pool",
    "base_lr",
    "stage",
    "clip_param",
    "{",
    "}",
    "<",
    ">",
    "[",
    "]",
    ":",
    ";",
    ",",
    "-",
    "'",
    "\"",
    "\\",
    "\\u12",
    "\\x",
    "\\U0010ffff",
    "#",
    "\n",
    " ",
    ".",
    "0x",
    "08",
    "1e",
    "5",
    "1.5f",
    "inf",
    "nan",
    "true",
    "MAX",
    "CONVOLUTION",
    "\u{FEFF}",
    "é",
    "\0",
    "\r",
];

proptest! {
    #[test]
    fn printed_nets_read_back(choices in vec(any::<u8>(), 0..600)) {
        check_round_trip::<NetParameter>(&choices)?;
    }

    #[test]
    fn printed_solvers_read_back(choices in vec(any::<u8>(), 0..400)) {
        check_round_trip::<SolverParameter>(&choices)?;
    }

    /// The upgrades, too, take whatever a net may hold.
    #[test]
    fn no_net_makes_the_upgrades_panic(choices in vec(any::<u8>(), 0..600)) {
        let _ = upgrade_net(&mut to_typed(&Choices(choices.iter()).message(descriptor::<NetParameter>())), "net");
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in vec(any::<u8>(), 0..200)) {
        let _ = parse_net(&text, "net");
        let _ = parse_solver(&text, "solver");
    }

    #[test]
    fn no_pieces_make_the_reader_panic(pieces in vec(prop::sample::select(PIECES), 0..40)) {
        let text = pieces.concat();
        let _ = parse_net(&text, "net");
        let _ = parse_solver(&text, "solver");
    }

    #[test]
    fn no_damage_makes_the_reader_panic(
        edits in vec((any::<prop::sample::Index>(), 0_usize..4, vec(any::<u8>(), 0..3)), 1..5)
    ) {
        for file in ["upgrade/v0_net.prototxt", "upgrade/v1_net.prototxt", "print/net.prototxt"] {
            let mut text = golden(file).into_bytes();
            for (at, removed, added) in &edits {
                let at = at.index(text.len());
                let end = text.len().min(at + removed);
                text.splice(at..end, added.iter().copied());
            }
            let _ = parse_net(&text, "net");
        }
    }
}
