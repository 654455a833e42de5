//! Messages to text, exactly as protobuf's C++ library prints them for Caffe's log and its upgrade tools.
//!
//! One line per value, blocks indented by two spaces, fields in the order of their numbers, enums by name.

use std::fmt::Write;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

use super::{SOURCE_LINE, escape, number};

/// Appends a message's fields at an indentation.
pub fn fields(message: &DynamicMessage, indent: usize, out: &mut String) {
    for (field, value) in message.fields().filter(|(field, _)| field.number() != SOURCE_LINE) {
        match value {
            Value::List(list) => list.iter().for_each(|value| entry(&field, value, indent, out)),
            single => entry(&field, single, indent, out),
        }
    }
}

fn entry(field: &FieldDescriptor, value: &Value, indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(field.name());
    if let Value::Message(inner) = value {
        out.push_str(" {\n");
        fields(inner, indent + 2, out);
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str("}\n");
        return;
    }
    out.push_str(": ");
    scalar(field, value, out);
    out.push('\n');
}

fn scalar(field: &FieldDescriptor, value: &Value, out: &mut String) {
    let written = match value {
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::I32(number) => write!(out, "{number}"),
        Value::I64(number) => write!(out, "{number}"),
        Value::U32(number) => write!(out, "{number}"),
        Value::U64(number) => write!(out, "{number}"),
        Value::F32(number) => out.write_str(&number::float(*number)),
        Value::F64(number) => out.write_str(&number::double(*number)),
        Value::EnumNumber(number) => out.write_str(&choice(field, *number)),
        Value::String(text) => {
            escape::quote(text.as_bytes(), out);
            Ok(())
        }
        Value::Bytes(bytes) => {
            escape::quote(bytes, out);
            Ok(())
        }
        Value::Message(_) | Value::List(_) | Value::Map(_) => {
            unreachable!("blocks and lists are handled by the callers")
        }
    };
    written.expect("a String takes all that is written to it");
}

/// The name of an enum's value; the number, if a file had one that the enum does not know.
fn choice(field: &FieldDescriptor, number: i32) -> String {
    match field.kind() {
        Kind::Enum(choices) => choices.get_value(number).map(|value| value.name().to_string()),
        _ => None,
    }
    .unwrap_or_else(|| number.to_string())
}
