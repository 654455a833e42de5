//! Tokens to a message: fields, blocks and lists, by the message's descriptor.
//!
//! The grammar is that of protobuf's text format. Recursion follows the nesting of message types, and no message of
//! `proto/caffe.proto` contains itself, so no text can nest deeper than the types do.

use std::borrow::Cow;

use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind as Type, MessageDescriptor, ReflectMessage, Value,
};

use super::{
    SOURCE_LINE,
    lexer::{Kind, Lexer, Position, Token},
    locations::{Field, Fields},
    suggest,
    value::describe,
};
use crate::{Error, Result};

/// Reads a whole text as one message; also tells where its fields stand.
///
/// # Errors
///
/// [`Error::Parse`] for the first thing in the text that protobuf's own reader refuses.
pub fn parse(text: &[u8], file: &str, descriptor: MessageDescriptor) -> Result<(DynamicMessage, Fields)> {
    let mut lexer = Lexer::new(text, file);
    let token = lexer.next()?;
    let start = token.position;
    let mut parser = Parser { lexer, token };
    let mut message = DynamicMessage::new(descriptor);
    let fields = parser.fields(&mut message, None)?;
    parser.check_required(&message, start)?;
    Ok((message, fields))
}

/// A block that is being read: the field it belongs to and the byte that ends it.
struct Block<'a> {
    field: &'a str,
    position: Position,
    end: u8,
}

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token, not yet used.
    pub(super) token: Token,
}

impl<'a> Parser<'a> {
    /// Fields up to the end of the block, or of the text if there is no block.
    fn fields(&mut self, message: &mut DynamicMessage, block: Option<&Block>) -> Result<Fields> {
        let mut places = Vec::new();
        loop {
            match (self.token.kind, block) {
                (Kind::End, None) => return Ok(places),
                (Kind::Symbol(symbol), Some(block)) if symbol == block.end => {
                    self.advance()?;
                    return Ok(places);
                }
                (Kind::Symbol(b'}' | b'>') | Kind::End, Some(block)) => {
                    let Block { field, position, end } = block;
                    let opened = format!("\"{}\" to close \"{field}\" of line {}", char::from(*end), position.line);
                    return Err(self.unexpected(&opened));
                }
                _ => self.field(message, &mut places)?,
            }
        }
    }

    /// One field with its value or values, and the separator behind it.
    fn field(&mut self, message: &mut DynamicMessage, places: &mut Fields) -> Result<()> {
        let position = self.token.position;
        let field = self.field_name(&message.descriptor())?;
        if !field.is_list() && message.has_field(&field) {
            let first = places.iter().find(|place| place.number == field.number());
            let first = first.map_or(0, |place| place.position.line);
            let problem = format!("{} is given twice, first on line {first}", describe(&field));
            return Err(self.error_at(position, problem));
        }
        let colon = self.take_symbol(b':')?;
        if !colon && field.kind().as_message().is_none() {
            return Err(self.unexpected(&format!("\":\" after {}", describe(&field))));
        }
        if field.is_list() && self.take_symbol(b'[')? {
            self.list(message, &field, position, places)?;
        } else {
            self.value(message, &field, position, places)?;
        }
        if !self.take_symbol(b';')? {
            self.take_symbol(b',')?;
        }
        Ok(())
    }

    /// The rest of `[a, b, c]`.
    fn list(
        &mut self,
        message: &mut DynamicMessage,
        field: &FieldDescriptor,
        position: Position,
        places: &mut Fields,
    ) -> Result<()> {
        if self.take_symbol(b']')? {
            return Ok(());
        }
        loop {
            self.value(message, field, position, places)?;
            if self.take_symbol(b']')? {
                return Ok(());
            }
            if !self.take_symbol(b',')? {
                return Err(self.unexpected(&format!("\",\" or \"]\" in the list {}", describe(field))));
            }
        }
    }

    /// One value of a field: put into the message, its place noted.
    fn value(
        &mut self,
        message: &mut DynamicMessage,
        field: &FieldDescriptor,
        position: Position,
        places: &mut Fields,
    ) -> Result<()> {
        let (value, inside) = match field.kind() {
            Type::Message(descriptor) => self.block(field, descriptor, position)?,
            _ => (self.scalar(field)?, Vec::new()),
        };
        let mut index = 0;
        if field.is_list() {
            // The list is one of this field's own type by construction of `get_field_mut`.
            if let Some(list) = message.get_field_mut(field).as_list_mut() {
                index = list.len() as u32;
                list.push(value);
            }
        } else {
            message.set_field(field, value);
        }
        places.push(Field { number: field.number(), index, position, inside });
        Ok(())
    }

    /// `{ ... }` or `< ... >`.
    fn block(
        &mut self,
        field: &FieldDescriptor,
        descriptor: MessageDescriptor,
        position: Position,
    ) -> Result<(Value, Fields)> {
        let end = match self.token.kind {
            Kind::Symbol(b'{') => b'}',
            Kind::Symbol(b'<') => b'>',
            _ => return Err(self.unexpected(&format!("\"{{\" for {}", describe(field)))),
        };
        self.advance()?;
        let mut message = DynamicMessage::new(descriptor);
        let fields = self.fields(&mut message, Some(&Block { field: field.name(), position, end }))?;
        self.check_required(&message, position)?;
        if let Some(source_line) = message.descriptor().get_field(SOURCE_LINE) {
            message.set_field(&source_line, Value::U32(position.line));
        }
        Ok((Value::Message(message), fields))
    }

    /// A field's name.
    fn field_name(&mut self, message: &MessageDescriptor) -> Result<FieldDescriptor> {
        if self.token.kind != Kind::Name {
            return Err(self.unexpected(&format!("a field of {}", message.name())));
        }
        let name = self.token_text();
        match message.get_field_by_name(&name).filter(|field| field.number() != SOURCE_LINE) {
            Some(field) => self.advance().map(|()| field),
            None => Err(self.here(suggest::for_field(message, &name))),
        }
    }

    /// Fields that a message cannot be without.
    fn check_required(&self, message: &DynamicMessage, position: Position) -> Result<()> {
        let descriptor = message.descriptor();
        let missing =
            descriptor.fields().find(|field| field.cardinality() == Cardinality::Required && !message.has_field(field));
        match missing {
            Some(field) => Err(self.error_at(position, format!("{} is missing and has no default", describe(&field)))),
            None => Ok(()),
        }
    }

    /// Steps to the next token.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    /// Steps over a symbol if it is next.
    pub(super) fn take_symbol(&mut self, symbol: u8) -> Result<bool> {
        let next = self.token.kind == Kind::Symbol(symbol);
        if next {
            self.advance()?;
        }
        Ok(next)
    }

    pub(super) fn token_bytes(&self) -> &'a [u8] {
        self.lexer.bytes(&self.token)
    }

    pub(super) fn token_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.token_bytes())
    }

    /// An error at the next token.
    pub(super) fn here(&self, message: impl Into<String>) -> Error {
        self.error_at(self.token.position, message)
    }

    pub(super) fn error_at(&self, position: Position, message: impl Into<String>) -> Error {
        self.lexer.error(position, message)
    }

    /// `expected ..., found ...`
    pub(super) fn unexpected(&self, expected: &str) -> Error {
        let text = self.token_text();
        let found = match self.token.kind {
            Kind::End => "the end of the file".to_string(),
            Kind::String => shortened(&text),
            _ => format!("\"{}\"", shortened(&text)),
        };
        self.here(format!("expected {expected}, found {found}"))
    }
}

/// At most 40 characters, so that an error stays one line.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}
