//! Reading behind errors: what does not parse is blanked out, and the rest read again.

use super::Report;
use crate::{
    error::{Error, Result},
    proto::{NetParameter, SolverParameter},
    prototxt::{Document, parse_net, parse_solver},
};

/// More errors than this in one file mean that it is another kind of file.
const MOST: usize = 30;

/// Reads a solver; what is wrong in its text goes into the report. `None` where nothing can be made of it.
pub(super) fn solver(text: &str, file: &str, report: &mut Report) -> Option<Document<SolverParameter>> {
    let mut document = read(text, report, |text| parse_solver(text, file))?;
    if document.message.snapshot_prefix.is_none() {
        // As reading from a file does.
        document.message.snapshot_prefix = Some(file.strip_suffix(".prototxt").unwrap_or(file).to_owned());
    }
    Some(document)
}

/// Reads a net in the same way.
pub(super) fn net(text: &str, file: &str, report: &mut Report) -> Option<NetParameter> {
    read(text, report, |text| parse_net(text, file)).map(|document| document.message)
}

fn read<T>(text: &str, report: &mut Report, parse: impl Fn(&str) -> Result<T>) -> Option<T> {
    let mut text: Vec<u8> = text.bytes().collect();
    let mut last = (0, 0);
    for _ in 0..MOST {
        let error = match parse(&String::from_utf8_lossy(&text)) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        report.error(&error);
        let Error::Parse { line, column, .. } = error else { return None };
        // Where nothing was blanked out, the same error comes again; what lies before it has been read.
        if (line, column) <= last {
            return None;
        }
        last = (line, column);
        let start = field_start(&text, offset(&text, line, column)?);
        let end = field_end(&text, start);
        text[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    None
}

/// The byte at a line and column, both counted from 1, the column in characters.
fn offset(text: &[u8], line: usize, column: usize) -> Option<usize> {
    let before: usize = text.split_inclusive(|&byte| byte == b'\n').take(line - 1).map(<[u8]>::len).sum();
    let row = String::from_utf8_lossy(text.get(before..)?).into_owned();
    Some(before + row.chars().take(column - 1).map(char::len_utf8).sum::<usize>())
}

/// Where the field begins that an error points at: the error may stand at its value.
fn field_start(text: &[u8], at: usize) -> usize {
    let back = |end: usize, while_is: fn(u8) -> bool| {
        text[..end].iter().rposition(|&byte| !while_is(byte)).map_or(0, |index| index + 1)
    };
    let blank = back(at, |byte| byte.is_ascii_whitespace());
    let is_value = blank > 0 && text[blank - 1] == b':';
    if !is_value {
        return at;
    }
    let name_end = back(blank - 1, |byte| byte.is_ascii_whitespace());
    back(name_end, is_name)
}

/// Where a field that begins here ends: behind its value, or its block.
fn field_end(text: &[u8], start: usize) -> usize {
    let skip = |from: usize, while_is: fn(u8) -> bool| {
        text[from..].iter().position(|&byte| !while_is(byte)).map_or(text.len(), |length| from + length)
    };
    let name = skip(start, is_name);
    let mut at = skip(name, |byte| byte.is_ascii_whitespace() || byte == b':');
    if at >= text.len() {
        return text.len();
    }
    match text[at] {
        b'{' | b'<' | b'[' => {
            let mut depth = 0;
            while at < text.len() {
                match text[at] {
                    b'{' | b'<' | b'[' => depth += 1,
                    b'}' | b'>' | b']' => depth -= 1,
                    b'"' | b'\'' => at = string_end(text, at) - 1,
                    b'#' => at = skip(at, |byte| byte != b'\n'),
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    break;
                }
            }
            at.min(text.len())
        }
        b'"' | b'\'' => string_end(text, at),
        _ => skip(at, |byte| !byte.is_ascii_whitespace() && !b",;}>]#".contains(&byte)).max(start + 1),
    }
}

/// Behind the closing quote of the string that begins here.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() && text[at] != text[start] && text[at] != b'\n' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_a_text_is_found() {
        let text =
            "bse_lr: 0.1\nmax_iter: many # no number\nlr_policy: \"fixed\"\nblock { a: \"}\" b { } }\nbase_lr: 0.5\n";
        let mut report = Report::default();
        let document = solver(text, "s", &mut report).unwrap();
        let places: Vec<&str> = report.problems.iter().map(|problem| &problem.text[..7]).collect();
        assert_eq!(places, ["s:1:1: ", "s:2:11:", "s:4:1: "], "{:?}", report.problems);
        assert_eq!((document.message.base_lr(), document.message.lr_policy()), (0.5, "fixed"));
    }

    #[test]
    fn a_text_that_is_something_else_ends_soon() {
        for text in ["{{{{", "layer {", "a: b: c: d", "\u{1f600}\u{1f600}", "net: \"unfinished"] {
            let mut report = Report::default();
            solver(text, "s", &mut report);
            assert!(!report.problems.is_empty(), "{text}");
        }
    }
}
