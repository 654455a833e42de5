//! One scalar value: a token, perhaps with a minus before it, to the type that its field has.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind as Type, Value};

use super::{escape, lexer::Kind, parser::Parser, suggest};
use crate::Result;

impl Parser<'_> {
    /// Reads the value of a field that is not a message.
    pub(super) fn scalar(&mut self, field: &FieldDescriptor) -> Result<Value> {
        match field.kind() {
            Type::Int32 | Type::Sint32 | Type::Sfixed32 => {
                self.signed(field, i32::MAX as u64).map(|n| Value::I32(n as i32))
            }
            Type::Int64 | Type::Sint64 | Type::Sfixed64 => {
                self.signed(field, i64::MAX as u64).map(|n| Value::I64(n as i64))
            }
            Type::Uint32 | Type::Fixed32 => self.unsigned(field, u32::MAX.into()).map(|n| Value::U32(n as u32)),
            Type::Uint64 | Type::Fixed64 => self.unsigned(field, u64::MAX).map(Value::U64),
            Type::Float => self.real(field).map(|x| Value::F32(x as f32)),
            Type::Double => self.real(field).map(Value::F64),
            Type::Bool => self.boolean(field).map(Value::Bool),
            Type::Enum(choices) => self.choice(field, &choices).map(Value::EnumNumber),
            Type::String => self.strings(field).map(|bytes| Value::String(lossy(bytes))),
            Type::Bytes => self.strings(field).map(|bytes| Value::Bytes(bytes.into())),
            Type::Message(_) => Err(self.unexpected(&format!("a block for {}", describe(field)))),
        }
    }

    fn signed(&mut self, field: &FieldDescriptor, most: u64) -> Result<i128> {
        if self.take_symbol(b'-')? {
            return self.unsigned(field, most + 1).map(|n| -i128::from(n));
        }
        self.unsigned(field, most).map(i128::from)
    }

    fn unsigned(&mut self, field: &FieldDescriptor, most: u64) -> Result<u64> {
        if self.token.kind != Kind::Integer {
            let sign = if matches!(field.kind(), Type::Uint32 | Type::Uint64) { " of at least 0" } else { "" };
            return Err(self.unexpected(&format!("an integer{sign} for {}", describe(field))));
        }
        let text = self.token_text();
        match magnitude(&text) {
            Some(number) if number <= most => self.advance().map(|()| number),
            _ => Err(self.here(format!("{text} is out of range for {}; at most {most}", describe(field)))),
        }
    }

    fn real(&mut self, field: &FieldDescriptor) -> Result<f64> {
        let negative = self.take_symbol(b'-')?;
        let text = self.token_text();
        let magnitude = match self.token.kind {
            Kind::Integer if text.len() > 1 && text.starts_with('0') => {
                return Err(self.here(format!("{text} is hexadecimal or octal; {} takes decimals", describe(field))));
            }
            Kind::Integer | Kind::Float => text.trim_end_matches(['f', 'F']).parse().ok(),
            Kind::Name if ["inf", "infinity"].iter().any(|name| text.eq_ignore_ascii_case(name)) => Some(f64::INFINITY),
            Kind::Name if text.eq_ignore_ascii_case("nan") => Some(f64::NAN),
            _ => None,
        };
        let Some(magnitude) = magnitude else {
            return Err(self.unexpected(&format!("a number for {}", describe(field))));
        };
        self.advance()?;
        Ok(if negative { -magnitude } else { magnitude })
    }

    fn boolean(&mut self, field: &FieldDescriptor) -> Result<bool> {
        if self.token.kind == Kind::Integer {
            return self.unsigned(field, 1).map(|number| number == 1);
        }
        let value = match (self.token.kind, self.token_text().as_ref()) {
            (Kind::Name, "true" | "True" | "t") => true,
            (Kind::Name, "false" | "False" | "f") => false,
            _ => return Err(self.unexpected(&format!("true or false for {}", describe(field)))),
        };
        self.advance()?;
        Ok(value)
    }

    fn choice(&mut self, field: &FieldDescriptor, choices: &EnumDescriptor) -> Result<i32> {
        let at = self.token.position;
        let negative = self.take_symbol(b'-')?;
        let text = self.token_text();
        let (written, value) = match self.token.kind {
            Kind::Name if !negative => (format!("\"{text}\""), choices.get_value_by_name(&text)),
            Kind::Integer => {
                let number = magnitude(&text).map(|n| if negative { -i128::from(n) } else { n.into() });
                let number = number.and_then(|n| i32::try_from(n).ok());
                (format!("{}{text}", if negative { "-" } else { "" }), number.and_then(|n| choices.get_value(n)))
            }
            _ => {
                let hint = suggest::for_choice_of_other_kind(field, self.token.kind);
                let message = format!("{} for {}{hint}", suggest::choices(choices), describe(field));
                return Err(self.unexpected(&message));
            }
        };
        let Some(value) = value else {
            let hint = suggest::for_choice(choices, &text);
            return Err(self.error_at(at, format!("unknown value {written} for {}; {hint}", describe(field))));
        };
        self.advance()?;
        Ok(value.number())
    }

    /// One string, or several one after another, which count as one.
    fn strings(&mut self, field: &FieldDescriptor) -> Result<Vec<u8>> {
        if self.token.kind != Kind::String {
            let hint = suggest::for_string_of_other_kind(field, self.token.kind);
            return Err(self.unexpected(&format!("a quoted string for {}{hint}", describe(field))));
        }
        let mut bytes = Vec::new();
        while self.token.kind == Kind::String {
            bytes.append(&mut escape::unescape(self.token_bytes()));
            self.advance()?;
        }
        Ok(bytes)
    }
}

/// The value of an integer token: decimal, hexadecimal after `0x`, octal after `0`. `None` if it needs more than 64 bits.
fn magnitude(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    u64::from_str_radix(digits, radix).ok()
}

/// Text fields hold UTF-8; other bytes, which protobuf's C++ library lets pass, become U+FFFD.
fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// `"base_lr" in SolverParameter`
pub(super) fn describe(field: &FieldDescriptor) -> String {
    format!("\"{}\" in {}", field.name(), field.parent_message().name())
}
