//! Takes issued callback tokens out of texts that are shown, because a sender may quote its callback URL.
//!
//! Finds every run of token characters that one of the secrets has signed, with any text before or after it. Also finds
//! it if the text was escaped, even several times, if white space or invisible characters break it, and in base64. Must
//! never change stored texts.
//!
//! Challenges of the callback check are left in place: each is used once, names no task, and only proves that somebody
//! heard it.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use super::job::Quality;
use super::token::{ID_TOKEN_LENGTH, TOKEN_LENGTH, TokenKeys};

/// The replacement of a token.
pub const MASK: &str = "[token]";
/// Least number of layers of escapes that are searched. Each takes time, and a sender can make up any number.
const LAYERS: usize = 16;
/// Number of characters that are searched in all layers together. A short text may have more layers.
const EFFORT: usize = 64 * 1024;
/// Characters of each kind of token, the longest first.
const LENGTHS: [usize; 2] = [TOKEN_LENGTH, ID_TOKEN_LENGTH];
/// Characters of the shortest token.
const SHORTEST: usize = ID_TOKEN_LENGTH;
/// Characters of base64 in which a token fits.
const BASE64_LENGTH: usize = SHORTEST * 4 / 3;

impl TokenKeys {
    /// The text with `[token]` in the place of every token that these keys have issued.
    pub fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.len() < SHORTEST {
            return Cow::Borrowed(text);
        }
        let mut found = self.find_in_layers(text.as_bytes(), false);
        // Separately, because a token after `=` would lose its first characters.
        if text.contains('=') {
            found.extend(self.find_in_layers(text.as_bytes(), true));
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_by_key(|range| range.start);
        let mut masked = String::with_capacity(text.len());
        let mut shown = 0;
        for range in found {
            // The same token may have been found in two layers.
            if range.start >= shown {
                masked.push_str(&text[shown..range.start]);
                masked.push_str(MASK);
            }
            shown = shown.max(range.end);
        }
        masked.push_str(&text[shown..]);
        Cow::Owned(masked)
    }

    /// Masks a text in place.
    pub fn mask(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.masked(text) {
            *text = masked;
        }
    }

    /// The places of tokens that are not escaped.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(run) = next_run(bytes, from) {
            from = run.end;
            let mut start = run.start;
            while start + SHORTEST <= run.end {
                let mut ends = LENGTHS.iter().map(|length| start + length).filter(|end| *end <= run.end);
                let end = ends.find(|end| self.is_token(&bytes[start..*end]));
                found.extend(end.map(|end| start..end));
                start = end.unwrap_or(start + 1);
            }
        }
        found
    }

    fn is_token(&self, bytes: &[u8]) -> bool {
        may_be_token(bytes) && std::str::from_utf8(bytes).is_ok_and(|token| self.verify(token).is_some())
    }

    /// The places of tokens in the text as it is, and with its escapes resolved layer by layer.
    fn find_in_layers(&self, bytes: &[u8], is_quoted_printable: bool) -> Vec<Range<usize>> {
        let plain = |(place, byte): (usize, &u8)| Unit { byte: *byte, place: place..place + 1 };
        let mut units: Vec<Unit> = bytes.iter().enumerate().map(plain).collect();
        let mut found = self.find_in_base64(&units);
        let mut effort = EFFORT.max(units.len() * LAYERS);
        loop {
            found.extend(self.find_in(&units));
            if units.iter().any(|unit| breaks(unit.byte)) {
                found.extend(self.find_in(&joined(&units)));
            }
            let resolved = resolve(&units, is_quoted_printable);
            effort = effort.saturating_sub(units.len());
            if resolved.len() == units.len() || effort == 0 {
                found.extend(self.find_in_base64(&units));
                return found;
            }
            units = resolved;
        }
    }

    /// The places of tokens in base64, which has lines in letters.
    fn find_in_base64(&self, units: &[Unit]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for run in joined(units).split(|unit| base64_value(unit.byte).is_none()) {
            // It may begin anywhere in a run.
            for start in 0..4 {
                found.extend(run.get(start..).into_iter().flat_map(|run| self.find_in(&from_base64(run))));
            }
        }
        found
    }

    fn find_in(&self, units: &[Unit]) -> Vec<Range<usize>> {
        let bytes: Vec<u8> = units.iter().map(|unit| unit.byte).collect();
        let place = |range: Range<usize>| units[range.start].place.start..units[range.end - 1].place.end;
        self.find(&bytes).into_iter().map(place).collect()
    }
}

/// The place of the next run of token characters, at `from` or after it.
fn next_run(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let start = from + bytes[from..].iter().position(is_of_token)?;
    let length = bytes[start..].iter().position(|byte| !is_of_token(byte));
    Some(start..length.map_or(bytes.len(), |length| start + length))
}

/// Whether these characters can be a token, as far as can be told without a key: the id in it is a version 7 UUID. The
/// last character of a short token carries four bits, and a long one names a quality. Long texts of token characters
/// would cost a proof per character otherwise.
fn may_be_token(bytes: &[u8]) -> bool {
    let value = |byte: u8| base64_value(byte).unwrap_or_default();
    // The version is in bits 48 to 51, the variant in bits 64 and 65, and each character has six bits.
    let has_id = bytes.len() >= SHORTEST && value(bytes[8]) >> 2 == 7 && value(bytes[10]) & 0b11 == 0b10;
    has_id
        && match bytes.len() {
            ID_TOKEN_LENGTH => value(bytes[42]) & 0b11 == 0,
            TOKEN_LENGTH => {
                // Bits 192 to 207: 12 bits in two characters, and four in the next one.
                let [high, middle, low] = [32, 33, 34].map(|place| i64::from(value(bytes[place])));
                Quality::from_number(high << 10 | middle << 4 | low >> 2).is_some()
            }
            _ => false,
        }
}

