//! Takes callback tokens of ours out of texts that are shown: a sender may quote its callback URL.
//!
//! Finds every run of token characters that one of our secrets has signed, whatever stands before or after it. Also
//! finds it if the text was escaped, even several times, if white space or invisible characters break it, and in
//! base64. Must never change what is stored.
//!
//! Challenges of the callback check are left in place: each is used once, names no task, and only proves that somebody
//! heard it.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use super::token::{TOKEN_LENGTH, TokenKeys};

/// Stands in the place of a token.
pub const MASK: &str = "[token]";
/// How many layers of escapes are looked through at least. Each takes time, and a sender can make up any number.
const LAYERS: usize = 16;
/// How many characters are looked at in all layers of a short text, which may have more of them.
const EFFORT: usize = 64 * 1024;
/// Characters of base64 in which a token fits.
const BASE64_LENGTH: usize = TOKEN_LENGTH * 4 / 3;

impl TokenKeys {
    /// The text with `[token]` in the place of every token that these keys have issued.
    pub fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.len() < TOKEN_LENGTH {
            return Cow::Borrowed(text);
        }
        let mut found = self.find_in_layers(text.as_bytes(), false);
        // Apart, because a token that stands after `=` would lose its first characters.
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
            while start + TOKEN_LENGTH <= run.end {
                let end = start + TOKEN_LENGTH;
                if self.is_token(&bytes[start..end]) {
                    found.push(start..end);
                    start = end;
                } else {
                    start += 1;
                }
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

/// Whether these characters can be a token, as far as can be told without a key: the id in it is a version 7 UUID, and
/// the last character carries four bits. Long texts of token characters would cost a proof per character otherwise.
fn may_be_token(bytes: &[u8]) -> bool {
    let value = |byte: u8| base64_value(byte).unwrap_or_default();
    // The version is in bits 48 to 51, the variant in bits 64 and 65, and each character has six bits.
    bytes.len() == TOKEN_LENGTH
        && value(bytes[8]) >> 2 == 7
        && value(bytes[10]) & 0b11 == 0b10
        && value(bytes[42]) & 0b11 == 0
}

/// A byte that an escape stands for, or that stands for itself, and the place of all that it is written as.
#[derive(Clone, Debug)]
struct Unit {
    byte: u8,
    place: Range<usize>,
}

/// Stands for any character that is not ASCII.
const FOREIGN: u8 = 0x80;

/// Whether this can stand in a token without being seen: white space, what is not ASCII, a backslash too many.
fn breaks(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || !byte.is_ascii() || byte == b'\\'
}

fn joined(units: &[Unit]) -> Vec<Unit> {
    units.iter().filter(|unit| !breaks(unit.byte)).cloned().collect()
}

/// One layer of escapes resolved: `%2D` and `%u002D` of URLs, `\u002d`, `\u{2d}`, `\x2d`, `\n` and `\\` of JSON and of
/// programs, `&#45;`, `&#x2d;` and `&amp;` of HTML, and `=2D` and `=` at the end of a line of quoted-printable.
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
            (b'\\', Some(b'n' | b'r' | b't')) => Some((b' ', 2)),
            (b'\\', Some(escaped @ (b'/' | b'"' | b'\\'))) => Some((escaped, 2)),
            (b'&', Some(b'#')) if is_at(rest, 2, b'x') || is_at(rest, 2, b'X') => {
                ended(number(rest, 3, 1..=6, 16), rest, b';')
            }
            (b'&', Some(b'#')) => ended(number(rest, 2, 1..=7, 10), rest, b';'),
            (b'&', Some(b'a')) if rest.iter().map(|unit| unit.byte).take(5).eq(*b"&amp;") => Some((b'&', 5)),
            (b'=', Some(b'\n')) if is_quoted_printable => Some((b'\n', 2)),
            (b'=', Some(b'\r')) if is_quoted_printable && is_at(rest, 2, b'\n') => Some((b'\n', 3)),
            (b'=', _) if is_quoted_printable => number(rest, 1, 2..=2, 16),
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

/// The character that so many digits stand for, and where they end.
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

/// What a run of base64 says that begins here; nothing if it is too short for a token.
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
mod tests {
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD as STANDARD, BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD};
    use base64::prelude::{BASE64_URL_SAFE as URL_SAFE, BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};

    use super::*;
    use crate::domain::id::TaskId;
    use crate::domain::time::Timestamp;

    fn token(keys: &TokenKeys) -> String {
        keys.issue(TaskId::new(Timestamp::from_millis(7))).unwrap()
    }

    /// Every character as a URL escape.
    fn in_url(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    /// Every character as an escape of JSON.
    fn in_json(text: &str) -> String {
        text.bytes().map(|byte| format!("\\u{byte:04X}")).collect()
    }

    #[test]
    fn a_token_is_masked_wherever_it_stands() {
        let keys = TokenKeys::new(["new", "old"]);
        for token in [token(&keys), token(&TokenKeys::new(["old"]))] {
            for (before, after) in [
                ("", ""),
                ("https://Hooks.EXAMPLE.com/callback/", "?x=1"),
                ("https:\\/\\/hooks.example.com\\/callback\\/", "\""),
                ("https%3A%2F%2Fhooks.example.com%2Fcallback%2F", "%22"),
                ("{\"", "\":1}"),
                ("AZ", "zz"),
                ("%", "%"),
                ("100%2", "4"),
                ("ä\u{fffd}", "ö"),
                ("-_-", "-_-"),
                ("\\", "\\u00"),
            ] {
                let text = format!("{before}{token}{after}");
                assert_eq!(keys.masked(&text), format!("{before}[token]{after}"));
            }
        }
    }

    #[test]
    fn an_escaped_token_is_masked() {
        let keys = TokenKeys::new(["secret"]);
        let token = token(&keys);
        let dashes = token.replace('-', "%2D").replace('_', "\\u005f");
        let middle = format!("{}%{:02X}{}", &token[..20], token.as_bytes()[20], &token[21..]);
        let url_twice = in_url(&in_url(&token));
        let json_twice = in_json(&token).replace('\\', "\\\\");
        let json_of_url = in_json(&in_url(&token));
        for text in [in_url(&token), in_json(&token), dashes, middle, url_twice, json_twice, json_of_url] {
            assert_eq!(keys.masked(&format!("callback/{text}\"")), "callback/[token]\"", "{text}");
        }
    }

    #[test]
    fn a_token_is_masked_whatever_wrote_it() {
        let keys = TokenKeys::new(["secret"]);
        let token = token(&keys);
        let each = |write: fn(u8) -> String| token.bytes().map(write).collect::<String>();
        let broken = |by: &str| format!("{}{by}{}{by}{}", &token[..3], &token[3..30], &token[30..]);
        let mut texts = vec![
            each(|byte| format!("&#{byte};")),
            each(|byte| format!("&#x{byte:x};")),
            each(|byte| format!("&amp;#X{byte:04X};")),
            each(|byte| format!("\\x{byte:02x}")),
            each(|byte| format!("\\u{{{byte:x}}}")),
            each(|byte| format!("%u{byte:04X}")),
            each(|byte| format!("={byte:02X}")),
            each(|byte| format!("=25{byte:02X}")),
        ];
        let breaks = [" ", "\n", "\r\n  ", "\u{200b}", "\u{a0}", "\u{ad}", "=\r\n", "=\n"];
        texts.extend(breaks.map(broken));
        texts.extend(["\\n", "\\r\\n", "\\u200b", "%20", "%E2%80%8B", "&#8203;", "\\"].map(broken));
        let deep = (0..12).fold(in_url(&token), |text, _| text.replace('%', "%25"));
        texts.push(deep);
        for text in texts {
            assert_eq!(keys.masked(&format!("callback/{text}\"")), "callback/[token]\"", "{text}");
        }
        assert_eq!(keys.masked(&format!("t=ab{}", in_url(&token))), "t=ab[token]");
    }

    #[test]
    fn a_token_in_base64_is_masked() {
        let keys = TokenKeys::new(["secret"]);
        let token = token(&keys);
        for before in
            ["", "h", "ht", "https://hooks.example/callback/", "{\"url\":\"http://localhost/callback/"]
        {
            for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                let text = engine.encode(format!("{before}{token}?x"));
                let lines = format!("{}\r\n{}", &text[..60], &text[60..]);
                for text in [format!("data:{text}"), format!("Basic {text}"), format!("a/{text}"), lines] {
                    let masked = keys.masked(&text);
                    assert!(masked.contains(MASK) && masked.len() < text.len() - 50, "{text}: {masked}");
                }
            }
        }
    }

    #[test]
    fn endless_escapes_end() {
        let keys = TokenKeys::new(["secret"]);
        for text in ["%25".repeat(100_000), format!("%{}", "25".repeat(100_000)), "=3D".repeat(100_000)] {
            assert!(matches!(keys.masked(&text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn every_token_of_a_text_is_masked() {
        let keys = TokenKeys::new(["secret"]);
        let (one, other) = (token(&keys), token(&keys));
        assert_eq!(
            keys.masked(&format!("{one}{other} {one}.{}", in_url(&other))),
            "[token][token] [token].[token]"
        );
    }

    #[test]
    fn what_is_no_token_of_ours_stays() {
        let keys = TokenKeys::new(["secret"]);
        let foreign = token(&TokenKeys::new(["another"]));
        let whole = token(&keys);
        let challenge = keys.challenge([7; 16]).unwrap();
        for text in ["", "{}", "%", "\\", "%u", "\\u12", &foreign, &whole[1..], &whole[..42], &challenge] {
            assert!(matches!(keys.masked(text), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert_eq!(TokenKeys::new([]).masked(&whole), whole);
    }

    #[test]
    fn what_can_not_be_a_token_is_told_without_a_key() {
        let keys = TokenKeys::new(["secret"]);
        // Ids are version 7 UUIDs, whatever else is in them.
        for byte in [0, 0x5a, 0xff] {
            let mut id = [byte; 16];
            (id[6], id[8]) = (0x70 | byte & 0x0f, 0x80 | byte & 0x3f);
            let token = keys.issue(TaskId::from_bytes(id)).unwrap();
            assert!(may_be_token(token.as_bytes()), "{token}");
        }
        let real = TaskId::new(Timestamp::from_millis(7));
        assert!(may_be_token(keys.issue(real).unwrap().as_bytes()));
        assert!(!may_be_token(&[b'A'; TOKEN_LENGTH]) && !may_be_token(b""));
    }
}
