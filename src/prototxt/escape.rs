//! Quoted strings: escapes read and written as C does.

/// The bytes that a quoted string, checked by the lexer, stands for.
pub fn unescape(quoted: &[u8]) -> Vec<u8> {
    let mut text = &quoted[1..quoted.len() - 1];
    let mut bytes = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        text = rest;
        if *first == b'\\' {
            text = unescape_one(text, &mut bytes);
        } else {
            bytes.push(*first);
        }
    }
    bytes
}

/// Appends what stands behind a backslash and returns the text after it.
fn unescape_one<'a>(text: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let Some((&letter, rest)) = text.split_first() else { return text };
    let simple = match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0B,
        b'0'..=b'7' => {
            let (code, rest) = digits(text, 8, 3);
            bytes.push(code as u8);
            return rest;
        }
        b'x' => {
            let (code, rest) = digits(rest, 16, 2);
            bytes.push(code as u8);
            return rest;
        }
        b'u' | b'U' => return unicode(letter, rest, bytes),
        other => other,
    };
    bytes.push(simple);
    rest
}

/// `\uXXXX` (two of them for a surrogate pair) or `\UXXXXXXXX`.
fn unicode<'a>(letter: u8, text: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    let (mut code, mut rest) = digits(text, 16, if letter == b'u' { 4 } else { 8 });
    if (0xD800..0xDC00).contains(&code) && rest.starts_with(b"\\u") {
        let (low, after) = digits(&rest[2..], 16, 4);
        if (0xDC00..0xE000).contains(&low) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            rest = after;
        }
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

/// Reads at most `most` digits.
fn digits(text: &[u8], radix: u32, most: usize) -> (u32, &[u8]) {
    let mut value = 0;
    let mut used = 0;
    while let Some(digit) = text.get(used).filter(|_| used < most).and_then(|&byte| char::from(byte).to_digit(radix)) {
        value = value * radix + digit;
        used += 1;
    }
    (value, &text[used..])
}

/// Appends bytes in double quotes: `\n \r \t \" \' \\` by name, other bytes outside printable ASCII as three octal digits.
pub fn quote(bytes: &[u8], out: &mut String) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'"' | b'\'' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.extend(['\\', octal(byte >> 6), octal(byte >> 3), octal(byte)]),
        }
    }
    out.push('"');
}

fn octal(bits: u8) -> char {
    char::from(b'0' + (bits & 7))
}