/// A byte of the text with escapes resolved, and the place of its spelling.
#[derive(Clone, Debug)]
struct Unit {
    byte: u8,
    place: Range<usize>,
}

/// The replacement of any character that is not ASCII.
const FOREIGN: u8 = 0x80;

/// Whether this can be in a token unseen: white space, a character that is not ASCII, a backslash too many.
fn breaks(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || !byte.is_ascii() || byte == b'\\'
}

fn joined(units: &[Unit]) -> Vec<Unit> {
    units.iter().filter(|unit| !breaks(unit.byte)).cloned().collect()
}

/// One layer of escapes resolved: `%2D` and `%u002D` of URLs, `\u002d`, `\u{2d}`, `\x2d`, `\55`, `\n` and `\\` of JSON
/// and of programs, `&#45;`, `&#x2d` and `&amp;` of HTML, and `=2D` and `=` at the end of a line of quoted-printable.
fn resolve(units: &[Unit], is_quoted_printable: bool) -> Vec<Unit> {
    let mut resolved = Vec::with_capacity(units.len());
    let mut rest = units;
    while let [first, ..] = rest {
        let escape = match (first.byte, rest.get(1).map(|unit| unit.byte)) {
            (b'%', Some(b'u')) => number(rest, 2, 4..=4, 16),
            (b'%', _) => number(rest, 1, 2..=2, 16),
            (b'\\', Some(b'u')) if is_at(rest, 2, b'{') => ended(number(rest, 3, 1..=6, 16), rest, b'}'),
            (b'\\', Some(b'u')) => number(rest, 2, 4..=4, 16),
            (b'\\', Some(b'x')) => number(rest, 2, 2..=2, 16),
            (b'\\', Some(b'n')) => Some((b'\n', 2)),
            (b'\\', Some(b'r')) => Some((b'\r', 2)),
            (b'\\', Some(b't')) => Some((b'\t', 2)),
            (b'\\', Some(b'0'..=b'7')) => number(rest, 1, 1..=3, 8),
            (b'\\', Some(escaped @ (b'/' | b'"' | b'\\'))) => Some((escaped, 2)),
            (b'&', Some(b'#')) if is_at(rest, 2, b'x') || is_at(rest, 2, b'X') => {
                perhaps_ended(number(rest, 3, 1..=6, 16), rest, b';')
            }
            (b'&', Some(b'#')) => perhaps_ended(number(rest, 2, 1..=7, 10), rest, b';'),
            (b'&', Some(b'a')) if rest.iter().map(|unit| unit.byte).take(5).eq(*b"&amp;") => Some((b'&', 5)),
            (b'=', _) if is_quoted_printable => soft_break(rest).or_else(|| number(rest, 1, 2..=2, 16)),
            _ => None,
        };
        let (byte, length) = escape.unwrap_or((first.byte, 1));
        let end = rest[length - 1].place.end;
        resolved.push(Unit { byte, place: first.place.start..end });
        rest = &rest[length..];
    }
    resolved
}

fn is_at(units: &[Unit], place: usize, byte: u8) -> bool {
    units.get(place).is_some_and(|unit| unit.byte == byte)
}

/// The escape with the character that ends it.
fn ended(escape: Option<(u8, usize)>, units: &[Unit], end: u8) -> Option<(u8, usize)> {
    escape.filter(|(_, length)| is_at(units, *length, end)).map(|(byte, length)| (byte, length + 1))
}

/// The same, if that character may be missing.
fn perhaps_ended(escape: Option<(u8, usize)>, units: &[Unit], end: u8) -> Option<(u8, usize)> {
    escape.map(|(byte, length)| (byte, length + usize::from(is_at(units, length, end))))
}

/// `=` at the end of a line, perhaps with blanks after it, which are not part of the text.
fn soft_break(units: &[Unit]) -> Option<(u8, usize)> {
    let blanks = units.iter().skip(1).take_while(|unit| matches!(unit.byte, b' ' | b'\t')).count();
    let length = 1 + blanks + usize::from(is_at(units, 1 + blanks, b'\r'));
    is_at(units, length, b'\n').then_some((b'\n', length + 1))
}

/// The character with this many digits, and their end.
fn number(units: &[Unit], from: usize, digits: RangeInclusive<usize>, radix: u32) -> Option<(u8, usize)> {
    let values = units.get(from..)?.iter().map_while(|unit| char::from(unit.byte).to_digit(radix));
    let values: Vec<u32> = values.take(*digits.end()).collect();
    let number = values.iter().fold(0, |number, value| number * radix + value);
    let byte = u8::try_from(number).ok().filter(u8::is_ascii).unwrap_or(FOREIGN);
    digits.contains(&values.len()).then_some((byte, from + values.len()))
}

/// The six bits of a character in either alphabet of base64.
fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// The content of a run of base64 that begins here. Nothing if it is too short for a token.
fn from_base64(run: &[Unit]) -> Vec<Unit> {
    if run.len() < BASE64_LENGTH {
        return Vec::new();
    }
    let mut decoded = Vec::with_capacity(run.len() * 3 / 4);
    for group in run.chunks(4) {
        let bits = |place: usize| group.get(place).and_then(|unit| base64_value(unit.byte)).map(u32::from);
        for second in 1..group.len() {
            let pair = bits(second - 1).unwrap_or_default() << 6 | bits(second).unwrap_or_default();
            let [.., byte] = (pair >> (6 - 2 * second)).to_be_bytes();
            decoded.push(Unit { byte, place: group[second - 1].place.start..group[second].place.end });
        }
    }
    decoded
}

#[cfg(test)]
mod tests;
