//! Text to tokens: names, numbers, quoted strings and symbols, each with its place in the file.
//!
//! The rules are those of protobuf's own tokenizer for text format: `#` starts a comment, a string ends on its line, a number
//! and a name need a blank between them. Bytes that are not UTF-8 may stand in comments and strings.

use std::ops::Range;

use crate::{Error, Result};

/// A place in the text. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A letter or underscore, then letters, digits, underscores.
    Name,
    /// Decimal, hexadecimal (`0x`) or octal (leading `0`) digits, without sign.
    Integer,
    /// Digits with a point, an exponent or an `f` suffix, without sign.
    Float,
    /// A quoted string, quotes and escapes still in it.
    String,
    /// Any other single byte.
    Symbol(u8),
    /// The end of the text.
    End,
}

/// One token.
#[derive(Debug, Clone)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub position: Position,
    /// Its bytes in the text.
    pub span: Range<usize>,
}

/// Cuts a text into tokens.
pub struct Lexer<'a> {
    text: &'a [u8],
    file: &'a str,
    at: usize,
    line: u32,
    /// Column of the byte `counted`; columns are counted forward from there, so that long lines cost no more than short ones.
    column: u32,
    counted: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of a text, behind a byte order mark if there is one.
    pub fn new(text: &'a [u8], file: &'a str) -> Self {
        let at = if text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        Lexer { text, file, at, line: 1, column: 1, counted: at }
    }

    /// The bytes of a token.
    pub fn bytes(&self, token: &Token) -> &'a [u8] {
        &self.text[token.span.clone()]
    }

    /// An error at a place in this text.
    pub fn error(&self, position: Position, message: impl Into<String>) -> Error {
        Error::Parse {
            file: self.file.to_string(),
            line: position.line as usize,
            column: position.column as usize,
            message: message.into(),
        }
    }

    /// The next token.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] where the text is no token: a string that does not end, a malformed number or escape, a character
    /// that cannot stand outside quotes.
    pub fn next(&mut self) -> Result<Token> {
        self.skip_blanks();
        let position = self.position();
        let start = self.at;
        let kind = match self.peek() {
            None => Kind::End,
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => {
                self.skip_while(is_name_byte);
                Kind::Name
            }
            Some(b'0'..=b'9') => self.number(position)?,
            Some(b'.') if self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit()) => self.number(position)?,
            Some(quote @ (b'"' | b'\'')) => {
                self.string(quote, position)?;
                Kind::String
            }
            Some(byte) if byte.is_ascii_control() || !byte.is_ascii() => {
                return Err(self.error(position, self.stray_character()));
            }
            Some(byte) => {
                self.at += 1;
                Kind::Symbol(byte)
            }
        };
        Ok(Token { kind, position, span: start..self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) -> usize {
        let start = self.at;
        while self.peek().is_some_and(&keep) {
            self.at += 1;
        }
        self.at - start
    }

    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    self.column = 1;
                    self.counted = self.at;
                }
                b' ' | b'\t' | b'\r' | 0x0B | 0x0C => self.at += 1,
                b'#' => {
                    self.skip_while(|byte| byte != b'\n');
                }
                _ => break,
            }
        }
    }

    /// The place of the next byte.
    fn position(&mut self) -> Position {
        let passed = &self.text[self.counted..self.at];
        // Bytes 10xxxxxx continue a character that is already counted.
        self.column += passed.iter().filter(|&&byte| byte & 0xC0 != 0x80).count() as u32;
        self.counted = self.at;
        Position { line: self.line, column: self.column }
    }

    fn number(&mut self, start: Position) -> Result<Kind> {
        let first = self.at;
        let mut kind = Kind::Integer;
        if self.peek() == Some(b'0') && matches!(self.peek_at(1), Some(b'x' | b'X')) {
            self.at += 2;
            if self.skip_while(|byte| byte.is_ascii_hexdigit()) == 0 {
                return Err(self.error(start, "\"0x\" must be followed by hexadecimal digits"));
            }
        } else if self.peek() == Some(b'0') && self.peek_at(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip_while(|byte| byte.is_ascii_digit());
            if self.text[first..self.at].iter().any(|&digit| digit > b'7') {
                return Err(self.error(start, "a number with a leading zero is octal and has no digits 8 and 9"));
            }
        } else {
            kind = self.decimal(start)?;
        }
        match self.peek() {
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                self.skip_while(is_name_byte);
                let text = String::from_utf8_lossy(&self.text[first..self.at]);
                Err(self.error(start, format!("\"{text}\" is no number; put a blank between a number and a name")))
            }
            Some(b'.') => {
                self.skip_while(|byte| is_name_byte(byte) || byte == b'.');
                let text = String::from_utf8_lossy(&self.text[first..self.at]);
                Err(self.error(start, format!("\"{text}\" is no number")))
            }
            _ => Ok(kind),
        }
    }

    fn decimal(&mut self, start: Position) -> Result<Kind> {
        let mut kind = Kind::Integer;
        self.skip_while(|byte| byte.is_ascii_digit());
        if self.peek() == Some(b'.') {
            kind = Kind::Float;
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            kind = Kind::Float;
            self.at += 1;
            if matches!(self.peek(), Some(b'-' | b'+')) {
                self.at += 1;
            }
            if self.skip_while(|byte| byte.is_ascii_digit()) == 0 {
                return Err(self.error(start, "\"e\" in a number must be followed by an exponent"));
            }
        }
        if matches!(self.peek(), Some(b'f' | b'F')) {
            kind = Kind::Float;
            self.at += 1;
        }
        Ok(kind)
    }

    fn string(&mut self, quote: u8, start: Position) -> Result<()> {
        self.at += 1;
        loop {
            match self.peek() {
                None | Some(b'\n' | b'\0') => {
                    let message = format!("this string has no closing {} on its line", char::from(quote));
                    return Err(self.error(start, message));
                }
                Some(b'\\') => self.escape()?,
                Some(byte) => {
                    self.at += 1;
                    if byte == quote {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Checks an escape and steps over it; further digits of octal and `\x` escapes are ordinary bytes here.
    fn escape(&mut self) -> Result<()> {
        let start = self.position();
        let rest = &self.text[self.at + 1..];
        let hexadecimal = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
        let (length, complaint) = match rest.first() {
            Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' | b'?' | b'\'' | b'"' | b'0'..=b'7') => {
                (Some(1), "")
            }
            Some(b'x') => {
                (rest.get(1..2).filter(|digits| hexadecimal(digits)).map(|_| 2), "\\x needs hexadecimal digits")
            }
            Some(b'u') => {
                (rest.get(1..5).filter(|digits| hexadecimal(digits)).map(|_| 5), "\\u needs four hexadecimal digits")
            }
            Some(b'U') => {
                let legal = |digits: &&[u8]| hexadecimal(digits) && digits.starts_with(b"00") && digits[2] <= b'1';
                (rest.get(1..9).filter(legal).map(|_| 9), "\\U needs eight hexadecimal digits up to 0010ffff")
            }
            _ => (None, "unknown escape in a string; write \\\\ for a backslash"),
        };
        let Some(length) = length else { return Err(self.error(start, complaint)) };
        self.at += 1 + length;
        Ok(())
    }

    fn stray_character(&self) -> String {
        let end = self.text.len().min(self.at + 4);
        let character = String::from_utf8_lossy(&self.text[self.at..end]).chars().next().unwrap_or('\u{FFFD}');
        match character {
            '\u{201C}' | '\u{201D}' | '\u{2018}' | '\u{2019}' => {
                format!("curly quote {character}; write a plain \" or '")
            }
            '\u{A0}' => "no-break space (U+00A0); write a plain space".to_string(),
            _ if character.is_control() => format!("control character {}", character.escape_unicode()),
            _ => format!("character {character} cannot stand outside quotes"),
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
