//! Takes callback tokens of ours out of texts that are shown: a sender may quote its callback URL.
//!
//! Finds every run of token characters that one of our secrets has signed, whatever stands before or after it, and also
//! if the text was escaped as JSON or as a URL, even several times. Must never change what is stored.
//!
//! Challenges of the callback check are left in place: each is used once, names no task, and only proves that somebody
//! heard it.

use std::borrow::Cow;
use std::ops::Range;

use super::token::{TOKEN_LENGTH, TokenKeys};

/// Stands in the place of a token.
pub const MASK: &str = "[token]";
/// How many layers of escapes are looked through.
const LAYERS: usize = 4;

impl TokenKeys {
    /// The text with `[token]` in the place of every token that these keys have issued.
    pub fn masked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut found = self.find(text.as_bytes());
        if text.contains(['%', '\\']) {
            found.extend(self.find_escaped(text.as_bytes()));
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

    /// The places of escaped tokens. Escapes are resolved layer by layer.
    fn find_escaped(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let plain = |(place, byte): (usize, &u8)| Unit { byte: *byte, place: place..place + 1 };
        let mut units: Vec<Unit> = bytes.iter().enumerate().map(plain).collect();
        let mut found = Vec::new();
        for _ in 0..LAYERS {
            let resolved = resolve(&units);
            if resolved.len() == units.len() {
                break;
            }
            units = resolved;
            let bytes: Vec<u8> = units.iter().map(|unit| unit.byte).collect();
            let place = |range: Range<usize>| units[range.start].place.start..units[range.end - 1].place.end;
            found.extend(self.find(&bytes).into_iter().map(place));
        }
        found
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
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
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

/// One layer of escapes resolved: `%2D` of URLs; `\u002d`, `\/`, `\"` and `\\` of JSON.
fn resolve(units: &[Unit]) -> Vec<Unit> {
    let mut resolved = Vec::with_capacity(units.len());
    let mut rest = units;
    while let [first, ..] = rest {
        let (byte, length) = match (first.byte, rest.get(1).map(|unit| unit.byte)) {
            (b'%', _) => hex(rest, 1, 2).map_or((b'%', 1), |byte| (byte, 3)),
            (b'\\', Some(b'u')) => hex(rest, 2, 4).map_or((b'\\', 1), |byte| (byte, 6)),
            (b'\\', Some(escaped @ (b'/' | b'"' | b'\\'))) => (escaped, 2),
            (byte, _) => (byte, 1),
        };
        let end = rest[length - 1].place.end;
        resolved.push(Unit { byte, place: first.place.start..end });
        rest = &rest[length..];
    }
    resolved
}

/// The byte that so many hex digits stand for; none if it is no ASCII character.
fn hex(units: &[Unit], from: usize, digits: usize) -> Option<u8> {
    let units = units.get(from..from + digits)?;
    let digit = |unit: &Unit| char::from(unit.byte).to_digit(16);
    let number = units.iter().try_fold(0, |number, unit| Some(number * 16 + digit(unit)?))?;
    u8::try_from(number).ok().filter(u8::is_ascii)
}

#[cfg(test)]
mod tests {
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
